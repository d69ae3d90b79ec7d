"""DescribeTaskDefinition of the platform's definition, 1,000 revisions in turn, eight keep-alive connections.

Each server registers the same definition 1,000 times, and gets the same bytes: every request is distinct (an invocation
id of its own, as SDKs send) and signed ahead. The server has one core, the client the other; every answer must be a 200
and hold the ARN of the revision that was asked for. Berth checks every signature; neither rival checks any.
"""
import json

import definitions
from harness import SERVER_CORE, Row, figure
from servers import Berth, Ministack, Moto
from signed import Caller, write_requests

FAMILY = "platform"
CONNECTIONS = 8


def describe_calls(revisions, count):
    for i in range(count):
        name = f"{FAMILY}:{i % revisions + 1}"
        yield "DescribeTaskDefinition", json.dumps({"taskDefinition": name}).encode(), f"task-definition/{name}\"".encode()


def register(server, definition, revisions):
    caller = Caller(server.port, server.signer("ecs"))
    members = {**definition, "family": FAMILY}
    for _ in range(revisions):
        caller.call("RegisterTaskDefinition", **members)
    size = len(json.dumps(caller.call("DescribeTaskDefinition", taskDefinition=f"{FAMILY}:1")))
    caller.close()
    return size


def measure(bench, berth_too=True):
    definition = definitions.platform()
    revisions = bench.runs(1000, 100)
    kinds = ([Berth] if berth_too else []) + [Moto, Ministack]
    servers = [kind(bench, SERVER_CORE) for kind in kinds]
    rates = {server.name: [] for server in servers}
    latencies = {server.name: [] for server in servers}
    sizes = {}
    for server in servers:
        server.start()
        sizes[server.name] = register(server, definition, revisions)
    seconds = bench.runs(5.0, 1.0)
    per_second_hint = {"berth": 60_000, "moto": 2_000, "ministack": 10_000}
    for _ in range(bench.runs(5, 2)):
        for server in servers:
            path = bench.work / "describe"
            write_requests(path, server.signer("ecs"),
                           describe_calls(revisions, int(per_second_hint[server.name] * seconds)))
            result = bench.load(server.port, path, CONNECTIONS, seconds)
            rates[server.name].append(result["per_second"])
            latencies[server.name].append(result["p99_us"] / 1000)
            path.unlink()
    for server in servers:
        server.end()
    bench.say(f"DescribeTaskDefinition: {({name: round(values[0]) for name, values in rates.items()})}/s, "
              f"answers of {sizes} bytes")
    if not berth_too:
        return [Row(f"DescribeTaskDefinition ({name})", figure(values, "/s")) for name, values in rates.items()]
    best = max((name for name in rates if name != "berth"), key=lambda name: sorted(rates[name])[len(rates[name]) // 2])
    rows = []
    for name in rates:
        if name != "berth":
            rows.append(Row("DescribeTaskDefinition, 8 connections, a core each", figure(rates["berth"], "/s"), name,
                            figure(rates[name], "/s"), figure([a / b for a, b in zip(rates["berth"], rates[name])], "×"),
                            at_least=10 if name == best else None))
    rows.append(Row("the same, latency p99", figure(latencies["berth"], "ms"), best, figure(latencies[best], "ms"),
                    figure([a / b for a, b in zip(latencies["berth"], latencies[best])], "×")))
    return rows
