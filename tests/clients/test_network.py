"""VPCs as packets, with real tasks: what a security group, an ACL, a route and a gateway let pass, judged from inside the tasks'
own network namespaces."""

import subprocess
import time

import pytest

from berth_world import SERVE, eventually, shell

EVERYWHERE = [{"CidrIp": "0.0.0.0/0"}]
LISTEN = "trap 'exit 0' TERM; for port in 80 5432; do nc -ll -p $port -e cat & done; wait"


class Net:
    """A VPC with two public and one private subnet, and what a test needs of it. Made by the EC2 API alone."""

    def __init__(self, world, cidr="10.77.0.0/16"):
        self.world, self.ec2, self.ecs = world, world.client("ec2"), world.client("ecs")
        begin = cidr.rsplit(".", 2)[0]
        self.vpc = self.ec2.create_vpc(CidrBlock=cidr)["Vpc"]["VpcId"]
        self.public, self.other, self.private = (
            self.ec2.create_subnet(VpcId=self.vpc, CidrBlock=f"{begin}.{i}.0/24", AvailabilityZone=f"us-east-1{zone}")["Subnet"]["SubnetId"]
            for i, zone in ((0, "a"), (1, "b"), (2, "a")))
        self.gateway = self.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        self.ec2.attach_internet_gateway(VpcId=self.vpc, InternetGatewayId=self.gateway)
        self.table = self.ec2.create_route_table(VpcId=self.vpc)["RouteTable"]["RouteTableId"]
        self.ec2.create_route(RouteTableId=self.table, DestinationCidrBlock="0.0.0.0/0", GatewayId=self.gateway)
        for subnet in (self.public, self.other):
            self.ec2.associate_route_table(RouteTableId=self.table, SubnetId=subnet)

    def group(self, name, *rules):
        """`rules`: (port, peer); a peer is a CIDR or a group."""
        made = self.ec2.create_security_group(GroupName=name, Description=name, VpcId=self.vpc)["GroupId"]
        for rule in rules:
            self.allow(made, *rule)
        return made

    @staticmethod
    def permission(port, peer, protocol="tcp"):
        one = {"IpProtocol": protocol, "FromPort": port, "ToPort": port}
        return one | ({"UserIdGroupPairs": [{"GroupId": peer}]} if peer.startswith("sg-") else {"IpRanges": [{"CidrIp": peer}]})

    def allow(self, group, port, peer, protocol="tcp"):
        self.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[self.permission(port, peer, protocol)])

    def forbid(self, group, port, peer, protocol="tcp"):
        self.ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[self.permission(port, peer, protocol)])

    def run(self, definition, subnet, *groups, public=False, reachable=True):
        answer = self.ecs.run_task(cluster="default", taskDefinition=definition, launchType="FARGATE", networkConfiguration={
            "awsvpcConfiguration": {"subnets": [subnet], "securityGroups": list(groups), "assignPublicIp": "ENABLED" if public else "DISABLED"}})
        assert not answer["failures"], answer["failures"]
        task = Task(self.world, self.world.wait_task(answer["tasks"][0]["taskArn"], "RUNNING"))
        if reachable and definition == getattr(self.world, "listener", None):  # from the host, whom no group keeps from private addresses
            eventually(lambda: from_host(task.address, 5432), "the listener listens", 5)
        return task


class Task:
    def __init__(self, world, task):
        self.world, self.arn, self.id = world, task["taskArn"], task["taskArn"].rsplit("/", 1)[1]
        self.address = world.address_of(task)
        self.eni = next(d["value"] for a in task["attachments"] for d in a["details"] if d["name"] == "networkInterfaceId")

    def interface(self):
        return self.world.client("ec2").describe_network_interfaces(NetworkInterfaceIds=[self.eni])["NetworkInterfaces"][0]

    @property
    def public(self):
        return self.interface()["Association"]["PublicIp"]

    def inside(self, *words, **more):
        path = f"/run/berth/{self.world.instance()}/netns/{self.id}"
        return subprocess.run(["nsenter", f"--net={path}", *words], capture_output=True, text=True, timeout=20, **more)

    def reaches(self, address, port):
        """Whether a connection from this task carries bytes there and back."""
        return connects(address, port, lambda *words, **more: self.inside(*words, **more))


def connects(address, port, run):
    done = run("busybox", "nc", "-w", "2", address, str(port), input="echo\n")
    return done.stdout == "echo\n"


def from_host(address, port):
    return connects(address, port, lambda *words, **more: subprocess.run(words, capture_output=True, text=True, timeout=20, **more))


@pytest.fixture(scope="module")
def net(berth):
    return Net(berth)


@pytest.fixture(scope="module")
def listener(berth):
    berth.listener = berth.define("listener", shell(LISTEN))
    return berth.listener


@pytest.fixture(scope="module")
def sleeper(berth):
    return berth.define("sleeper", shell(SERVE))


def test_a_group_reference_admits_its_members_alone(net, listener, sleeper):
    web = net.group("web")
    database = net.group("database", (5432, web))
    server = net.run(listener, net.private, database)
    member = net.run(sleeper, net.public, web)
    stranger = net.run(sleeper, net.public, net.group("stranger"))
    assert member.reaches(server.address, 5432)
    assert not member.reaches(server.address, 80), "another port"
    began = time.monotonic()
    assert not stranger.reaches(server.address, 5432)
    assert time.monotonic() - began < 1, "a refused packet is answered"
    assert from_host(server.address, 5432), "the host itself reaches private addresses, for whoever looks for a fault"


def test_a_rule_reaches_tasks_that_run(net, listener, sleeper):
    group = net.group("changing")
    server, client = net.run(listener, net.public, group), net.run(sleeper, net.other, net.group("asking"))
    assert not client.reaches(server.address, 80)
    net.allow(group, 80, "10.77.0.0/16")
    eventually(lambda: client.reaches(server.address, 80), "the rule that was added lets packets pass", 2)
    net.forbid(group, 80, "10.77.0.0/16")
    eventually(lambda: not client.reaches(server.address, 80), "the rule that was taken away lets nothing new pass", 2)


def test_groups_judge_what_goes_out_too(net, listener, sleeper):
    server = net.run(listener, net.public, net.group("open", (80, "0.0.0.0/0"), (5432, "0.0.0.0/0")))
    silent = net.group("silent")
    client = net.run(sleeper, net.public, silent)
    assert client.reaches(server.address, 80)
    net.ec2.revoke_security_group_egress(GroupId=silent, IpPermissions=[{"IpProtocol": "-1", "IpRanges": EVERYWHERE}])
    eventually(lambda: not client.reaches(server.address, 80), "nothing may go out", 2)
    net.ec2.authorize_security_group_egress(GroupId=silent, IpPermissions=[net.permission(80, "10.77.0.0/16")])
    eventually(lambda: client.reaches(server.address, 80), "one port may go out", 2)
    assert not client.reaches(server.address, 5432)


def test_an_acl_judges_at_the_subnets_border(net, listener, sleeper):
    group = net.group("behind-acl", (80, "0.0.0.0/0"))
    server, near, far = (net.run(listener, net.other, group), net.run(sleeper, net.other, group), net.run(sleeper, net.public, group))
    assert near.reaches(server.address, 80) and far.reaches(server.address, 80)
    acl = net.ec2.create_network_acl(VpcId=net.vpc)["NetworkAcl"]["NetworkAclId"]
    for number, egress, action, block, ports in ((100, False, "deny", "10.77.0.0/24", (80, 80)), (200, False, "allow", "0.0.0.0/0", (0, 65535)),
                                                 (100, True, "allow", "0.0.0.0/0", (0, 65535))):
        net.ec2.create_network_acl_entry(NetworkAclId=acl, RuleNumber=number, Egress=egress, Protocol="6", RuleAction=action,
                                         CidrBlock=block, PortRange={"From": ports[0], "To": ports[1]})
    (old,) = net.ec2.describe_network_acls(Filters=[{"Name": "association.subnet-id", "Values": [net.other]}])["NetworkAcls"]
    association = next(a["NetworkAclAssociationId"] for a in old["Associations"] if a["SubnetId"] == net.other)
    replaced = net.ec2.replace_network_acl_association(AssociationId=association, NetworkAclId=acl)["NewAssociationId"]
    try:
        eventually(lambda: not far.reaches(server.address, 80), "the lowest rule that matches decides", 2)
        assert near.reaches(server.address, 80), "within a subnet no ACL is asked"
    finally:
        net.ec2.replace_network_acl_association(AssociationId=replaced, NetworkAclId=old["NetworkAclId"])
    eventually(lambda: far.reaches(server.address, 80), "the default ACL is back", 2)


def test_a_public_address_is_traffic_from_outside(net, listener):
    group = net.group("outside")
    server = net.run(listener, net.public, group, public=True)
    assert not from_host(server.public, 80), "no rule admits it"
    assert from_host(server.address, 80)
    net.allow(group, 80, "0.0.0.0/0")
    eventually(lambda: from_host(server.public, 80), "the rule admits it", 2)
    association = server.interface()["Association"]
    assert association["IpOwnerId"] == "amazon" and "AllocationId" not in association


def test_two_vpcs_with_equal_blocks_are_apart(berth, net, listener, sleeper):
    twin = Net(berth)
    groups = [one.group("twins", (80, "0.0.0.0/0")) for one in (net, twin)]
    here = net.run(listener, net.public, groups[0], public=True)
    there = twin.run(listener, twin.public, groups[1], public=True, reachable=False)  # the block leads to the first
    for one in (here, there):
        eventually(lambda: from_host(one.public, 80), "both are reached at their public addresses", 5)
    client = twin.run(sleeper, twin.public, groups[1])
    assert client.reaches(there.address, 80)
    if here.address != there.address:
        assert not client.reaches(here.address, 80)


def test_networks_outlive_the_daemon(berth, net, listener, sleeper):
    group = net.group("outliving", (80, "10.77.0.0/16"))
    server, client = net.run(listener, net.public, group), net.run(sleeper, net.other, group)
    berth.kill()
    assert client.reaches(server.address, 80)
    berth.start()
    assert client.reaches(server.address, 80)
    net.forbid(group, 80, "10.77.0.0/16")
    eventually(lambda: not client.reaches(server.address, 80), "rules change after the restart too", 2)


def test_an_interface_goes_with_its_task(net, sleeper):
    task = net.run(sleeper, net.public, net.group("short"), public=True)
    shown = task.interface()
    assert (shown["Status"], shown["RequesterManaged"], shown["PrivateIpAddress"]) == ("in-use", True, task.address)
    net.ecs.stop_task(cluster="default", task=task.arn)
    task.world.wait_task(task.arn, "STOPPED")
    assert not net.ec2.describe_network_interfaces(Filters=[{"Name": "network-interface-id", "Values": [task.eni]}])["NetworkInterfaces"]
