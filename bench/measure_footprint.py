"""What Berth costs while nothing happens: start to first answer, resident memory, and the overhead of an idle task.

Start: from the spawn of the program to a complete, correct answer to a signed ListClusters, on a state directory that
exists (so that it can be signed ahead). Memory: of all of the server's processes, after 1,000 requests and, for
Berth, 20 tasks that came and went; the rivals run no tasks and get the requests only. An idle task's overhead: all that
100 waiting tasks add except the waiting program itself: supervisors (PSS), growth of the daemon (PSS), and growth of the
kernel's own memory (slab, kernel stacks, page tables, per-CPU areas) and of tmpfs. The growth of slab includes what the
bench's own containers take of it, which the bare runtime's containers take too: shown beside.
"""
import os
import socket
import time

import berth_tasks
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
    """PSS of the daemon, of the bench's own program in the containers, and of everything else of this Berth."""
    daemon_pid = tasks.berth.daemon_pid()
    daemon = memory_of(daemon_pid)["pss"]
    others, payload, count = 0, 0, 0
    for pid in set(processes_with(str(tasks.berth.directory))) - {daemon_pid}:
        try:
            others += memory_of(pid)["pss"]
            count += 1
        except (OSError, KeyError):
            continue
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{pid}/exe") == "/now":
                payload += memory_of(pid)["pss"]
        except (OSError, KeyError):
            continue
    return daemon, others, payload, count


def settle():
    time.sleep(3)


def measure_idle_tasks(bench, bare):
    count = bench.runs(100, 20)
    tasks = TaskBench(bench, tasks_max=count)
    caller = tasks.caller("ecs")
    definition = tasks.define("idle")
    tasks.create_service("idle", definition)
    # Ten tasks come and go first: what is warmed up once for all is not a task's.
    for number in (10, 0):
        tasks.scale("idle", number)
        wait_for_counts(tasks, caller, {"idle": number})
    settle()
    daemon_before, others_before, _, _ = split_processes(tasks)
    kernel_before, available_before = kernel_bytes(), meminfo()["MemAvailable"]
    tasks.scale("idle", count)
    wait_for_counts(tasks, caller, {"idle": count})
    settle()
    daemon, others, payload, processes = split_processes(tasks)
    kernel, available = kernel_bytes(), meminfo()["MemAvailable"]
    tasks.scale("idle", 0)
    wait_for_counts(tasks, caller, {"idle": 0})
    tasks.berth.end()
    settle()

    bare_before = kernel_bytes()
    bare.start_many_s("idle", count, 8)
    settle()
    bare_kernel = kernel_bytes() - bare_before
    bare.remove_many("idle", count, 8)

    supervisors = others - others_before
    growth = daemon - daemon_before
    total = supervisors + growth + (kernel - kernel_before)
    each = lambda value: value / count / MEGABYTE
    return [Row(f"overhead of an idle task, over {count}", figure([each(total)], "MB"),
                f"kernel memory alone of a bare {bare.name} container", figure([each(bare_kernel)], "MB"), at_most=1.5,
                note=f"supervisor {each(supervisors):.2f} ({processes} processes), daemon {each(growth):.2f}, kernel "
                     f"{each(kernel - kernel_before):.2f}; fall of MemAvailable less the program's own "
                     f"{each(payload):.2f}: {each(available_before - available - payload):.2f} MB")]


def measure(bench, bare):
    return measure_start(bench) + measure_memory(bench) + measure_idle_tasks(bench, bare)
