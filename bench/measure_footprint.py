"""What Berth costs while nothing happens: start to first answer, resident memory, and the overhead of an idle task.

Start: from the spawn of the program to a complete, correct answer to a signed ListClusters, on a state directory that
exists (so that it can be signed ahead). Memory: of all of the server's processes, after 1,000 requests and, for
Berth, 20 tasks that came and went; the rivals run no tasks and get the requests only. An idle task's overhead: all that
100 waiting tasks add except the waiting program itself: supervisors (PSS), growth of the daemon (PSS), and growth of the
kernel's own memory (slab, kernel stacks, page tables, per-CPU areas) and of tmpfs. The growth of slab includes what the
bench's own containers take of it, which the bare runtime's containers take too: shown beside.
"""
import contextlib
import os
import socket
import time

from berth_tasks import TaskBench
from harness import BenchError, Row, figure, meminfo, memory_of, processes_with, tail
from measure_churn import wait_for_counts
from servers import Berth, Ministack, Moto
from signed import Caller

MEGABYTE = 1_000_000
KERNEL = ("Slab", "KernelStack", "PageTables", "SecPageTables", "Percpu", "Shmem")


def answer_once(port, request):
    """One try: the status line's code and whether the answer was complete, or None where nobody listens yet."""
    with socket.socket() as connection:
        if connection.connect_ex(("127.0.0.1", port)) != 0:
            return None
        connection.settimeout(30)
        try:
            connection.sendall(request)
            answer = b""
            while b"clusterArns" not in answer and (part := connection.recv(65536)):
                answer += part
        except ConnectionError:
            return None
        return answer


def start_ms(server):
    request = server.signer("ecs").request("ListClusters", b"{}")
    started = time.monotonic_ns()
    server.start(wait=False)
    deadline = time.monotonic() + 60
    while not (answer := answer_once(server.port, request)):
        if server.process.poll() is not None or time.monotonic() > deadline:
            raise BenchError(f"{server.name} did not start: {tail(server.log)}")
        time.sleep(0.0002)
    ended = time.monotonic_ns()
    if b" 200 " not in answer.split(b"\r\n", 1)[0] or b"clusterArns" not in answer:
        raise BenchError(f"{server.name}'s first answer is wrong: {answer[:300]!r}")
    server.end()
    return (ended - started) / 1e6


def stop_only(berth):
    """Between two starts the state directory must stay: only the daemon ends."""
    berth.process.terminate()
    berth.process.wait(20)
    berth.process = None


class KeptBerth(Berth):
    """Ends without cleaning, until finish()."""

    def end(self):
        if self.process is not None:
            stop_only(self)

    def finish(self):
        super().end()


def measure_start(bench):
    berth, moto, ministack = KeptBerth(bench), Moto(bench), Ministack(bench)
    bench.cleanup.callback(berth.finish)
    berth.start()
    berth.end()
    samples = {server.name: [] for server in (berth, moto, ministack)}
    for _ in range(bench.runs(11, 3)):
        samples["berth"].append(start_ms(berth))
    for _ in range(bench.runs(3, 1)):
        for server in (moto, ministack):
            samples["berth"].append(start_ms(berth))
            samples[server.name].append(start_ms(server))
    berth.finish()
    best = min((moto.name, ministack.name), key=lambda name: min(samples[name]))
    return [Row("start → first answer", figure(samples["berth"], "ms"), best, figure(samples[best], "ms"), at_most=20)]


def thousand_requests(server):
    caller = Caller(server.port, server.signer("ecs"))
    for i in range(500):
        caller.call("ListClusters")
        caller.call("ListTaskDefinitions")
    caller.close()


def measure_memory(bench):
    tasks = TaskBench(bench)
    caller = tasks.caller("ecs")
    definition = tasks.define("idle")
    thousand_requests(tasks.berth)
    for _ in range(bench.runs(20, 5)):
        tasks.stop_task(caller, tasks.run_task(definition))
    time.sleep(bench.runs(5, 2))
    berth = tasks.berth.memory()
    tasks.berth.end()
    rivals = {}
    for kind in (Moto, Ministack):
        server = kind(bench).start()
        thousand_requests(server)
        time.sleep(1)
        rivals[server.name] = server.memory()["rss"]
        server.end()
    best = min(rivals, key=rivals.get)
    return [Row("resident when idle, after 1,000 requests and 20 tasks", figure([berth["rss"] / MEGABYTE], "MB"), best,
                figure([rivals[best] / MEGABYTE], "MB"), at_most=13,
                note=f"of that private to it: {berth['private'] / MEGABYTE:.1f} MB")]


def kernel_bytes():
    values = meminfo()
    return sum(values.get(name, 0) for name in KERNEL)


def split_processes(tasks):
    """PSS in bytes: the daemon's, the bench's own program's in the containers, and that of all others of this Berth."""
    daemon_pid = tasks.berth.daemon_pid()
    found = {"daemon": memory_of(daemon_pid)["pss"], "supervisors": 0, "program": 0}
    ours = set(processes_with(str(tasks.berth.directory))) - {daemon_pid}
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        with contextlib.suppress(OSError, KeyError):
            if os.readlink(f"/proc/{pid}/exe") == "/now":
                found["program"] += memory_of(pid)["pss"]
            elif pid in ours:
                found["supervisors"] += memory_of(pid)["pss"]
    return found


def settle():
    time.sleep(3)


def idle_round(tasks, caller, count):
    """What `count` waiting tasks add, in bytes a task: by part, and by what the machine has left."""
    before = split_processes(tasks)
    kernel_before, available_before = kernel_bytes(), meminfo()["MemAvailable"]
    tasks.scale("idle", count)
    wait_for_counts(tasks, caller, {"idle": count})
    settle()
    after = split_processes(tasks)
    kernel, available = kernel_bytes(), meminfo()["MemAvailable"]
    tasks.scale("idle", 0)
    wait_for_counts(tasks, caller, {"idle": 0})
    settle()
    grown = {name: (after[name] - before[name]) / count / MEGABYTE for name in before}
    grown["kernel"] = (kernel - kernel_before) / count / MEGABYTE
    grown["available"] = (available_before - available) / count / MEGABYTE - grown["program"]
    grown["total"] = grown["supervisors"] + grown["daemon"] + grown["kernel"]
    return grown


def bare_round(bare, count):
    before = kernel_bytes()
    bare.start_many_s("idle", count, 8)
    settle()
    grown = kernel_bytes() - before
    bare.remove_many("idle", count, 8)
    settle()
    return grown / count / MEGABYTE


def measure_idle_tasks(bench, bare):
    count = bench.runs(100, 20)
    tasks = TaskBench(bench, tasks_max=count)
    caller = tasks.caller("ecs")
    tasks.create_service("idle", tasks.define("idle"))
    # Ten tasks come and go first: what is warmed up once for all is not a task's.
    for number in (10, 0):
        tasks.scale("idle", number)
        wait_for_counts(tasks, caller, {"idle": number})
    settle()
    rounds, bare_rounds = [], []
    for _ in range(bench.runs(3, 1)):
        rounds.append(idle_round(tasks, caller, count))
        bare_rounds.append(bare_round(bare, count))
    tasks.berth.end()
    middle = {name: sorted(r[name] for r in rounds)[len(rounds) // 2] for name in rounds[0]}
    return [Row(f"overhead of an idle task, over {count}", figure([r["total"] for r in rounds], "MB"),
                f"the kernel's part for a bare {bare.name} container", figure(bare_rounds, "MB"), at_most=1.5,
                note=f"supervisor {middle['supervisors']:.2f}, daemon {middle['daemon']:.2f}, kernel "
                     f"{middle['kernel']:.2f} MB (medians); the fall of MemAvailable, less the waiting program's own "
                     f"{middle['program']:.2f}, is {middle['available']:.2f} MB")]


def measure(bench, bare):
    return measure_start(bench) + measure_memory(bench) + measure_idle_tasks(bench, bare)
