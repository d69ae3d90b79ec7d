"""Writes docs/compatibility.md from the manifests: what each served operation does with each member.

  compatibility.py --data BOTOCORE_DATA --manifest DIR --write FILE | --check FILE
"""

import argparse
import pathlib
import sys

from manifest import CLASSES
from service import load

HEAD = """# Compatibility

What Berth does with each operation of the AWS services that it serves, and with each member of their requests. Written by
`src/model/generator/compatibility.py` from `src/model/manifest`; a test holds it to them.

- **acted on**: changes what happens.
- **kept**: stored and returned; changes no promise at run time.
- **refused at run**: stored and returned; a task that has it stops with `ResourceInitializationError` saying what is not served.
- **refused**: the request is answered with an error saying what is not served. Empty lists never are.

An operation that is not listed as served answers `UnknownOperationException` (`InvalidAction` in the query protocols) naming it, with
status 400; so does every other service of AWS.
"""
TITLES = {"acted_on": "acted on", "kept": "kept", "refused_at_run": "refused at run", "refused": "refused"}


def members(service, root):
    """(dotted path, class, refusal, allowed) of a shape's members, deep, once for each structure."""
    seen = set()

    def walk(name, prefix):
        shape = service.shapes[name]
        if shape["type"] == "list":
            yield from walk(shape["member"]["shape"], prefix + "[]")
        if shape["type"] != "structure":
            return
        if name in seen and prefix:
            return
        seen.add(name)
        for member, reference in shape["members"].items():
            kind, refusal, allowed = service.classes.get((name, member), ("", "", []))
            if not kind:
                continue
            path = f"{prefix}.{member}" if prefix else member
            yield path, kind, refusal, allowed
            if kind != "refused" or allowed:
                yield from walk(reference["shape"], path)

    yield from walk(root, "")


def render(services):
    out = [HEAD]
    for service in services:
        out.append(f"## {service.metadata['serviceFullName']}\n")
        others = sorted(set(service.operation_models) - set(service.operations))
        out.append(f"{len(service.operations)} of {len(service.operation_models)} operations of the model {service.metadata['apiVersion']} "
                   "are served.\n")
        for operation in sorted(service.operations):
            out.append(f"### {operation}\n")
            model = service.operation_models[operation]
            by_class = {}
            for path, kind, refusal, allowed in members(service, model["input"]["shape"]) if "input" in model else ():
                by_class.setdefault(kind, []).append((path, refusal, allowed))
            if not by_class:
                out.append("No members.\n")
            for kind in CLASSES:
                entries = by_class.get(kind)
                if not entries:
                    continue
                if kind in ("acted_on", "kept"):
                    out.append(f"- {TITLES[kind]}: " + ", ".join(f"`{path}`" for path, _, _ in entries))
                    continue
                out.append(f"- {TITLES[kind]}:")
                for path, refusal, allowed in entries:
                    but = " but for " + ", ".join(f"`{value}`" for value in allowed) if allowed else ""
                    out.append(f"  - `{path}`{but}: {refusal}")
            out.append("")
        if len(others) <= 100:
            out.append("Not served: " + ", ".join(others) + ".\n")
        else:
            out.append(f"Not served: the other {len(others)} operations of the model.\n")
    return "\n".join(line.rstrip() for line in "\n".join(out).split("\n")).rstrip() + "\n"


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--data", type=pathlib.Path, required=True)
    arguments.add_argument("--manifest", type=pathlib.Path, required=True)
    arguments.add_argument("--write", type=pathlib.Path)
    arguments.add_argument("--check", type=pathlib.Path)
    options = arguments.parse_args()
    text = render(load(options.data, options.manifest))
    if options.write:
        options.write.write_text(text)
    if options.check and (not options.check.exists() or options.check.read_text() != text):
        sys.exit(f"{options.check} is not what src/model/manifest says; write it again with compatibility.py --write")


main()
