"""Names from inside real tasks: Cloud Map's, interfaces' and the host's own resolvers', while the daemon and the resolver die."""
import os
import pathlib
import signal
import socket

import boto3
import pytest
from botocore.config import Config

import resolver_world
from berth_world import SERVE, awslogs, eventually, shell

pytestmark = pytest.mark.usefixtures("needs_root")


def cloud_map(world):
    return boto3.client("servicediscovery", endpoint_url=world.endpoint, region_name=world.region, **world.credentials,
                        config=Config(inject_host_prefix=False))


def finished(client, answer):
    def look():
        operation = client.get_operation(OperationId=answer["OperationId"])["Operation"]
        return operation if operation["Status"] in ("SUCCESS", "FAIL") else None

    operation = eventually(look, "the operation ends")
    assert operation["Status"] == "SUCCESS", operation
    return operation["Targets"]


ADDRESSES = ["10.99.0.1", "10.99.0.2"]


@pytest.fixture(scope="module")
def registered(berth):
    """Two instances under web.corp.local in the default VPC."""
    client = cloud_map(berth)
    vpc = berth.client("ec2").describe_vpcs()["Vpcs"][0]["VpcId"]
    namespace = finished(client, client.create_private_dns_namespace(Name="corp.local", Vpc=vpc))["NAMESPACE"]
    service = client.create_service(Name="web", NamespaceId=namespace,
                                    DnsConfig={"DnsRecords": [{"Type": "A", "TTL": 1}]})["Service"]["Id"]
    for address in ADDRESSES:
        finished(client, client.register_instance(ServiceId=service, InstanceId=address,
                                                  Attributes={"AWS_INSTANCE_IPV4": address}))
    yield service
    for address in ADDRESSES:
        finished(client, client.deregister_instance(ServiceId=service, InstanceId=address))
    client.delete_service(Id=service)
    finished(client, client.delete_namespace(Id=namespace))


def ask(world, script):
    """What a task's script says."""
    world.define("asks", shell(script, **awslogs("/names")))
    arn = world.run_task("asks")
    world.wait_task(arn, "STOPPED", seconds=60)
    return world.lines(arn)


def test_names_of_a_service_and_of_interfaces(berth, registered):
    out = "\n".join(ask(berth, "nslookup web.corp.local; echo --; nslookup nobody.corp.local; echo --; "
                               "own=$(hostname -i); nslookup $(hostname); nslookup $own; echo $own"))
    found, missing, interface = out.split("--")
    assert all(address in found for address in ADDRESSES), out
    assert "NXDOMAIN" in missing, out
    own = interface.split()[-1]
    assert interface.count("ip-" + own.replace(".", "-") + ".ec2.internal") >= 2, out


def test_the_resolver_is_a_companion(berth, registered):
    companions = [o for o in berth.host_objects() if o["kind"] == "companion"]
    assert [o["name"] for o in companions] == ["resolver"], berth.host_objects()
    assert "process" in companions[0]["purpose"]


def test_tasks_of_a_service_have_names(berth, registered):
    client = cloud_map(berth)
    namespace = client.get_service(Id=registered)["Service"]["NamespaceId"]
    tasks = client.create_service(Name="tasks", NamespaceId=namespace, DnsConfig={"DnsRecords": [{"Type": "A", "TTL": 1}]})
    berth.define("named", shell(SERVE))
    berth.client("ecs").create_service(cluster="default", serviceName="named", taskDefinition="named", desiredCount=2,
                                       launchType="FARGATE", networkConfiguration=berth.network(),
                                       serviceRegistries=[{"registryArn": tasks["Service"]["Arn"]}])
    berth.wait_steady("named", 2)
    expected = sorted(berth.address_of(berth.task(arn)) for arn in berth.service_tasks("named"))
    assert asked_inside(berth, companion_pid(berth), "tasks.corp.local") == expected
    berth.client("ecs").delete_service(cluster="default", service="named", force=True)
    eventually(lambda: asked_inside(berth, companion_pid(berth), "tasks.corp.local") == [], "the names are gone", 60)
    client.delete_service(Id=tasks["Service"]["Id"])


def test_names_outlive_the_daemon_and_the_resolver(berth, registered):
    berth.define("stays", shell(SERVE))
    stays = berth.run_task("stays")
    berth.wait_task(stays, "RUNNING")
    pid = companion_pid(berth)
    berth.kill()
    assert asked_inside(berth, pid, "web.corp.local") == ADDRESSES
    berth.start()
    assert companion_pid(berth) == pid
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: companion_pid(berth) not in (0, pid), "the resolver runs again")
    out = "\n".join(ask(berth, "nslookup web.corp.local"))
    assert all(address in out for address in ADDRESSES), out
    berth.client("ecs").stop_task(cluster="default", task=stays)
    berth.wait_task(stays, "STOPPED")


def asked_inside(world, pid, name):
    """By a socket of the VPC's own namespace, which is bound where only Berth's processes see it."""
    directory = pathlib.Path("/run/berth") / world.instance() / "netns"
    vpc = next(p for p in (pathlib.Path(f"/proc/{pid}/root") / directory.relative_to("/")).iterdir() if p.name.startswith("vpc-"))
    with resolver_world.Inside(str(vpc)):
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with client:
        client.settimeout(5)
        client.sendto(resolver_world.question(name), ("169.254.169.253", 53))
        return sorted(record[3] for record in resolver_world.records(client.recv(4096))[1])


def companion_pid(world):
    for one in world.host_objects():
        if one["kind"] == "companion" and "process " in one["purpose"]:
            return int(one["purpose"].rsplit(" ", 1)[1])
    return 0
