"""A Berth as a test holds it: its daemon, its clients, and a census of what it has on the machine.

A `World` owns one state directory. Its daemon may be killed and started again; the port, the keys and the clients stay.
"""

import configparser
import contextlib
import json
import os
import pathlib
import selectors
import shutil
import signal
import subprocess
import threading
import time

import boto3
import botocore.config

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
SUBPROCESS_SECONDS = 60
CGROUP_ROOT = pathlib.Path("/sys/fs/cgroup")


def program():
    """The program under test; its helpers lie beside it."""
    path = pathlib.Path(os.environ.get("BERTH_PROGRAM", REPOSITORY / "build" / "berth")).resolve()
    if not os.access(path, os.X_OK):
        raise RuntimeError(f"{path} is not there: run 'make build', or name the program in BERTH_PROGRAM")
    return path


def eventually(look, what, seconds=20.0, every=0.05):
    """Calls `look` until it returns something true, and returns that. For what no client can wait on."""
    end = time.monotonic() + seconds
    while True:
        seen = look()
        if seen:
            return seen
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}; last seen: {seen!r}")
        time.sleep(every)


def process_alive(pid):
    """Whether `pid` is a process that runs: a zombie is over."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


@contextlib.contextmanager
def reading(words, seconds=60, **options):
    """A process whose output is read line by line; it is killed at the end, and when it takes too long, so that no read waits for ever."""
    process = subprocess.Popen([str(word) for word in words], stdout=subprocess.PIPE, text=True, **options)
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    try:
        yield process
    finally:
        timer.cancel()
        process.kill()
        process.wait()
        process.stdout.close()


class World:
    def __init__(self, directory, *arguments, real=False):
        self.directory = pathlib.Path(directory)
        self.state = self.directory / "state"
        self.real = real
        self.arguments = list(arguments) + ([] if real else ["--agent", "simulated"])
        self.address = "127.0.0.1:0"
        self.process = None
        self.region = "us-east-1"
        self.account = "000000000000"
        self.starts = 0

    # The daemon.

    def command(self, *arguments):
        return [str(program()), *map(str, arguments)]

    def start(self, kill_at=None, expect_ready=True):
        """Starts the daemon and returns its `ready` line. With expect_ready=False its death by SIGKILL before that is fine (None)."""
        assert self.process is None
        environment = {k: v for k, v in os.environ.items() if k != "BERTH_KILL_AT"}
        if kill_at:
            environment["BERTH_KILL_AT"] = kill_at
        self.starts += 1
        with open(self.directory / "daemon.log", "ab") as log:
            log.write(f"--- start {self.starts} {kill_at or ''}\n".encode())
            log.flush()
            # What these tests were started with, by nohup or by a shell in the background, is nothing to the daemon.
            self.process = subprocess.Popen(
                ["env", "--default-signal=HUP,INT"] + self.command("serve", "--listen", self.address, "--state", self.state, *self.arguments),
                stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL, env=environment, cwd=self.directory)
        line = self._ready_line()
        if line is None:
            status = self.process.wait(timeout=SUBPROCESS_SECONDS)
            self._forget_process()
            if not expect_ready and status == -signal.SIGKILL:
                return None
            raise AssertionError(f"berth serve ended with {status} before it was ready:\n{self.log_end()}")
        self.address = line.split("http://", 1)[1].split()[0]
        return line

    def _ready_line(self, seconds=30):
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            if not selector.select(seconds):
                raise AssertionError(f"no ready line within {seconds} s:\n{self.log_end()}")
        line = self.process.stdout.readline().decode()
        return line.strip() if line.startswith("ready ") else None

    def _forget_process(self):
        self.process.stdout.close()
        self.process = None

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def reap(self, seconds=30):
        """Waits until the daemon has ended by itself (a kill point, say); returns its exit status."""
        status = self.process.wait(timeout=seconds)
        self._forget_process()
        return status

    def end(self, number):
        """Sends the daemon a signal and returns its exit status."""
        self.process.send_signal(number)
        return self.reap()

    def kill(self):
        return self.end(signal.SIGKILL)

    def restart(self, number=signal.SIGKILL):
        self.end(number)
        return self.start()

    def log_end(self, lines=40):
        path = self.directory / "daemon.log"
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""

    def run(self, *arguments, check=True, **options):
        """Runs another of berth's commands; the state directory is added."""
        result = subprocess.run(self.command(*arguments, "--state", self.state), capture_output=True, text=True,
                                timeout=SUBPROCESS_SECONDS, **options)
        if check:
            assert result.returncode == 0, f"berth {arguments}: {result.stdout}{result.stderr}\n{self.log_end()}"
        return result

    def close(self):
        """Ends everything, whatever state it is in; afterwards nothing of this Berth is on the machine."""
        try:
            if self.alive():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    if self.real:
                        self.run("stop", "--stop-tasks", check=False)
                        self.process.wait(timeout=20)
            if self.process is not None:
                if self.alive():
                    self.process.kill()
                self.process.wait(timeout=20)
                self._forget_process()
        finally:
            if self.real and self.state.exists():
                cleaned = self.run("host", "clean", check=False)
                assert cleaned.returncode == 0, cleaned.stderr
                left = self.host_objects()
                shutil.rmtree(self.state)
                assert not left, f"left on the machine: {left}"

    # Its clients.

    @property
    def endpoint(self):
        return f"http://{self.address}"

    @property
    def credentials(self):
        parsed = configparser.ConfigParser()
        parsed.read(self.state / "credentials")
        section = parsed[parsed.sections()[0]] if parsed.sections() else parsed["DEFAULT"]
        return {"aws_access_key_id": section["aws_access_key_id"], "aws_secret_access_key": section["aws_secret_access_key"]}

    def client(self, service, region=None, attempts=1, **keys):
        return boto3.client(
            service, endpoint_url=self.endpoint, region_name=region or self.region, **(keys or self.credentials),
            config=botocore.config.Config(retries={"total_max_attempts": attempts, "mode": "standard"},
                                          connect_timeout=10, read_timeout=30, max_pool_connections=32))

    def aws_environment(self, home):
        """For command-line clients: nothing of the invoking user's own configuration."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        return kept | {"HOME": str(home), "AWS_PAGER": "", "AWS_EC2_METADATA_DISABLED": "true"}

    def subnet(self, region=None):
        return self.client("ec2", region).describe_subnets(
            Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"][0]["SubnetId"]

    def network(self, public=False, region=None):
        return {"awsvpcConfiguration": {"subnets": [self.subnet(region)],
                                        "assignPublicIp": "ENABLED" if public else "DISABLED"}}

    # Its tasks.

    def define(self, family, *containers, **more):
        """Registers a Fargate definition of the smallest size; returns its ARN."""
        filled = [{"name": "main", "image": "busybox", "essential": True, "stopTimeout": 2, **c} for c in containers]
        arguments = {"family": family, "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "256",
                     "memory": "512", "executionRoleArn": f"arn:aws:iam::{self.account}:role/execution",
                     "containerDefinitions": filled} | more
        return self.client("ecs").register_task_definition(**arguments)["taskDefinition"]["taskDefinitionArn"]

    def run_task(self, definition, cluster="default", count=1, public=False, **more):
        answer = self.client("ecs").run_task(cluster=cluster, taskDefinition=definition, count=count, launchType="FARGATE",
                                             networkConfiguration=self.network(public), **more)
        assert not answer["failures"], answer["failures"]
        arns = [t["taskArn"] for t in answer["tasks"]]
        return arns[0] if count == 1 else arns

    def task(self, arn, cluster="default"):
        tasks = self.client("ecs").describe_tasks(cluster=cluster, tasks=[arn])["tasks"]
        return tasks[0] if tasks else None

    def wait_task(self, arn, state, cluster="default", seconds=30):
        """Until the task has come to `state` (or is beyond it); returns it. A stop instead of RUNNING fails with its reason."""
        order = ["PROVISIONING", "PENDING", "ACTIVATING", "RUNNING", "DEACTIVATING", "STOPPING", "DEPROVISIONING", "STOPPED"]

        def look():
            task = self.task(arn, cluster)
            if task is None or order.index(task["lastStatus"]) < order.index(state):
                return None
            return task

        task = eventually(look, f"task {arn} is {state}", seconds)
        if state == "RUNNING":
            assert task["lastStatus"] == "RUNNING", {k: task.get(k) for k in ("stoppedReason", "stopCode", "containers")}
        return task

    def service(self, name, cluster="default"):
        return self.client("ecs").describe_services(cluster=cluster, services=[name])["services"][0]

    def wait_steady(self, name, count, cluster="default", seconds=40):
        def look():
            seen = self.service(name, cluster)
            return seen if (seen["runningCount"], seen["pendingCount"], len(seen["deployments"])) == (count, 0, 1) else None

        try:
            return eventually(look, f"service {name} is steady at {count}", seconds)
        except AssertionError as error:
            seen = self.service(name, cluster)
            raise AssertionError(f"{error}: {[e['message'] for e in seen['events'][:8]]}") from None

    def service_tasks(self, name, cluster="default", status="RUNNING"):
        pages = self.client("ecs").get_paginator("list_tasks").paginate(cluster=cluster, serviceName=name, desiredStatus=status)
        return [arn for page in pages for arn in page["taskArns"]]

    def messages(self, group, prefix=None):
        more = {"logStreamNamePrefix": prefix} if prefix else {}
        pages = self.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group, **more)
        return [event["message"] for page in pages for event in page["events"]]

    def lines(self, arn, container=None):
        """What `berth logs` prints of a task."""
        return self.run("logs", arn.rsplit("/", 1)[1], *([container] if container else [])).stdout.splitlines()

    @staticmethod
    def address_of(task):
        return next(d["value"] for a in task["attachments"] for d in a["details"] if d["name"] == "privateIPv4Address")

    # The machine: what the kernel says, whatever the daemon says.

    def instance(self):
        # Six digits of the state directory's own id; every object bears them.
        for entry in pathlib.Path("/run/berth").glob("*/owner"):
            if entry.read_text().splitlines()[0] == str(self.state):
                return entry.parent.name
        return None

    def host_objects(self):
        instance = self.instance() or getattr(self, "_instance", None)
        self._instance = instance
        if instance is None:
            return []
        listed = subprocess.run(self.command("host", "ls", "--json"), capture_output=True, text=True, timeout=SUBPROCESS_SECONDS)
        assert listed.returncode == 0, listed.stderr
        return [o for o in json.loads(listed.stdout)["objects"] if o["instance"] == instance]

    def cgroup(self):
        instance = self.instance()
        for root in (CGROUP_ROOT / "memory", CGROUP_ROOT):
            if (root / f"berth-{instance}").is_dir():
                return root / f"berth-{instance}"
        return None

    def census(self):
        """{task id: sorted pids of its containers' processes}, by the kernel's cgroups."""
        found = {}
        if (top := self.cgroup()) is None:
            return found
        for directory in top.iterdir():
            if not directory.is_dir() or directory.name == "supervisors":
                continue
            pids = set()
            for file in directory.rglob("cgroup.procs"):
                with contextlib.suppress(FileNotFoundError, OSError):
                    pids.update(int(p) for p in file.read_text().split())
            found[directory.name] = sorted(pids)
        return found

    def supervisors(self):
        """{task id: pid of its supervisor}, by the supervisors' cgroup and their command lines or owner files."""
        top = self.cgroup()
        if top is None or not (top / "supervisors").is_dir():
            return {}
        out = {}
        for pid in (top / "supervisors" / "cgroup.procs").read_text().split():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                if not os.readlink(f"/proc/{pid}/exe").endswith("berth-supervisor"):
                    continue  # a companion
                out[os.path.basename(os.readlink(f"/proc/{pid}/cwd"))] = int(pid)
        return out


def shell(script, name="main", **more):
    """A container of our image that runs a shell script."""
    return {"name": name, "command": ["sh", "-c", script], **more}


# Runs until it is asked to end, and then ends at once: process 1 of a container has no default for SIGTERM.
SERVE = "trap 'exit 0' TERM; sleep 100000 & wait"


def awslogs(group, prefix="test", region="us-east-1", **options):
    return {"logConfiguration": {"logDriver": "awslogs", "options": {
        "awslogs-group": group, "awslogs-region": region, "awslogs-stream-prefix": prefix, "awslogs-create-group": "true",
        "mode": "blocking", **options}}}


def make_busybox_layout(directory):
    """An OCI layout of one small image: busybox and its applets. Made with the stock tools, as an image's author would."""
    layout, root = directory / "layout", directory / "root"
    for name in ("bin", "tmp", "etc", "proc", "sys", "dev"):
        (root / name).mkdir(parents=True)
    os.chmod(root / "tmp", 0o1777)
    busybox = shutil.which("busybox")
    assert busybox, "busybox is not installed (Debian: busybox-static)"
    shutil.copy(busybox, root / "bin" / "busybox")
    for applet in subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split():
        if applet != "busybox":
            os.symlink("busybox", root / "bin" / applet)
    (root / "etc" / "passwd").write_text("root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n")
    (root / "etc" / "group").write_text("root:x:0:\nnogroup:x:65534:\n")

    def umoci(*arguments):
        done = subprocess.run(["umoci", *map(str, arguments)], capture_output=True, text=True, timeout=SUBPROCESS_SECONDS)
        assert done.returncode == 0, f"umoci {arguments}: {done.stderr}"

    umoci("init", "--layout", layout)
    umoci("new", "--image", f"{layout}:latest")
    umoci("insert", "--image", f"{layout}:latest", root, "/")
    umoci("config", "--image", f"{layout}:latest", "--config.env", "PATH=/bin", "--config.env", "FROM_IMAGE=yes",
          "--config.cmd", "sh", "--config.workingdir", "/")
    return layout
