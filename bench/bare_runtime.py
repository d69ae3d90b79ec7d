"""Drives crun or runc for runtimes.Bare: one JSON request a line on standard input, one answer a line.

The bundle is what `crun spec` writes (private pid, network, ipc, uts and mount namespaces) with the program and without
a terminal. Nothing is added to it and nothing is taken away.
"""
import json
import pathlib
import subprocess
import sys
import time

DIRECTORY = pathlib.Path(sys.argv[1])
PREFIX = sys.argv[2]
RUNTIME = ""
ERRORS = open(DIRECTORY / "errors", "ab")  # a file: a detached container keeps what it inherits, and would hold a pipe open
QUIET = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": ERRORS}


def base():
    return [RUNTIME, "--root", str(DIRECTORY / "state")]


def run_command(identity, detach, bundle="waiting"):
    return base() + ["run"] + (["--detach"] if detach else []) + ["--bundle", str(DIRECTORY / bundle), identity]


def write_bundle(name, arguments):
    bundle = DIRECTORY / name
    bundle.mkdir(exist_ok=True)
    config = bundle / "config.json"
    config.unlink(missing_ok=True)
    subprocess.run([RUNTIME, "spec"], cwd=bundle, check=True)
    spec = json.loads(config.read_text())
    spec["process"]["args"] = arguments
    spec["process"]["terminal"] = False
    spec["root"]["path"] = str(DIRECTORY / "rootfs")
    config.write_text(json.dumps(spec))


def choose():
    global RUNTIME
    failures = []
    for RUNTIME in ("crun", "runc"):
        try:
            write_bundle("waiting", ["/now"])
            write_bundle("ending", ["/now", "exit"])
            first_instruction()
            return {"runtime": RUNTIME}
        except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
            failures.append(f"{RUNTIME}: {error}")
    raise RuntimeError("; ".join(failures))


def first_instruction():
    identity = f"{PREFIX}-one"
    started = time.monotonic_ns()
    with subprocess.Popen(run_command(identity, False), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=ERRORS) as process:
        line = process.stdout.readline().split()
        if len(line) != 3:
            raise RuntimeError((DIRECTORY / "errors").read_text()[-500:].strip() or "the container wrote nothing")
        subprocess.run(base() + ["kill", identity, "TERM"], check=True)
        process.wait()
    return {"ms": (int(line[2]) - started) / 1e6}


def detached():
    identity = f"{PREFIX}-one"
    started = time.monotonic_ns()
    subprocess.run(run_command(identity, True), check=True, **QUIET)
    taken = time.monotonic_ns() - started
    subprocess.run(base() + ["delete", "--force", identity], check=True, **QUIET)
    return {"ms": taken / 1e6}


def whole_lives(prefix, count, width):
    """Containers that end at once, each waited for and deleted by `run` itself."""
    started = time.monotonic()
    finish(many(run_command("{}", False, "ending"), prefix, count, width))
    return {"s": time.monotonic() - started}


def many(command, prefix, count, width):
    """One process of xargs, so that no interpreter stands between two containers."""
    process = subprocess.Popen(["xargs", "-P", str(width), "-I{}", *command], stdin=subprocess.PIPE,
                               stdout=subprocess.DEVNULL, stderr=ERRORS, text=True)
    process.stdin.write("".join(f"{PREFIX}-{prefix}-{i}\n" for i in range(count)))
    process.stdin.close()
    return process


def finish(process):
    if process.wait() != 0:
        raise RuntimeError(f"{RUNTIME}: {(DIRECTORY / 'errors').read_text()[-500:].strip()}")


START = lambda: run_command("{}", True)
REMOVE = lambda: base() + ["delete", "--force", "{}"]


def start_many(prefix, count, width):
    started = time.monotonic()
    finish(many(START(), prefix, count, width))
    return {"s": time.monotonic() - started}


def remove_many(prefix, count, width):
    finish(many(REMOVE(), prefix, count, width))
    return {}


def replace_many(old, new, count, width):
    started = time.monotonic()
    starting, stopping = many(START(), new, count, width), many(REMOVE(), old, count, width)
    finish(starting)
    finish(stopping)
    return {"s": time.monotonic() - started}


def clean():
    listed = subprocess.run(base() + ["list", "--quiet"], capture_output=True, text=True, check=False).stdout.split()
    for identity in listed:
        subprocess.run(base() + ["delete", "--force", identity], check=False, **QUIET)
    return {}


OPERATIONS = {function.__name__: function for function in (
    choose, first_instruction, detached, start_many, remove_many, replace_many, whole_lives, clean)}

for text in sys.stdin:
    request = json.loads(text)
    try:
        answer = OPERATIONS[request.pop("what")](**request)
    except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
        answer = {"error": str(error)}
    print(json.dumps(answer), flush=True)
