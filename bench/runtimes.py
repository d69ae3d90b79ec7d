"""The container runtimes that are compared: the bare OCI runtime, and dockerd started by hand.

The bare runtime is crun where it works, else runc. crun refuses a machine with cgroup v1 and v2 side by side; in a
private mount namespace without the v2 mount it works, which changes nothing of what it does. So it is driven by a
process of our own in such a namespace (bare_runtime.py), which also spares it the start of a shell.
"""
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import time

from harness import HERE, BenchError, end_process, tail


class Bare:
    def __init__(self, bench):
        self.bench = bench
        self.directory = bench.directory("bare")
        rootfs = self.directory / "rootfs"
        rootfs.mkdir()
        shutil.copy(bench.now_program, rootfs / "now")
        script = 'for m in $(awk \'$3=="cgroup2" && $2!="/sys/fs/cgroup" {print $2}\' /proc/self/mounts); do umount "$m"; done; exec "$0" "$@"'
        self.process = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, sys.executable,
             str(HERE / "bare_runtime.py"), str(self.directory), f"bb{os.getpid()}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        bench.cleanup.callback(self.end)
        self.name = self.ask("choose")["runtime"]

    def ask(self, what, **arguments):
        self.process.stdin.write(json.dumps({"what": what, **arguments}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise BenchError("the bare runtime's driver ended")
        answer = json.loads(line)
        if "error" in answer:
            raise BenchError(answer["error"])
        return answer

    def first_instruction_ms(self):
        return self.ask("first_instruction")["ms"]

    def detached_ms(self):
        return self.ask("detached")["ms"]

    def start_many_s(self, prefix, count, width):
        return self.ask("start_many", prefix=prefix, count=count, width=width)["s"]

    def replace_many_s(self, old, new, count, width):
        return self.ask("replace_many", old=old, new=new, count=count, width=width)["s"]

    def whole_lives_s(self, prefix, count, width):
        return self.ask("whole_lives", prefix=prefix, count=count, width=width)["s"]

    def remove_many(self, prefix, count, width):
        self.ask("remove_many", prefix=prefix, count=count, width=width)

    def end(self):
        if self.process.poll() is None:
            with contextlib.suppress(BenchError, BrokenPipeError):
                self.ask("clean")
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()
            end_process(self.process)


class Docker:
    """Debian's docker.io on a private socket, data root and bridge; its containers get an address on that bridge."""

    def __init__(self, bench):
        self.bench = bench
        self.directory = bench.directory("docker")
        self.socket = f"unix://{self.directory}/socket"
        self.bridge = f"bb{os.getpid() % 1000000}"
        self.client = "/usr/bin/docker" if os.path.exists("/usr/bin/docker") else "docker"
        self.process = None
        bench.cleanup.callback(self.end)

    def start(self):
        if shutil.which("dockerd") is None:
            raise BenchError("no dockerd: apt-get install docker.io")
        for command in (["link", "add", self.bridge, "type", "bridge"],
                        ["address", "add", "10.213.77.1/24", "dev", self.bridge], ["link", "set", self.bridge, "up"]):
            subprocess.run(["ip", *command], check=True)
        with open(self.directory / "log", "ab") as log:
            self.process = subprocess.Popen(
                ["dockerd", "--host", self.socket, "--data-root", str(self.directory / "data"), "--exec-root",
                 str(self.directory / "exec"), "--pidfile", str(self.directory / "pid"), "--iptables=false",
                 "--ip-masq=false", "--ip-forward=false", "--bridge", self.bridge],
                stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + 60
        while self.docker("version", check=False).returncode != 0:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise BenchError(f"dockerd did not start: {tail(self.directory / 'log', 400)}")
            time.sleep(0.1)
        archive = self.directory / "now.tar"
        with tarfile.open(archive, "w") as tar:
            tar.add(self.bench.now_program, "now")
        self.docker("import", "--change", 'CMD ["/now"]', str(archive), "berth-bench/now:1")
        return self

    def docker(self, *arguments, check=True):
        done = subprocess.run([self.client, "--host", self.socket, *arguments], capture_output=True, text=True, check=False)
        if check and done.returncode != 0:
            raise BenchError(f"docker {' '.join(arguments)}: {done.stderr.strip()}")
        return done

    def version(self):
        return self.docker("version", "--format", "{{.Server.Version}}").stdout.strip()

    def run_once_ms(self, name="one"):
        """`docker run -d` → its return, and → the container's first instruction."""
        started = time.monotonic_ns()
        self.docker("run", "--detach", "--name", name, "berth-bench/now:1")
        returned = time.monotonic_ns()
        deadline = time.monotonic() + 10
        while not (line := self.docker("logs", name).stdout.split()):
            if time.monotonic() > deadline:
                raise BenchError("docker's container wrote nothing")
        self.docker("rm", "--force", name)
        return (returned - started) / 1e6, (int(line[2]) - started) / 1e6

    def end(self):
        if self.process is not None:
            listed = self.docker("ps", "--all", "--quiet", check=False).stdout.split()
            if listed:
                self.docker("rm", "--force", *listed, check=False)
            end_process(self.process)
            self.process = None
        if pathlib.Path("/sys/class/net", self.bridge).exists():
            subprocess.run(["ip", "link", "delete", self.bridge], check=False)
        mounts = pathlib.Path("/proc/self/mounts").read_text().splitlines()
        for mount in reversed([line.split()[1] for line in mounts]):
            if mount.startswith(str(self.directory)):
                subprocess.run(["umount", "--lazy", mount], check=False)
