"""Runs the measures, prints the table. Called by bench/run, which has made the programs and the environment."""
import argparse
import importlib.metadata
import os
import signal
import subprocess
import sys
import traceback

import measure_churn
import measure_describe
import measure_dns
import measure_footprint
import measure_launch
import measure_logs
import measure_register
import report
from harness import Bench, BenchError, durable_writes_per_second
from runtimes import Bare, Docker

MEASURES = {
    "launch": lambda bench, bare, docker: measure_launch.measure(bench, bare, docker()),
    "churn": lambda bench, bare, docker: measure_churn.measure(bench, bare),
    "describe": lambda bench, bare, docker: measure_describe.measure(bench),
    "register": lambda bench, bare, docker: measure_register.measure(bench),
    "footprint": lambda bench, bare, docker: measure_footprint.measure(bench, bare),
    "dns": lambda bench, bare, docker: measure_dns.rows(bench),
    "logs": lambda bench, bare, docker: measure_logs.measure(bench),
}


def parse_arguments():
    parser = argparse.ArgumentParser(prog="bench/run", description="Measures Berth against its rivals, in one run.")
    parser.add_argument("--build", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--berth", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--work", default="/var/tmp", help="where the bench's files go; a real disk (default %(default)s)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    parser.add_argument("--only", metavar="NAME,…", default=",".join(MEASURES),
                        help="of these measures (default %(default)s)")
    parser.add_argument("--quick", action="store_true", help="short runs, to check the bench; the figures say nothing")
    parser.add_argument("--without-docker", action="store_true", help="do not measure against dockerd")
    arguments = parser.parse_args()
    unknown = set(arguments.only.split(",")) - set(MEASURES)
    if unknown:
        parser.error(f"no measure is called {', '.join(sorted(unknown))}; there are {', '.join(MEASURES)}")
    return arguments


def run_measures(bench, names, without_docker):
    rows, failures, versions = [], {}, {}
    bare = Bare(bench)
    version = subprocess.run([bare.name, "--version"], capture_output=True, text=True, check=False).stdout
    versions["bare"] = version.splitlines()[0] if version else bare.name

    def docker():
        if without_docker:
            return None
        daemon = Docker(bench).start()
        versions["docker"] = daemon.version()
        return daemon

    for name in names:
        bench.say(f"{name} …")
        try:
            rows += MEASURES[name](bench, bare, docker)
        except Exception as error:  # one measure's failure is told in the table and does not take the others with it
            failures[name] = f"{type(error).__name__}: {error}"
            if not isinstance(error, BenchError):
                traceback.print_exc()
            bench.say(f"{name} failed: {error}")
    return rows, failures, versions


def main():
    arguments = parse_arguments()
    if os.geteuid() != 0:
        sys.exit("bench: containers need root: run it with sudo")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    bench = Bench(arguments.build, arguments.berth, arguments.work, arguments.quick)
    with bench.cleanup:
        fsyncs = durable_writes_per_second(bench.work)
        facts = report.machine_facts(bench, {}, fsyncs)
        rows, failures, versions = run_measures(bench, arguments.only.split(","), arguments.without_docker)
    facts |= versions | {name: importlib.metadata.version(name) for name in ("moto", "ministack")}
    print(report.facts_text(facts), report.table(rows), report.notes(rows, failures), sep="\n\n")
    if arguments.json:
        report.write_json(arguments.json, facts, rows, failures)
    # A missed figure is a result, not a failure of the bench; a measure that could not be made is.
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
