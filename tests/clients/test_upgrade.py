"""An upgrade under running tasks: the daemon of an earlier Berth is killed, and this one starts on the same state directory.

The earlier program is named by BERTH_EARLIER_PROGRAM, its helpers beside it; `make test-long` builds it. Without it this is skipped."""

import os
import pathlib

import pytest

from berth_world import SERVE, eventually, shell
from test_network import from_host

EARLIER = os.environ.get("BERTH_EARLIER_PROGRAM", "")


@pytest.fixture
def upgraded(new_berth, monkeypatch):
    """A Berth that an earlier program has run, with two tasks and a service; and what the kernel says of them."""
    if not EARLIER or not pathlib.Path(EARLIER).exists():
        pytest.skip("BERTH_EARLIER_PROGRAM names no earlier Berth: the upgrade is not tested ('make test-long' does)")
    now = os.environ.get("BERTH_PROGRAM")
    monkeypatch.setenv("BERTH_PROGRAM", EARLIER)
    world = new_berth()
    definition = world.define("kept", shell("echo up; nc -ll -p 80 -e cat & " + SERVE))
    tasks = [world.wait_task(world.run_task(definition, public=public), "RUNNING") for public in (True, False)]
    world.client("ecs").create_service(cluster="default", serviceName="kept", taskDefinition="kept", desiredCount=2, launchType="FARGATE",
                                       networkConfiguration=world.network())
    world.wait_steady("kept", 2)
    events = [event["message"] for event in world.service("kept")["events"]]
    census, supervisors = world.census(), world.supervisors()
    world.kill()
    if now:
        monkeypatch.setenv("BERTH_PROGRAM", now)
    else:
        monkeypatch.delenv("BERTH_PROGRAM")
    world.start()
    return world, tasks, events, (census, supervisors)


def test_tasks_go_on_and_get_the_records_of_what_they_have(upgraded):
    world, tasks, events, machine = upgraded
    assert (world.census(), world.supervisors()) == machine, "no process noticed"
    shown = {i["PrivateIpAddress"]: i for i in world.client("ec2").describe_network_interfaces()["NetworkInterfaces"]}
    for task in tasks:
        assert world.task(task["taskArn"])["lastStatus"] == "RUNNING"
        address = world.address_of(task)
        assert shown[address]["Status"] == "in-use"
        eventually(lambda: from_host(address, 80), "it is reached", 5)
    assert "Association" in shown[world.address_of(tasks[0])], "assignPublicIp has an address now"
    assert [event["message"] for event in world.service("kept")["events"]] == events, "nothing was told twice, and nothing forgotten"
    assert world.service("kept")["runningCount"] == 2

    # And all that is asked for next.
    world.client("ecs").update_service(cluster="default", service="kept", desiredCount=3)
    world.wait_steady("kept", 3)
    world.client("ecs").stop_task(cluster="default", task=tasks[0]["taskArn"])
    world.wait_task(tasks[0]["taskArn"], "STOPPED")
    (vpc,) = world.client("ec2").describe_vpcs()["Vpcs"]
    tables = world.client("ec2").describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc["VpcId"]]}])["RouteTables"]
    assert any(route.get("GatewayId", "").startswith("igw-") for route in tables[0]["Routes"]), "the default VPC has what AWS's has"
