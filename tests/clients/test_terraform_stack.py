"""A usual network as Terraform makes it (two zones, public and private subnets, an internet gateway, a NAT gateway, groups that name
each other), under a service whose tasks say what passes. The stock provider and a profile; skipped where there is no mirror of it."""

import re
import subprocess

import pytest

from berth_world import SERVE, eventually, shell
from test_network import Net, Task
from test_terraform import Terraform, mirror  # noqa: F401 (a fixture)

PUBLIC = "203.0.113.0/24"  # a block that is announced: who is beyond this machine sees it

STACK = """
terraform {
  required_providers { aws = { source = "hashicorp/aws" } }
}
provider "aws" { profile = "berth" }

variable "database_port" { default = 5432 }
variable "more_subnets" { default = 0 }

locals {
  zones = ["us-east-1a", "us-east-1b"]
}

resource "aws_vpc" "main" {
  cidr_block           = "10.88.0.0/16"
  enable_dns_hostnames = true
  tags                 = { Name = "stack" }
}

resource "aws_subnet" "public" {
  count                   = 2
  vpc_id                  = aws_vpc.main.id
  cidr_block              = cidrsubnet(aws_vpc.main.cidr_block, 8, count.index)
  availability_zone       = local.zones[count.index]
  map_public_ip_on_launch = true
  tags                    = { Name = "public-${count.index}" }
}

resource "aws_subnet" "private" {
  count             = 2 + var.more_subnets
  vpc_id            = aws_vpc.main.id
  cidr_block        = cidrsubnet(aws_vpc.main.cidr_block, 8, 16 + count.index)
  availability_zone = local.zones[count.index % 2]
}

resource "aws_internet_gateway" "main" { vpc_id = aws_vpc.main.id }

resource "aws_eip" "nat" {
  domain     = "vpc"
  depends_on = [aws_internet_gateway.main]
}

resource "aws_nat_gateway" "main" {
  allocation_id = aws_eip.nat.id
  subnet_id     = aws_subnet.public[0].id
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.main.id
  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_internet_gateway.main.id
  }
}

resource "aws_route_table" "private" {
  vpc_id = aws_vpc.main.id
  route {
    cidr_block     = "0.0.0.0/0"
    nat_gateway_id = aws_nat_gateway.main.id
  }
}

resource "aws_route_table_association" "public" {
  count          = 2
  subnet_id      = aws_subnet.public[count.index].id
  route_table_id = aws_route_table.public.id
}

resource "aws_route_table_association" "private" {
  count          = 2
  subnet_id      = aws_subnet.private[count.index].id
  route_table_id = aws_route_table.private.id
}

resource "aws_security_group" "web" {
  name        = "web"
  description = "front"
  vpc_id      = aws_vpc.main.id
  egress {
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_security_group" "database" {
  name        = "database"
  description = "behind"
  vpc_id      = aws_vpc.main.id
}

resource "aws_vpc_security_group_ingress_rule" "database" {
  security_group_id            = aws_security_group.database.id
  referenced_security_group_id = aws_security_group.web.id
  ip_protocol                  = "tcp"
  from_port                    = var.database_port
  to_port                      = var.database_port
}

resource "aws_vpc_security_group_egress_rule" "database" {
  security_group_id            = aws_security_group.database.id
  referenced_security_group_id = aws_security_group.web.id
  ip_protocol                  = "-1"
}

resource "aws_vpc_endpoint" "s3" {
  vpc_id          = aws_vpc.main.id
  service_name    = "com.amazonaws.us-east-1.s3"
  route_table_ids = [aws_route_table.private.id]
}

resource "aws_ecs_cluster" "main" { name = "stack" }

resource "aws_ecs_task_definition" "web" {
  family                   = "web"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 256
  memory                   = 512
  container_definitions = jsonencode([{
    name = "main", image = "busybox", essential = true, stopTimeout = 2
    command = ["sh", "-c", "trap 'exit 0' TERM; sleep 100000 & wait"]
  }])
}

resource "aws_ecs_service" "web" {
  name                  = "web"
  cluster               = aws_ecs_cluster.main.id
  task_definition       = aws_ecs_task_definition.web.arn
  desired_count         = 2
  launch_type           = "FARGATE"
  wait_for_steady_state = true
  network_configuration {
    subnets         = aws_subnet.private[*].id
    security_groups = [aws_security_group.web.id]
  }
}

output "private" { value = aws_subnet.private[0].id }
output "public" { value = aws_subnet.public[0].id }
output "database" { value = aws_security_group.database.id }
output "web" { value = aws_security_group.web.id }
output "nat" { value = aws_eip.nat.public_ip }
"""


def peer_seen(task, outside):
    far, port, _ = outside
    answer = task.inside("busybox", "nc", "-w", "3", far, str(port), stdin=subprocess.DEVNULL).stdout
    found = re.search(r"you are ([0-9.]+)", answer)
    return found.group(1) if found else None


def test_a_two_zone_stack_carries_what_it_says(mirror, new_berth, outside, tmp_path):  # noqa: F811
    world = new_berth("--public-cidr", PUBLIC)
    subprocess.run(["ip", "netns", "exec", outside_name(outside), "ip", "route", "add", PUBLIC, "via", outside[2]], check=True)
    # What a Berth keeps once it has run a task: its cgroup. The task's VPC goes with the stop of the daemon, so it has one of its own.
    first = Net(world, "10.99.0.0/16")
    task = first.run(world.define("first", shell(SERVE)), first.private, first.group("first"))
    world.client("ecs").stop_task(task=task.arn)
    world.wait_task(task.arn, "STOPPED")
    before = sorted((o["kind"], o["purpose"]) for o in world.host_objects())
    terraform = Terraform(tmp_path, world)
    (tmp_path / "main.tf").write_text(STACK)
    terraform("init", f"-plugin-dir={mirror}")
    terraform("apply", "-auto-approve", seconds=300)
    assert terraform("plan", "-detailed-exitcode", expect=(0, 2)).returncode == 0, "an endless difference"
    value = {name: terraform("output", "-raw", name).stdout for name in ("private", "public", "database", "web", "nat")}

    def web_tasks():
        return [Task(world, world.task(arn, "stack")) for arn in world.service_tasks("web", "stack")]

    web = web_tasks()
    server = run(world, world.define("database", shell("trap 'exit 0' TERM; for p in 5432 6432; do nc -ll -p $p -e cat & done; wait")),
                 value["private"], value["database"])
    eventually(lambda: web[0].reaches(server.address, 5432), "the group that is named gets in", 5)
    assert not web[0].reaches(server.address, 6432)
    assert peer_seen(web[0], outside) == value["nat"], "private subnets go out under the NAT gateway's address"
    assert peer_seen(server, outside) is None, "its group lets it speak to web alone"
    public = run(world, world.define("public", shell(SERVE)), value["public"], value["web"], public=True)
    assert peer_seen(public, outside) == public.public, "with a public address of its own it is seen under that"
    hidden = run(world, world.define("public", shell(SERVE)), value["public"], value["web"])
    assert peer_seen(hidden, outside) is None, "an internet gateway serves public addresses alone"

    terraform("apply", "-auto-approve", "-var=database_port=6432", "-var=more_subnets=1")
    web = web_tasks()  # others: the service got a subnet more
    eventually(lambda: web[0].reaches(server.address, 6432), "the rule that was changed reaches tasks that run", 5)
    assert not web[0].reaches(server.address, 5432)

    for task in (server, public, hidden):
        world.client("ecs").stop_task(task=task.arn)
        world.wait_task(task.arn, "STOPPED")
    terraform("destroy", "-auto-approve", "-var=database_port=6432", "-var=more_subnets=1", seconds=300)
    after = eventually(lambda: (left := sorted((o["kind"], o["purpose"]) for o in world.host_objects())) == before and [True],
                       f"nothing of the stack is left: {world.host_objects()}", 20)
    assert after


def run(world, definition, subnet, group, public=False):
    answer = world.client("ecs").run_task(taskDefinition=definition, launchType="FARGATE", networkConfiguration={"awsvpcConfiguration": {
        "subnets": [subnet], "securityGroups": [group], "assignPublicIp": "ENABLED" if public else "DISABLED"}})
    assert not answer["failures"], answer["failures"]
    return Task(world, world.wait_task(answer["tasks"][0]["taskArn"], "RUNNING"))


def outside_name(outside):
    """The namespace that has the far address."""
    for name in subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout.split():
        shown = subprocess.run(["ip", "-n", name, "-4", "-o", "addr"], capture_output=True, text=True)
        if f" {outside[0]}/" in shown.stdout:
            return name
    raise AssertionError("no namespace has the far address")
