"""A service from 0 to 100 tasks, then 100 tasks of one service stopping while 100 of another start.

Berth is timed from UpdateService to the DescribeServices answer that tells 100 running (and, in the second part, until
every task of the first service is STOPPED). The bare runtime starts 100 containers eight at a time with `run --detach`,
which returns when the container runs; in the second part `delete --force` of the old ones goes on at the same time,
also eight wide. For comparison only: 100 whole lives (`run` of a program that ends at once, deletion included), eight
wide. An error is any task that stopped unasked, any task too many, and any container that failed.
"""
import time

from berth_tasks import TaskBench
from harness import BenchError, Row, figure

WIDTH = 8
PAUSE_S = 0.01


def wait_for_counts(tasks, caller, wanted, timeout_s=180.0):
    """Until each service of `wanted` has that many running and none pending."""
    deadline = time.monotonic() + timeout_s
    while True:
        seen = {name: tasks.counts(caller, name) for name in wanted}
        if all(seen[name][:2] == (count, 0) for name, count in wanted.items()):
            return time.monotonic()
        if time.monotonic() > deadline:
            events = [event["message"] for name in wanted for event in seen[name][2]["events"][:3]]
            raise BenchError(f"counts {({name: seen[name][:2] for name in wanted})} after {timeout_s:.0f} s; {events}")
        time.sleep(PAUSE_S)


def wait_until_stopped(tasks, arns, timeout_s=60.0):
    deadline = time.monotonic() + timeout_s
    while any(task["lastStatus"] != "STOPPED" for task in tasks.describe(arns)):
        if time.monotonic() > deadline:
            raise BenchError("tasks of the old service do not stop")
        time.sleep(PAUSE_S)
    return time.monotonic()


def errors_of(tasks, started, stopped):
    """`started`: service → how many tasks it should ever have had. `stopped`: arns that were stopped on purpose."""
    errors = 0
    for name, count in started.items():
        arns = set(tasks.tasks_of(name, "RUNNING")) | set(tasks.tasks_of(name, "STOPPED"))
        errors += abs(len(arns) - count)
        for task in tasks.describe(sorted(arns)):
            if task["lastStatus"] == "STOPPED" and (
                    task["taskArn"] not in stopped or task.get("stopCode") != "ServiceSchedulerInitiated"):
                errors += 1
    return errors


def one_round(tasks, caller, run, count):
    old, new = f"old-{run}", f"new-{run}"
    definition = tasks.define("churn", logs=True)
    tasks.create_service(old, definition)
    tasks.create_service(new, definition)

    started = time.monotonic()
    tasks.scale(old, count)
    up_s = wait_for_counts(tasks, caller, {old: count}) - started
    old_arns = tasks.tasks_of(old, "RUNNING")

    started = time.monotonic()
    tasks.scale(new, count)
    tasks.scale(old, 0)
    wait_for_counts(tasks, caller, {old: 0, new: count})
    replaced_s = wait_until_stopped(tasks, old_arns) - started

    errors = errors_of(tasks, {old: count, new: count}, set(old_arns))
    new_arns = tasks.tasks_of(new, "RUNNING")
    tasks.scale(new, 0)
    wait_for_counts(tasks, caller, {new: 0})
    wait_until_stopped(tasks, new_arns)
    for name in (old, new):
        tasks.ecs.delete_service(cluster="bench", service=name)
    return count / up_s, count / replaced_s, errors


def measure(bench, bare):
    count = bench.runs(100, 20)
    tasks = TaskBench(bench, tasks_max=2 * count)
    caller = tasks.caller("ecs")
    up, replaced, bare_up, bare_replaced, bare_lives, errors = [], [], [], [], [], 0
    for run in range(bench.runs(5, 2)):
        up_rate, replaced_rate, wrong = one_round(tasks, caller, run, count)
        up.append(up_rate)
        replaced.append(replaced_rate)
        errors += wrong
        time.sleep(1)
        bare_up.append(count / bare.start_many_s("old", count, WIDTH))
        bare_replaced.append(count / bare.replace_many_s("old", "new", count, WIDTH))
        bare.remove_many("new", count, WIDTH)
        bare_lives.append(count / bare.whole_lives_s("life", count, WIDTH))
        time.sleep(1)
    tasks.berth.end()

    def against(what, ours, theirs, rival, at_least=0.4):
        return Row(what, figure(ours, "tasks/s"), rival, figure(theirs, "containers/s"),
                   figure([a / b for a, b in zip(ours, theirs)], "×"), at_least=at_least)

    return [
        against(f"service 0 → {count} tasks running", up, bare_up, f"{bare.name} run --detach, {WIDTH} wide"),
        against(f"{count} stopping while {count} start", replaced, bare_replaced,
                f"{bare.name} run and delete, {WIDTH} wide each"),
        against(f"service 0 → {count} tasks running", up, bare_lives, f"{bare.name} run to its end, {WIDTH} wide", None),
        Row("errors in both", figure([errors], "errors"), at_most=0),
    ]
