"""`berth net` and `berth net why` beside what packets do."""

import json
import subprocess

import pytest

from berth_world import SERVE, program, shell
from test_network import LISTEN, Net


@pytest.fixture(scope="module")
def net(berth):
    return Net(berth, "10.78.0.0/16")


def ask(berth, *words):
    return subprocess.run([program(), "net", *words, "--state", berth.state], capture_output=True, text=True, timeout=20)


def test_berth_net_says_what_packets_do(berth, net):
    listener, sleeper = berth.define("net-listener", shell(LISTEN)), berth.define("net-sleeper", shell(SERVE))
    web = net.group("why-web")
    database = net.group("why-database", (5432, web))
    server = net.run(listener, net.private, database, reachable=False)
    client = net.run(sleeper, net.public, web)
    drawn = ask(berth)
    assert drawn.returncode == 0, drawn.stderr
    for word in (net.vpc, net.private, server.address, server.id, database):
        assert word in drawn.stdout, drawn.stdout
    (vpc,) = (one for one in json.loads(ask(berth, "--json").stdout)["vpcs"] if one["id"] == net.vpc)
    assert {one["id"] for one in vpc["subnets"]} == {net.public, net.other, net.private}
    for port, passes in ((5432, True), (80, False)):
        told = ask(berth, "why", client.id[:8], f"{server.address}:{port}")
        assert (told.returncode == 0) == passes, told.stdout + told.stderr
        assert client.reaches(server.address, port) == passes
    assert f"no rule of {database} lets tcp 80 in" in told.stdout
    told = ask(berth, "why", client.id, "192.0.2.1:80")
    assert told.returncode == 3 and "no public address" in told.stdout
    assert ask(berth, "why", "nobody-like-this", f"{server.address}:80").returncode == 1
    assert ask(berth, "why", client.id, server.address).returncode == 2
