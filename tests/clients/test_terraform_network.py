"""Terraform's network objects with the stock provider: a usual two-zone stack, the default VPC adopted, changes, destroy.

On a simulated agent: what is proved here is that the provider reads back all that it wrote. The provider comes from a mirror
on the disk, named by TF_PLUGIN_DIR; where there is none these tests are skipped, and say so.
"""
import pytest

from test_terraform import Terraform, mirror  # noqa: F401 (a fixture)

HEAD = """
terraform {
  required_providers { aws = { source = "hashicorp/aws" } }
}
provider "aws" { profile = "berth" }
"""

STACK = HEAD + """
variable "port" { default = 443 }
variable "third" { default = false }

data "aws_availability_zones" "zones" { state = "available" }
data "aws_region" "here" {}

resource "aws_vpc" "net" {
  cidr_block           = "10.20.0.0/16"
  enable_dns_hostnames = true
  tags                 = { Name = "net" }
}

resource "aws_subnet" "public" {
  count                   = 2
  vpc_id                  = aws_vpc.net.id
  cidr_block              = cidrsubnet(aws_vpc.net.cidr_block, 8, count.index)
  availability_zone       = data.aws_availability_zones.zones.names[count.index]
  map_public_ip_on_launch = true
  tags                    = { Name = "public-${count.index}" }
}

resource "aws_subnet" "private" {
  count             = var.third ? 3 : 2
  vpc_id            = aws_vpc.net.id
  cidr_block        = cidrsubnet(aws_vpc.net.cidr_block, 8, 10 + count.index)
  availability_zone = data.aws_availability_zones.zones.names[count.index]
}

resource "aws_internet_gateway" "out" {
  vpc_id = aws_vpc.net.id
  tags   = { Name = "out" }
}

resource "aws_eip" "nat" {
  domain     = "vpc"
  tags       = { Name = "nat" }
  depends_on = [aws_internet_gateway.out]
}

resource "aws_nat_gateway" "nat" {
  allocation_id = aws_eip.nat.id
  subnet_id     = aws_subnet.public[0].id
  tags          = { Name = "nat" }
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.net.id
  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_internet_gateway.out.id
  }
}

resource "aws_route_table" "private" { vpc_id = aws_vpc.net.id }

resource "aws_route" "nat" {
  route_table_id         = aws_route_table.private.id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.nat.id
}

resource "aws_route_table_association" "public" {
  count          = 2
  subnet_id      = aws_subnet.public[count.index].id
  route_table_id = aws_route_table.public.id
}

resource "aws_route_table_association" "private" {
  count          = length(aws_subnet.private)
  subnet_id      = aws_subnet.private[count.index].id
  route_table_id = aws_route_table.private.id
}

resource "aws_security_group" "web" {
  name        = "web"
  description = "what the world reaches"
  vpc_id      = aws_vpc.net.id
  ingress {
    from_port   = var.port
    to_port     = var.port
    protocol    = "tcp"
    cidr_blocks = ["0.0.0.0/0"]
  }
  ingress {
    from_port       = 9000
    to_port         = 9001
    protocol        = "tcp"
    security_groups = [aws_security_group.app.id]
  }
  egress {
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_security_group" "app" {
  name   = "app"
  vpc_id = aws_vpc.net.id
}

resource "aws_security_group_rule" "app_from_web" {
  type                     = "ingress"
  security_group_id        = aws_security_group.app.id
  source_security_group_id = aws_security_group.web.id
  from_port                = 8080
  to_port                  = 8080
  protocol                 = "tcp"
}

resource "aws_vpc_security_group_ingress_rule" "app_from_the_net" {
  security_group_id = aws_security_group.app.id
  cidr_ipv4         = aws_vpc.net.cidr_block
  from_port         = 22
  to_port           = 22
  ip_protocol       = "tcp"
}

resource "aws_vpc_endpoint" "s3" {
  vpc_id          = aws_vpc.net.id
  service_name    = "com.amazonaws.${data.aws_region.here.name}.s3"
  route_table_ids = [aws_route_table.private.id]
}

resource "aws_vpc_endpoint" "logs" {
  vpc_id              = aws_vpc.net.id
  service_name        = "com.amazonaws.${data.aws_region.here.name}.logs"
  vpc_endpoint_type   = "Interface"
  subnet_ids          = aws_subnet.private[*].id
  security_group_ids  = [aws_security_group.app.id]
  private_dns_enabled = true
}
"""

DEFAULTS = HEAD + """
data "aws_region" "here" {}

resource "aws_default_vpc" "vpc" { tags = { Name = "default" } }

resource "aws_default_subnet" "a" {
  availability_zone = "${data.aws_region.here.name}a"
  tags              = { Name = "default-a" }
}

resource "aws_default_security_group" "group" {
  vpc_id = aws_default_vpc.vpc.id
  ingress {
    protocol  = -1
    self      = true
    from_port = 0
    to_port   = 0
  }
  egress {
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }
}

data "aws_internet_gateway" "out" {
  filter {
    name   = "attachment.vpc-id"
    values = [aws_default_vpc.vpc.id]
  }
}

resource "aws_default_route_table" "table" {
  default_route_table_id = aws_default_vpc.vpc.default_route_table_id
  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = data.aws_internet_gateway.out.id
  }
}

resource "aws_default_network_acl" "acl" {
  default_network_acl_id = aws_default_vpc.vpc.default_network_acl_id
  ingress {
    protocol   = -1
    rule_no    = 100
    action     = "allow"
    cidr_block = "0.0.0.0/0"
    from_port  = 0
    to_port    = 0
  }
  egress {
    protocol   = -1
    rule_no    = 100
    action     = "allow"
    cidr_block = "0.0.0.0/0"
    from_port  = 0
    to_port    = 0
  }
  lifecycle { ignore_changes = [subnet_ids] }
}
"""


@pytest.fixture
def terraform(mirror, own_simulated, tmp_path):  # noqa: F811
    def begin(configuration):
        run = Terraform(tmp_path, own_simulated)
        (tmp_path / "main.tf").write_text(configuration)
        run("init", f"-plugin-dir={mirror}")
        return run
    return begin


def is_settled(run, *arguments):
    plan = run("plan", "-detailed-exitcode", *arguments, expect=(0, 2))
    assert plan.returncode == 0, f"an endless difference:\n{plan.stdout}"


def test_a_two_zone_stack(terraform, own_simulated):
    ec2 = own_simulated.client("ec2")
    run = terraform(STACK)
    run("apply", "-auto-approve", seconds=400)
    is_settled(run)
    run("apply", "-auto-approve", "-var=port=8443", seconds=400)
    rules = ec2.describe_security_group_rules()["SecurityGroupRules"]
    assert [r for r in rules if not r["IsEgress"] and r["FromPort"] == 8443] and not [r for r in rules if r["FromPort"] == 443]
    run("apply", "-auto-approve", "-var=port=8443", "-var=third=true", seconds=400)
    is_settled(run, "-var=port=8443", "-var=third=true")
    own_simulated.restart()
    is_settled(run, "-var=port=8443", "-var=third=true")
    run("destroy", "-auto-approve", "-var=port=8443", "-var=third=true", seconds=400)
    assert [vpc["IsDefault"] for vpc in ec2.describe_vpcs()["Vpcs"]] == [True]
    assert ec2.describe_addresses()["Addresses"] == [] and ec2.describe_network_interfaces()["NetworkInterfaces"] == []


def test_the_default_vpc_is_adopted(terraform, own_simulated):
    ec2 = own_simulated.client("ec2")
    before = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    run = terraform(DEFAULTS)
    run("apply", "-auto-approve", seconds=400)
    is_settled(run)
    assert [vpc["VpcId"] for vpc in ec2.describe_vpcs()["Vpcs"]] == [before]
    run("destroy", "-auto-approve", seconds=400)
    assert [vpc["VpcId"] for vpc in ec2.describe_vpcs()["Vpcs"]] == [before]
