#!/usr/bin/env python3
"""The house rules as a test: which folder includes which, length of files, words that must not be committed.

The table of folders is the one in docs/architecture.md, so that the page cannot go stale.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
LINES_MAX = 600
SOURCES = (".cc", ".h", ".c")


def table():
    page = (ROOT / "docs/architecture.md").read_text()
    block = page.split("<!-- tidy: begin -->")[1].split("<!-- tidy: end -->")[0]
    rules = {}
    for row in re.findall(r"^\| `([^`]+)` \|(.*)\|$", block, re.M):
        rules[row[0]] = re.findall(r"`([^`]+)`", row[1])
    return rules


def folder_of(path, rules):
    """The longest row of the table that the path lies in."""
    best = ""
    for folder in rules:
        if (path == folder or path.startswith(folder + "/")) and len(folder) > len(best):
            best = folder
    return best


def allowed(source, include, rules):
    own, other = folder_of(source, rules), folder_of(include, rules)
    if own == other or other == "base":
        return True
    return any(known == "*" or include == known or include.startswith(known + "/") for known in rules[own])


def problems():
    rules = table()
    src = ROOT / "src"
    for path in sorted(src.rglob("*")):
        if path.suffix not in SOURCES:
            continue
        name = path.relative_to(src).as_posix()
        text = path.read_text()
        if not folder_of(name, rules):
            yield f"{name}: its folder is not in the table of docs/architecture.md"
            continue
        for include in re.findall(r'^#include "([^"]+)"', text, re.M):
            if "/" not in include or not folder_of(include, rules):
                yield f'{name}: includes "{include}", which is no path from src/'
            elif not name.endswith("_test.cc") and not allowed(name, include, rules):
                yield f'{name}: may not know "{include}" (docs/architecture.md)'
        lines = text.count("\n")
        if lines > LINES_MAX:
            yield f"{name}: {lines} lines, more than {LINES_MAX}: find the seam"
        if name.startswith("control/") and not name.startswith("control/loop") and not name.endswith("_test.cc"):
            if re.search(r"\b(SystemClock|SystemRandom|time\(|getrandom|std::random_device|system_clock::now)", text):
                yield f"{name}: a decision takes time and chance as arguments"
        waits = re.findall(r"(?:^.*\n)?.*\b(?:sleep_for|usleep|(?<!bool )sleep)\s*\(.*", text, re.M)
        if any("No event" not in line and "->sleep(" not in line for line in waits):
            yield f"{name}: waits by the clock; wait on the event instead, or say why there is none (\"No event: …\")"
    simulator = (src / "sim/sim_test.cc").read_text()
    for path in sorted((src / "control").rglob("*.cc")) + sorted((src / "agent_simulated").glob("*.cc")):
        for branch in re.findall(r'\b(?:note|rare)\((?:[\w.]+, )?"([^"]+)"', path.read_text()):
            if f'"{branch}"' not in simulator:
                yield f'{path.relative_to(src)}: the rare branch "{branch}" is not among those that sim_test asks for'
    for service in sorted(p for p in (src / "services").iterdir() if p.is_dir()):
        if f"services/{service.name}" not in rules:
            yield f"services/{service.name}/: has no row of its own in the table of docs/architecture.md"
    for readme in sorted(p for p in src.iterdir() if p.is_dir()):
        if not (readme / "README.md").exists():
            yield f"{readme.name}/: has no README.md"


def main():
    found = list(problems())
    for problem in found:
        print(problem)
    print(f"tidy: {len(found)} problems")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
