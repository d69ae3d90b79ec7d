"""The table, for a terminal and for docs/benchmarks.md (it is Markdown), and the same as JSON."""
import datetime
import json
import pathlib
import platform
import subprocess


def machine_facts(bench, versions, fsyncs):
    cpu = next((line.split(":", 1)[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")), platform.machine())
    memory = next(int(line.split()[1]) for line in open("/proc/meminfo") if line.startswith("MemTotal"))
    cores = len(pathlib.Path("/proc/cpuinfo").read_text().split("\nprocessor")) if cpu else 0
    build_type = "unknown"
    cache = bench.build / "CMakeCache.txt"
    if cache.exists():
        for line in cache.read_text().splitlines():
            if line.startswith("CMAKE_BUILD_TYPE:"):
                build_type = line.split("=", 1)[1] or "none"
    commit = subprocess.run(["git", "-C", str(pathlib.Path(__file__).parent), "rev-parse", "--short", "HEAD"],
                            capture_output=True, text=True, check=False).stdout.strip() or "unknown"
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "kernel": platform.release(), "processor": cpu, "cores": cores, "memory_gib": round(memory / 2**20, 1),
        "fsyncs_per_second": round(fsyncs), "load_before": pathlib.Path("/proc/loadavg").read_text().split()[0],
        "commit": commit, "build_type": build_type, "quick": bench.quick, **versions,
    }


def facts_text(facts):
    versions = ", ".join(f"{name} {facts[name]}" for name in ("bare", "docker", "moto", "ministack") if name in facts)
    text = (f"{facts['date']}; Linux {facts['kernel']}, {facts['cores']} cores ({facts['processor']}), {facts['memory_gib']} GiB; "
            f"the disk makes {facts['fsyncs_per_second']:,} writes of 4 KiB durable a second, one by one; load before the "
            f"run {facts['load_before']}. Berth {facts['commit']}, built as {facts['build_type']}; rivals: {versions}.")
    if facts["quick"]:
        text += " **--quick: shortened runs, for checking the bench itself; the figures say nothing.**"
    return text


COLUMNS = ("what", "Berth", "rival", "ratio", "must reach", "reached?")


def cells(row):
    rival = f"{row.rival.text()} ({row.rival_name})" if row.rival else "–"
    return (row.what, row.berth.text(), rival, row.ratio.text() if row.ratio else "–", row.must(), row.verdict())


def table(rows):
    lines = [COLUMNS] + [cells(row) for row in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(COLUMNS))]
    draw = lambda line: "| " + " | ".join(text.ljust(width) for text, width in zip(line, widths)) + " |"
    return "\n".join([draw(lines[0]), "|" + "|".join("-" * (width + 2) for width in widths) + "|"] +
                     [draw(line) for line in lines[1:]])


def notes(rows, failures):
    lines = [f"- {row.what}: {row.note}." for row in rows if row.note]
    lines += [f"- NOT MEASURED: {name}: {reason}" for name, reason in failures.items()]
    return "\n".join(lines)


def write_json(path, facts, rows, failures):
    pathlib.Path(path).write_text(json.dumps(
        {"machine": facts, "rows": [row.as_json() for row in rows], "not_measured": failures}, indent=2) + "\n")
