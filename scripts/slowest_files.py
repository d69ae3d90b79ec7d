#!/usr/bin/env python3
"""The five files that took longest to compile, from ninja's log: where the budget of a build goes."""
import sys

durations = {}
with open(sys.argv[1]) as log:
    for line in log:
        parts = line.rstrip("\n").split("\t")
        if len(parts) >= 4 and parts[3].endswith(".o"):
            durations[parts[3]] = (int(parts[1]) - int(parts[0])) / 1000
for name, seconds in sorted(durations.items(), key=lambda item: -item[1])[:5]:
    print(f"  {seconds:6.1f}  {name}")
