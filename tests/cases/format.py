"""Writes files of cases so that a change can be read: a value that fits stays on its line, else each member has one.

  tests/cases/format.py FILE…
"""

import json
import sys

COLUMNS = 120


def no_duplicates(pairs):
    assert len(dict(pairs)) == len(pairs), f"a member twice: {[name for name, _ in pairs]}"
    return dict(pairs)


def fill(values, indent):
    """Lists of plain values take as few lines as they need."""
    lines = [""]
    for at, value in enumerate(values):
        text = json.dumps(value, ensure_ascii=False) + ("," if at + 1 < len(values) else "")
        if lines[-1] and indent + len(lines[-1]) + 1 + len(text) > COLUMNS:
            lines.append("")
        lines[-1] += (" " if lines[-1] else "") + text
    return lines


def render(value, indent=0, used=0):
    """`used`: columns of the line before the value, beyond `indent`; one is kept for a comma."""
    flat = json.dumps(value, ensure_ascii=False)
    if not value or not isinstance(value, (dict, list)) or indent + used + len(flat) < COLUMNS:
        return flat
    inner = " " * (indent + 2)
    if isinstance(value, dict):
        names = [(json.dumps(name, ensure_ascii=False) + ": ", member) for name, member in value.items()]
        parts = [name + render(member, indent + 2, len(name)) for name, member in names]
        return "{\n" + ",\n".join(inner + part for part in parts) + "\n" + " " * indent + "}"
    if any(isinstance(element, (dict, list)) for element in value):
        parts = [inner + render(element, indent + 2) for element in value]
        return "[\n" + ",\n".join(parts) + "\n" + " " * indent + "]"
    return "[\n" + "\n".join(inner + line for line in fill(value, indent + 2)) + "\n" + " " * indent + "]"


for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as file:
        cases = json.load(file, object_pairs_hook=no_duplicates)
    text = render(cases) + "\n"
    assert json.loads(text) == cases
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
