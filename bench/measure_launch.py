"""One container: from the call to its first instruction by its own clock, and to RUNNING as a client sees it.

The first instruction's moment is the CLOCK_MONOTONIC that the program reads before anything else and prints; the call's
moment is the same clock before boto3 is called (Berth), before `crun run` is spawned (bare) and before `docker run -d`
is spawned. Berth's launches carry an address, the VPC's rules and an awslogs stream; bare crun has none of these. First
instruction and RUNNING are measured on launches of their own, so that asking does not disturb the first.
"""
import time

from berth_tasks import GROUP, TaskBench
from harness import BenchError, Row, figure


def start_moment(tasks, caller, family, arn):
    """The container's own clock, from its log."""
    deadline = time.monotonic() + 20
    stream = tasks.stream_of(family, arn)
    while time.monotonic() < deadline:
        for event in caller.call("FilterLogEvents", logGroupName=GROUP)["events"]:
            if event["logStreamName"] == stream and event["message"].startswith("start "):
                return int(event["message"].split()[2])
        time.sleep(0.02)
    raise BenchError(f"the container's first line did not come to stream {stream}")


def first_instruction_ms(tasks, ecs, logs, family, definition):
    started = time.monotonic_ns()
    arn = tasks.run_task(definition)
    tasks.wait_for_status(ecs, arn, "RUNNING", pause_s=0.05)
    moment = start_moment(tasks, logs, family, arn)
    tasks.stop_task(ecs, arn)
    return (moment - started) / 1e6


def running_ms(tasks, ecs, definition):
    started = time.monotonic_ns()
    arn = tasks.run_task(definition)
    seen = tasks.wait_for_status(ecs, arn, "RUNNING", pause_s=0.001)
    tasks.stop_task(ecs, arn)
    return (seen - started) / 1e6


def measure(bench, bare, docker):
    tasks = TaskBench(bench)
    ecs, logs = tasks.caller("ecs"), tasks.caller("logs")
    runs = bench.runs(31, 5)
    samples = {name: [] for name in ("first", "running", "bare", "bare_detached", "docker", "docker_first")}
    for run in range(runs + 1):  # the first is not counted: it warms every side up
        # A family a run: its stream prefix makes its log short to read.
        family = f"launch-{run}"
        definition = tasks.define(family)
        values = {"first": first_instruction_ms(tasks, ecs, logs, family, definition)}
        time.sleep(0.05)
        values["bare"] = bare.first_instruction_ms()
        time.sleep(0.05)
        values["running"] = running_ms(tasks, ecs, definition)
        time.sleep(0.05)
        values["bare_detached"] = bare.detached_ms()
        time.sleep(0.05)
        if docker is not None:
            values["docker"], values["docker_first"] = docker.run_once_ms()
            time.sleep(0.05)
        if run > 0:
            for name, value in values.items():
                samples[name].append(value)
    tasks.berth.end()

    def against(what, ours, rival_name, theirs, at_most):
        return Row(what, figure(samples[ours], "ms"), rival_name, figure(samples[theirs], "ms"),
                   figure([a / b for a, b in zip(samples[ours], samples[theirs])], "×"), at_most=at_most)

    first, running = "RunTask → container's first instruction", "RunTask → RUNNING seen by DescribeTasks"
    rows = [against(first, "first", f"{bare.name} run → first instruction", "bare", 3),
            against(running, "running", f"{bare.name} run → first instruction", "bare", 3)]
    if docker is not None:
        rows += [against(first, "first", "docker run -d → first instruction", "docker_first", 1 / 8),
                 against(running, "running", "docker run -d → returned", "docker", 1 / 8)]
    rows.append(against(running, "running", f"{bare.name} run --detach → returned", "bare_detached", None))
    return rows
