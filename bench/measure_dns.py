"""Names: answers a second on one core, and how late they come, beside Knot with the same zone in the same namespaces.

    .venv/bin/python bench/measure_dns.py [--resolver build/berth-resolver] [--seconds 5]
"""
import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "tests/clients"))
import resolver_world as rw  # noqa: E402
from harness import BenchError, Row, figure  # noqa: E402

SERVICES, INSTANCES = 100, 4


def resolver_zone(daemon, world):
    changes = [rw.settings(), rw.listener(f"/run/netns/{world.vpc}"), rw.zone("corp.local")]
    for s in range(SERVICES):
        changes.append(rw.service("corp.local", f"s{s}"))
        changes += [rw.instance("corp.local", f"s{s}", f"i{i}", f"10.0.{s}.{i + 10}") for i in range(INSTANCES)]
    for at in range(0, len(changes), 500):
        daemon.tell(*changes[at:at + 500])


def start_knot(world, directory):
    lines = ["$TTL 60", "@ SOA ns. admin. 1 7200 900 1209600 60", "@ NS ns."]
    lines += [f"s{s} A 10.0.{s}.{i + 10}" for s in range(SERVICES) for i in range(INSTANCES)]
    (directory / "corp.local.zone").write_text("\n".join(lines) + "\n")
    (directory / "knot.conf").write_text(f"""
server:
  rundir: "{directory}"
  listen: 10.0.0.2@53
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
database:
  storage: "{directory}"
template:
  - id: default
    storage: "{directory}"
zone:
  - domain: corp.local
    file: "{directory}/corp.local.zone"
""")
    process = subprocess.Popen(["ip", "netns", "exec", world.vpc, "taskset", "-c", "0", "knotd", "-c",
                                str(directory / "knot.conf")], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    for _ in range(200):
        try:
            if world.ask("s1.corp.local", timeout=0.2)[1]:
                return process
        except OSError:
            time.sleep(0.02)
    raise AssertionError("knotd does not answer")


def dnsperf(world, questions, seconds, offered=None):
    command = ["dnsperf", "-s", "10.0.0.2", "-d", str(questions), "-l", str(seconds), "-c", "8", "-T", "1", "-q", "400"]
    command += ["-Q", str(offered), "-v"] if offered else []  # -v: a line for each answer, with its time
    output = world.run_in_task("taskset", "-c", "1", *command).stdout
    out = {"per_second": float(re.search(r"Queries per second:\s+([\d.]+)", output)[1]),
           "lost": int(re.search(r"Queries lost:\s+(\d+)", output)[1])}
    times = sorted(float(one) for one in re.findall(r"^> \S+ \S+ A ([\d.]+)$", output, re.M))
    if times:
        out["p99_ms"] = round(1000 * times[int(0.99 * len(times))], 3)
    return out


def memory_kib(pid):
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return {name.lower(): int(re.search(rf"^{name}:\s+(\d+)", text, re.M)[1]) for name in ("Rss", "Pss")}


def measure(resolver, seconds, rounds):
    results = {"berth": [], "knot": []}
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        questions = directory / "questions"
        questions.write_text("".join(f"s{s}.corp.local A\n" for s in range(SERVICES)))
        for _ in range(rounds):
            for who in results:
                world = rw.World(directory)
                try:
                    if who == "berth":
                        resolver_zone(world.start(resolver), world)
                        subprocess.run(["taskset", "-a", "-p", "1", str(world.process.pid)], check=True,
                                       capture_output=True)
                    else:
                        world.ip("-n", world.vpc, "addr", "add", "10.0.0.2/32", "dev", "lo")
                        world.process = start_knot(world, directory)
                    most = dnsperf(world, questions, seconds)
                    offered = dnsperf(world, questions, seconds, 25_000)
                    results[who].append({"per_second": most["per_second"], "p99_ms": offered.get("p99_ms"),
                                         "lost": offered["lost"], **memory_kib(world.process.pid)})
                finally:
                    world.close()
    return results


def rows(bench):
    """For bench/run: answers on one core and their p99 at 25,000/s offered."""
    missing = [tool for tool in ("dnsperf", "knotd") if not shutil.which(tool)]
    if missing:
        raise BenchError(f"names need {' and '.join(missing)} (Debian: dnsperf, knot)")
    results = measure(pathlib.Path(bench.berth).resolve().parent / "berth-resolver", bench.runs(5, 1), bench.runs(3, 1))
    ours, knot = results["berth"], results["knot"]

    def ratios(name):
        return figure([a[name] / b[name] for a, b in zip(ours, knot)], "×")

    return [Row("DNS answers, one core", figure([one["per_second"] for one in ours], "/s"), "knot",
                figure([one["per_second"] for one in knot], "/s"), ratios("per_second"), at_least=0.3),
            Row("the same, p99 at 25,000/s offered", figure([one["p99_ms"] for one in ours], "ms"), "knot",
                figure([one["p99_ms"] for one in knot], "ms"), ratios("p99_ms"), at_most=2)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--resolver", default=str(rw.PROGRAM))
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    results = measure(pathlib.Path(arguments.resolver).resolve(), arguments.seconds, arguments.rounds)
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
