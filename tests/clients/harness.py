"""A Berth of a test's own: its own state directory, a free port, AWS files of its own. Nothing of it stays behind."""
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

import boto3
import botocore.config

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(os.environ.get("BERTH_PROGRAM", ROOT / "build/berth"))
IMAGES = ROOT / ".cache/platform/images"
PROFILE = "jitsi-video-hosting-170473530355"
FARGATE_SMALLEST = {"cpu": "256", "memory": "512"}


def wait_until(condition, what, timeout=60, every=0.05):
    """Asks until the answer is true, for things that nobody announces; fails with `what` was waited for."""
    deadline = time.monotonic() + timeout
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {timeout} s")
        time.sleep(every)
    return answer


def run(*command, check=True, timeout=120, **more):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=timeout, **more)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}: exit status {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


class Berth:
    """Start with start() or as a context. `arguments` go to `berth serve`."""

    def __init__(self, *arguments, agent="real", directory=None):
        self.arguments, self.agent = arguments, agent
        self.home = pathlib.Path(directory or tempfile.mkdtemp(prefix="berth-test-"))
        self.state = self.home / "state"
        self.log = self.home / "serve.log"
        self.process, self.endpoint = None, None
        self.port = 0

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *exception):
        self.close()

    def command(self):
        agent = ["--agent", "simulated"] if self.agent == "simulated" else []
        return [PROGRAM, "serve", "--state", self.state, "--listen", f"127.0.0.1:{self.port}", *agent, *self.arguments]

    def start(self, environment=None):
        """Returns when the daemon says that it is ready. Started again, it gets the port it had."""
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([str(word) for word in self.command()], stdout=subprocess.PIPE, stderr=log,
                                            stdin=subprocess.DEVNULL, text=True, env={**os.environ, **(environment or {})})
        for line in self.process.stdout:
            if line.startswith("ready"):
                self.endpoint = re.search(r"http://\S+", line)[0]
                self.port = int(self.endpoint.rsplit(":", 1)[1])
                return self
        raise AssertionError(f"berth did not get ready:\n{self.log.read_text()[-2000:]}")

    def start_to_die(self, environment):
        """Starts a daemon that may kill itself before it is ready; True when it became ready."""
        try:
            self.start(environment)
            return True
        except AssertionError:
            assert self.process.wait(30) == -signal.SIGKILL, self.log.read_text()[-2000:]
            return False

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0

    def close(self):
        if self.process and self.process.poll() is None:
            with contextlib.suppress(Exception):
                self.berth("stop", "--stop-tasks", timeout=60)
            if self.process.poll() is None:
                self.kill()
        if self.process:
            self.process.stdout.close()
        if self.agent == "real" and self.state.exists():
            run(PROGRAM, "host", "clean", "--state", self.state, check=False)
        shutil.rmtree(self.home, ignore_errors=True)

    def berth(self, *words, **more):
        return run(PROGRAM, *words, "--state", self.state, **more)

    def load_platform_images(self):
        for tag, name in (("jitsi-web", "jitsi/web"), ("prosody", "jitsi/prosody"), ("jvb", "jitsi/jvb")):
            self.berth("image", "load", f"oci:{IMAGES}:{tag}", "--name", f"{name}:stable")

    def environment(self, profile=PROFILE):
        """Of a process that finds a profile for this Berth, and nothing of the person who runs the test."""
        files = {"AWS_CONFIG_FILE": str(self.home / "aws-config"), "AWS_SHARED_CREDENTIALS_FILE": str(self.home / "aws-credentials")}
        if not (self.home / "aws-config").exists():
            self.berth("configure", "--profile", profile, env={**os.environ, **files})
        clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return {**clean, **files, "AWS_EC2_METADATA_DISABLED": "true", "AWS_PAGER": ""}

    def keys(self):
        text = (self.state / "credentials").read_text()
        return re.search(r"aws_access_key_id\s*=\s*(\S+)", text)[1], re.search(r"aws_secret_access_key\s*=\s*(\S+)", text)[1]

    def client(self, service, region="us-east-1", **more):
        key, secret = self.keys()
        return boto3.client(service, endpoint_url=self.endpoint, region_name=region, aws_access_key_id=more.pop("key", key),
                            aws_secret_access_key=more.pop("secret", secret),
                            config=botocore.config.Config(retries={"total_max_attempts": 1}, **more))

    def tasks(self):
        return json.loads(self.berth("ps", "--json").stdout)["tasks"]


def container(name="app", **more):
    return {"name": name, "image": "jitsi/web:stable", "essential": True, **more}


def register(ecs, family, *containers, **more):
    """A task definition of the smallest Fargate size; returns its ARN."""
    definition = {"family": family, "requiresCompatibilities": ["FARGATE"], "networkMode": "awsvpc", **FARGATE_SMALLEST,
                  "containerDefinitions": list(containers) or [container()], **more}
    return ecs.register_task_definition(**definition)["taskDefinition"]["taskDefinitionArn"]


def network(ec2):
    subnets = ec2.describe_subnets()["Subnets"]
    return {"awsvpcConfiguration": {"subnets": [subnet["SubnetId"] for subnet in subnets], "assignPublicIp": "DISABLED"}}


def address_of(task):
    return next(detail["value"] for attachment in task["attachments"] for detail in attachment["details"]
                if detail["name"] == "privateIPv4Address")
