"""RegisterTaskDefinition from 64 connections: a family each, and all in one family.

Durable: an answer leaves after its write has been fsynced. That is checked twice: the daemon is killed with SIGKILL
right after the last answer and started again, and must list exactly as many revisions as it acknowledged; and the number of
fsyncs that it makes for one request alone is counted with strace (at least one). The rate at which the disk itself makes 4 KiB
durable, one after the other, stands beside.
"""
import contextlib
import re
import shutil
import signal
import subprocess
import time

import definitions
from harness import BenchError, Row, durable_writes_per_second, figure
from servers import Berth
from signed import Caller, write_requests

CONNECTIONS = 64


def register_calls(definition, prefix, families, count):
    for i in range(count):
        family = f"{prefix}-{i % families}"
        yield "RegisterTaskDefinition", definitions.body(definition, family), f"task-definition/{family}:".encode()


def count_revisions(berth):
    pages = berth.client("ecs").get_paginator("list_task_definitions").paginate()
    return sum(len(page["taskDefinitionArns"]) for page in pages)


def fsyncs_of_one_request(berth):
    """How often the daemon calls fsync or fdatasync while it answers one RegisterTaskDefinition."""
    if shutil.which("strace") is None:
        return None
    trace = berth.directory / "strace"
    tracer = subprocess.Popen(["strace", "-f", "-p", str(berth.daemon_pid()), "-e", "trace=fsync,fdatasync", "-o", str(trace)],
                              stderr=subprocess.PIPE, text=True)
    tracer.stderr.readline()  # "Process … attached"
    time.sleep(0.2)
    caller = Caller(berth.port, berth.signer("ecs"))
    caller.call("RegisterTaskDefinition", family="traced", **definitions.SMALL)
    caller.close()
    tracer.send_signal(signal.SIGINT)
    tracer.wait(10)
    with contextlib.suppress(OSError):
        return len(re.findall(r"f(?:data)?sync\(", trace.read_text()))
    return None


def measure(bench):
    rows = []
    seconds = bench.runs(3.0, 1.0)
    disk = [durable_writes_per_second(bench.work) for _ in range(3)]
    sizes = {"one container": definitions.SMALL, "the platform's": definitions.platform()}
    for size, definition in sizes.items():
        for families, words in ((CONNECTIONS, "a family each"), (1, "one family")):
            berth = Berth(bench)
            berth.start()
            rates, acknowledged = [], 0
            for run in range(bench.runs(5, 2)):
                path = bench.work / "register"
                write_requests(path, berth.signer("ecs"),
                               register_calls(definition, f"run{run}", families, int(10_000 * seconds)))
                result = bench.load(berth.port, path, CONNECTIONS, seconds)
                rates.append(result["per_second"])
                acknowledged += result["requests"]
                path.unlink()
            berth.kill()
            berth.start()
            kept = count_revisions(berth)
            if kept != acknowledged:
                raise BenchError(f"{acknowledged} registrations were acknowledged, {kept} are there after kill -9")
            fsyncs = fsyncs_of_one_request(berth)
            if fsyncs == 0:
                raise BenchError("RegisterTaskDefinition was answered without an fsync")
            berth.end()
            rows.append(Row(f"RegisterTaskDefinition durable, 64 connections, {words} ({size}, "
                            f"{len(definitions.body(definition, 'f')) / 1000:.1f} kB)",
                            figure(rates, "/s"), "the disk's own fsyncs, one by one", figure(disk, "/s"), at_least=3000))
    return rows
