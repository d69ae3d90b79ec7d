"""What every measure shares: the bench's own files and processes, pinning, medians, and the row of the table.

Everything that a measure makes is registered in Bench.cleanup before it is used, so that it goes whatever happens.
"""
import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
SERVER_CORE = 0
CLIENT_CORE = 1


class BenchError(Exception):
    """A measure that cannot be made; the text says why."""


@dataclasses.dataclass(frozen=True)
class Figure:
    """The median of several runs, and how far they lay apart."""

    values: tuple
    unit: str

    @property
    def median(self):
        return statistics.median(self.values)

    def text(self):
        if len(self.values) == 1:
            return f"{number(self.median)} {self.unit}".strip()
        return f"{number(self.median)} {self.unit} ({number(min(self.values))}–{number(max(self.values))})"


def figure(values, unit):
    values = tuple(values)
    if not values:
        raise BenchError("no run gave a value")
    return Figure(values, unit)


def number(value):
    if value >= 1000:
        return f"{value:,.0f}"
    if value >= 100:
        return f"{value:.0f}"
    if value >= 10:
        return f"{value:.1f}"
    if value >= 1 or value == 0:
        return f"{value:.2f}"
    return f"{value:.3f}"  # an eighth is 0.125: with two digits a bound would look stricter than it is


def percentile(values, q):
    """The nearest-rank percentile: with 60 values, the 99th is the highest."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * q // 100) - 1)]


@dataclasses.dataclass
class Row:
    """One line of the table. `bound` is compared with the ratio where there is one, else with Berth's own figure."""

    what: str
    berth: Figure
    rival_name: str = ""
    rival: Figure | None = None
    ratio: Figure | None = None
    at_most: float | None = None
    at_least: float | None = None
    note: str = ""

    def judged(self):
        return (self.ratio or self.berth).median

    def reached(self):
        if self.at_most is not None:
            return self.judged() <= self.at_most
        if self.at_least is not None:
            return self.judged() >= self.at_least
        return None

    def must(self):
        unit = "×" if self.ratio else self.berth.unit
        if self.at_most is not None:
            return f"≤ {number(self.at_most)} {unit}"
        if self.at_least is not None:
            return f"≥ {number(self.at_least)} {unit}"
        return "–"

    def verdict(self):
        reached = self.reached()
        if reached is None:
            return "–"
        if reached:
            return "yes"
        bound = self.at_most if self.at_most is not None else self.at_least
        if bound == 0:
            return f"NO, {number(self.judged())} too many"
        factor = self.judged() / bound if self.at_most is not None else bound / max(self.judged(), 1e-9)
        return f"NO, by a factor of {factor:.2f}"

    def as_json(self):
        def values(of):
            return None if of is None else {"median": of.median, "values": list(of.values), "unit": of.unit}

        return {
            "what": self.what, "berth": values(self.berth), "rival_name": self.rival_name,
            "rival": values(self.rival), "ratio": values(self.ratio), "at_most": self.at_most,
            "at_least": self.at_least, "reached": self.reached(), "note": self.note,
        }


class Bench:
    """The run: its directory, its programs, its settings, and what must be undone."""

    def __init__(self, build, berth, work, quick):
        self.build = pathlib.Path(build)
        self.berth = pathlib.Path(berth)
        self.quick = quick
        self.cleanup = contextlib.ExitStack()
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="berth-bench-", dir=work))
        self.cleanup.callback(shutil.rmtree, self.work, ignore_errors=True)

    @property
    def load_program(self):
        return self.build / "bench" / "berth-load"

    @property
    def now_program(self):
        return self.build / "bench" / "berth-now"

    def runs(self, full, quick):
        return quick if self.quick else full

    def say(self, text):
        print(f"bench: {text}", file=sys.stderr, flush=True)

    def directory(self, name):
        path = pathlib.Path(tempfile.mkdtemp(prefix=name + "-", dir=self.work))
        path.chmod(0o755)
        return path

    def load(self, port, requests, connections, seconds=0.0):
        """Runs the load generator on the client's core; its figures as a dict."""
        command = ["taskset", "-c", str(CLIENT_CORE), str(self.load_program), "--port", str(port), "--requests",
                   str(requests), "--connections", str(connections), "--seconds", str(seconds)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise BenchError(done.stderr.strip())
        result = json.loads(done.stdout)
        if result["errors"]:
            raise BenchError(f"{result['errors']} of {result['requests']} answers were wrong, the first: "
                             f"{result['first_error']}")
        return result


def pinned(command, core):
    return ["taskset", "-c", str(core)] + list(command) if core is not None else list(command)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port, process, log, timeout_s=60.0):
    """Until something listens. Polls without a pause that could be seen in a start time of milliseconds."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None:
            raise BenchError(f"{process.args[0]} ended with status {process.returncode}: {tail(log)}")
        time.sleep(0.0002)
    raise BenchError(f"nothing listened on port {port} within {timeout_s:.0f} s: {tail(log)}")


def tail(log, size=2000):
    with contextlib.suppress(OSError):
        return pathlib.Path(log).read_text(errors="replace")[-size:].strip()
    return ""


def end_process(process, timeout_s=20.0):
    """SIGTERM, then SIGKILL; only ever for a process that the bench started."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def processes_with(marker):
    """Ids of the processes that inherited NAME=VALUE in their environment, or have it among their arguments."""
    found = []
    needle = marker.encode()
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        for name in ("environ", "cmdline"):
            with contextlib.suppress(OSError):
                if needle in pathlib.Path("/proc", entry, name).read_bytes():
                    found.append(int(entry))
                    break
    return found


def memory_of(pid):
    """Resident, proportional and private bytes of a process."""
    values = {}
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, amount = line.split(":")
        values[name] = int(amount.split()[0]) * 1024
    return {"rss": values["Rss"], "pss": values["Pss"],
            "private": values["Private_Clean"] + values["Private_Dirty"]}


def meminfo():
    values = {}
    for line in pathlib.Path("/proc/meminfo").read_text().splitlines():
        name, amount = line.split(":")
        values[name] = int(amount.split()[0]) * 1024
    return values


def durable_writes_per_second(directory, seconds=1.0):
    """What the disk itself gives: 4 KiB appended and made durable, one after the other."""
    path = pathlib.Path(directory, "fsync")
    page = b"x" * 4096
    count = 0
    with open(path, "wb", buffering=0) as file:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            file.write(page)
            os.fdatasync(file.fileno())
            count += 1
    path.unlink()
    return count / seconds
