"""The API servers that are compared: Berth, moto and ministack, each with its own port and its own directory.

Each is started by the command that its users type, with request logging off where that is a setting.
"""
import configparser
import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import time

import boto3
from botocore.config import Config

from harness import BenchError, end_process, free_port, memory_of, pinned, processes_with, tail, wait_for_port
from signed import Signer

REGION = "us-east-1"


class Server:
    """A running server. `core` pins it and everything that it starts."""

    name = ""

    def __init__(self, bench, core=None):
        self.bench, self.core = bench, core
        self.port = free_port()
        self.directory = bench.directory(self.name)
        self.log = self.directory / "log"
        self.process = None
        self.marker = f"BERTH_BENCH_SERVER={self.directory}"
        self.access_key, self.secret_key = "AKIDBENCHBENCHBENCH0", "bench"
        bench.cleanup.callback(self.end)

    def command(self):
        raise NotImplementedError

    def environment(self):
        return {}

    def start(self, wait=True):
        name, value = self.marker.split("=", 1)
        environment = {**os.environ, **self.environment(), name: value}
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(pinned(self.command(), self.core), env=environment, stdout=log,
                                            stderr=log, stdin=subprocess.DEVNULL, cwd=self.directory,
                                            start_new_session=True)
        if wait:
            wait_for_port(self.port, self.process, self.log)
        return self

    def end(self):
        if self.process is not None:
            end_process(self.process)
            self.process = None

    def signer(self, service):
        return Signer(self.access_key, self.secret_key, REGION, service)

    def client(self, service):
        return boto3.client(service, region_name=REGION, endpoint_url=f"http://127.0.0.1:{self.port}",
                            aws_access_key_id=self.access_key, aws_secret_access_key=self.secret_key,
                            config=Config(retries={"total_max_attempts": 1}, read_timeout=120,
                                          parameter_validation=False, max_pool_connections=64))

    def memory(self):
        """Of all its processes; a page that several share is counted once, by halves and thirds (PSS)."""
        total = {"rss": 0, "pss": 0, "private": 0}
        for pid in processes_with(self.marker):
            with contextlib.suppress(OSError, KeyError):
                for name, value in memory_of(pid).items():
                    total[name] += value
        return total


class Moto(Server):
    name = "moto"

    def command(self):
        return [str(pathlib.Path(sys.executable).with_name("moto_server")), "-H", "127.0.0.1", "-p", str(self.port)]


class Ministack(Server):
    name = "ministack"

    def command(self):
        return [str(pathlib.Path(sys.executable).with_name("ministack"))]

    def environment(self):
        return {"GATEWAY_PORT": str(self.port), "BIND_HOST": "127.0.0.1", "LOG_LEVEL": "WARNING",
                "S3_DATA_DIR": str(self.directory / "s3")}


class Berth(Server):
    """`berth serve` with the real agent, its own state directory, and signatures checked."""

    name = "berth"

    def __init__(self, bench, core=None, flags=()):
        super().__init__(bench, core)
        self.state = self.directory / "state"
        self.flags = list(flags)

    def command(self):
        return [str(self.bench.berth), "serve", "--listen", f"127.0.0.1:{self.port}", "--state", str(self.state),
                "--region", REGION] + self.flags

    def start(self, wait=True):
        super().start(wait)
        if wait:
            self.read_keys()
        return self

    def read_keys(self):
        path = self.state / "credentials"
        deadline = time.monotonic() + 10
        while not path.exists():
            if time.monotonic() > deadline:
                raise BenchError(f"berth made no {path}: {tail(self.log)}")
            time.sleep(0.01)
        parser = configparser.ConfigParser()
        parser.read(path)
        section = parser[parser.sections()[0]] if parser.sections() else parser["DEFAULT"]
        self.access_key = section["aws_access_key_id"]
        self.secret_key = section["aws_secret_access_key"]

    def run(self, *arguments, check=True):
        done = subprocess.run([str(self.bench.berth), *arguments, "--state", str(self.state)], capture_output=True,
                              text=True, check=False, timeout=180)
        if check and done.returncode != 0:
            raise BenchError(f"berth {' '.join(arguments)}: {done.stderr.strip() or done.stdout.strip()}")
        return done

    def daemon_pid(self):
        """The daemon itself: taskset, where it is used, has become it by exec."""
        return self.process.pid

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process = None

    def end(self):
        """Tasks too, and everything that was made on the host; what is left after that is killed by its id."""
        if self.process is not None and self.process.poll() is None:
            with contextlib.suppress(BenchError, subprocess.TimeoutExpired):
                self.run("stop", "--stop-tasks", check=False)
            end_process(self.process)
        self.process = None
        if not self.directory.exists():
            return
        with contextlib.suppress(BenchError, subprocess.TimeoutExpired):
            self.run("host", "clean", check=False)
        for pid in processes_with(str(self.directory)):
            self.bench.say(f"berth left process {pid} behind: killed")
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        mounts = pathlib.Path("/proc/self/mounts").read_text().splitlines()
        for mount in reversed([line.split()[1] for line in mounts]):
            if mount.startswith(str(self.directory) + "/"):
                self.bench.say(f"berth left mount {mount} behind: unmounted")
                subprocess.run(["umount", "--lazy", mount], check=False)
