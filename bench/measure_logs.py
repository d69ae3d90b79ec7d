"""Ten tasks write 50,000 lines a second in all, in blocking mode, while an eleventh writes one line a second.

Every line carries its number and the moment (CLOCK_REALTIME, its host's) at which it was written. A line of the eleventh is
visible when an answer of FilterLogEvents that holds it is in hand; the bench asks without a pause, for that stream only.
Afterwards every stream is read back through FilterLogEvents: each number must be there once, in order, and no
event id may come twice.
"""
import threading
import time

from berth_tasks import CLUSTER, GROUP, TaskBench
from harness import BenchError, Row, figure, percentile

WRITERS = 10
LINES_PER_SECOND = 50_000
PROBE = "probe"


def watch_probe(tasks, stream, count, seen, failure, stop):
    """Notes for each number the moment at which it was first seen."""
    caller = tasks.caller("logs")
    try:
        since = None
        while len(seen) < count and not stop.is_set():
            members = {"logGroupName": GROUP, "logStreamNames": [stream]}
            if since is not None:
                members["startTime"] = since
            answer = caller.call("FilterLogEvents", **members)
            now = time.time_ns()
            for event in answer["events"]:
                words = event["message"].split()
                if words[0] == PROBE and int(words[1]) not in seen:
                    seen[int(words[1])] = (now - int(words[2])) / 1e6
                    since = event["timestamp"]
            time.sleep(0.002)
    except Exception as error:  # handed to the measuring thread, which raises it
        failure.append(error)
    finally:
        caller.close()


def read_numbers(caller, stream, name):
    """Of every line of the stream, in the order in which it comes; and the event ids."""
    numbers, identities, done, token = [], set(), False, None
    while True:
        members = {"logGroupName": GROUP, "logStreamNames": [stream], "limit": 10_000}
        if token:
            members["nextToken"] = token
        answer = caller.call("FilterLogEvents", **members)
        for event in answer["events"]:
            identities.add(event["eventId"])
            words = event["message"].split(" ", 2)
            if words[0] == name:
                numbers.append(int(words[1]))
            done = done or words[0] == "done"
        token = answer.get("nextToken")
        if not token:
            return numbers, identities, done


def wait_until_written(tasks, caller, streams, timeout_s):
    """Until every writer's last line, "done", is in its stream."""
    deadline = time.monotonic() + timeout_s
    waiting = dict(streams)
    while waiting:
        for name, stream in list(waiting.items()):
            answer = caller.call("FilterLogEvents", logGroupName=GROUP, logStreamNames=[stream],
                                 startTime=int((time.time() - 30) * 1000), filterPattern="done")
            if answer["events"]:
                del waiting[name]
        if waiting and time.monotonic() > deadline:
            raise BenchError(f"writers {sorted(waiting)} did not finish within {timeout_s:.0f} s")
        time.sleep(0.5)


def measure(bench):
    seconds = bench.runs(60, 8)
    rate = LINES_PER_SECOND // WRITERS
    tasks = TaskBench(bench)
    ecs, logs = tasks.caller("ecs"), tasks.caller("logs")
    blocking = {"mode": "blocking"}
    arns, streams = [], {}
    probe_definition = tasks.define(PROBE, ["lines", PROBE, "1", str(seconds + 5)], log_options=blocking)
    definitions = {f"w{i}": tasks.define(f"w{i}", ["lines", f"w{i}", str(rate), str(rate * seconds)], log_options=blocking)
                   for i in range(WRITERS)}

    started = time.monotonic()
    probe_arn = tasks.run_task(probe_definition)
    for name, definition in definitions.items():
        arn = tasks.run_task(definition)
        arns.append(arn)
        streams[name] = tasks.stream_of(name, arn)
    for arn in arns + [probe_arn]:
        tasks.wait_for_status(ecs, arn, "RUNNING", pause_s=0.01)
    seen, failure, stop = {}, [], threading.Event()
    watcher = threading.Thread(target=watch_probe,
                               args=(tasks, tasks.stream_of(PROBE, probe_arn), seconds + 5, seen, failure, stop))
    watcher.start()
    try:
        time.sleep(seconds)
        wait_until_written(tasks, logs, streams, timeout_s=seconds * 4)
        wrote_s = time.monotonic() - started
    finally:
        time.sleep(6)
        stop.set()
        watcher.join()
    if failure:
        raise failure[0]
    for arn in arns + [probe_arn]:
        tasks.ecs.stop_task(cluster=CLUSTER, task=arn)

    lost, doubled, disordered, read = 0, 0, 0, 0
    reading = time.monotonic()
    for name, stream in streams.items():
        numbers, identities, _ = read_numbers(logs, stream, name)
        read += len(numbers)
        lost += rate * seconds - len(set(numbers))
        doubled += len(numbers) - len(set(numbers)) + max(0, len(numbers) + 2 - len(identities))
        disordered += sum(1 for a, b in zip(numbers, numbers[1:]) if b < a)
    read_s = time.monotonic() - reading
    tasks.berth.end()
    # The first probe lines came before the watcher asked: only those written after it began count.
    delays = [delay for number, delay in sorted(seen.items()) if number >= 3]
    if len(delays) < seconds - 3:
        raise BenchError(f"only {len(delays)} of {seconds} probe lines were seen")
    what = f"{WRITERS} tasks, 50,000 lines/s in all for {seconds} s, blocking"
    return [
        Row(f"{what}: probe line → FilterLogEvents, p99", figure([percentile(delays, 99)], "ms"), at_most=100,
            note=f"median {percentile(delays, 50):.1f} ms of {len(delays)} lines; all {read:,} lines written and "
                 f"visible {wrote_s:.1f} s after the first RunTask; read back in {read_s:.1f} s"),
        Row("the same, lines lost", figure([lost], "lines"), at_most=0),
        Row("the same, lines or ids twice, or out of order", figure([doubled + disordered], "lines"), at_most=0),
    ]
