"""Terraform's security groups, rules, ACLs, interfaces, prefix lists and tags: an empty second plan, changes, destroy.

On a simulated agent: what is proved here is that the provider reads back all that it wrote. Skipped without TF_PLUGIN_DIR.
"""

from test_terraform import Terraform, mirror  # noqa: F401 (a fixture)

CONFIGURATION = """
terraform {
  required_providers { aws = { source = "hashicorp/aws" } }
}
provider "aws" { profile = "berth" }

variable "port" { default = 443 }
variable "more" { default = false }

data "aws_region" "here" {}
data "aws_regions" "all" {}
data "aws_prefix_list" "s3" { name = "com.amazonaws.${data.aws_region.here.name}.s3" }

resource "aws_vpc" "net" { cidr_block = "10.21.0.0/16" }

resource "aws_subnet" "net" {
  vpc_id     = aws_vpc.net.id
  cidr_block = "10.21.1.0/24"
}

resource "aws_ec2_managed_prefix_list" "offices" {
  name           = "offices"
  address_family = "IPv4"
  max_entries    = var.more ? 4 : 3
  entry {
    cidr        = "192.0.2.0/24"
    description = "north"
  }
  dynamic "entry" {
    for_each = var.more ? ["198.51.100.0/24"] : []
    content { cidr = entry.value }
  }
  tags = { Name = "offices" }
}

resource "aws_security_group" "inline" {
  name        = "inline"
  description = "with its rules"
  vpc_id      = aws_vpc.net.id
  ingress {
    description = "web"
    from_port   = var.port
    to_port     = var.port
    protocol    = "tcp"
    cidr_blocks = ["10.0.0.0/8", "192.168.0.0/16"]
    self        = true
  }
  ingress {
    from_port        = 8
    to_port          = -1
    protocol         = "icmp"
    cidr_blocks      = ["0.0.0.0/0"]
    ipv6_cidr_blocks = ["::/0"]
  }
  ingress {
    from_port       = 22
    to_port         = 22
    protocol        = "6"
    prefix_list_ids = [aws_ec2_managed_prefix_list.offices.id]
  }
  egress {
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }
  tags = { Name = "inline" }
}

resource "aws_security_group" "bare" {
  name_prefix = "bare-"
  vpc_id      = aws_vpc.net.id
}

resource "aws_security_group_rule" "old" {
  for_each          = var.more ? toset(["53", "54"]) : toset(["53"])
  type              = "ingress"
  security_group_id = aws_security_group.bare.id
  from_port         = each.value
  to_port           = each.value
  protocol          = "udp"
  cidr_blocks       = ["10.0.0.0/8", "172.16.0.0/12"]
  description       = "names"
}

resource "aws_security_group_rule" "everything" {
  type              = "egress"
  security_group_id = aws_security_group.bare.id
  from_port         = 0
  to_port           = 0
  protocol          = "-1"
  cidr_blocks       = ["0.0.0.0/0"]
  ipv6_cidr_blocks  = ["::/0"]
}

resource "aws_vpc_security_group_ingress_rule" "new" {
  security_group_id            = aws_security_group.bare.id
  referenced_security_group_id = aws_security_group.inline.id
  ip_protocol                  = "tcp"
  from_port                    = var.port
  to_port                      = var.port
  description                  = "from web"
  tags                         = { Name = "new" }
}

resource "aws_vpc_security_group_egress_rule" "s3" {
  security_group_id = aws_security_group.bare.id
  prefix_list_id    = data.aws_prefix_list.s3.id
  ip_protocol       = "-1"
}

resource "aws_default_security_group" "default" { vpc_id = aws_vpc.net.id }

resource "aws_default_network_acl" "default" {
  default_network_acl_id = aws_vpc.net.default_network_acl_id
  lifecycle { ignore_changes = [subnet_ids] }
}

resource "aws_network_acl" "own" {
  vpc_id     = aws_vpc.net.id
  subnet_ids = [aws_subnet.net.id]
  ingress {
    protocol   = "tcp"
    rule_no    = 100
    action     = "allow"
    cidr_block = "0.0.0.0/0"
    from_port  = var.port
    to_port    = var.port
  }
  egress {
    protocol   = -1
    rule_no    = 100
    action     = "allow"
    cidr_block = "0.0.0.0/0"
    from_port  = 0
    to_port    = 0
  }
  tags = { Name = "own" }
}

resource "aws_network_acl" "bare" {
  vpc_id = aws_vpc.net.id
  lifecycle { ignore_changes = [tags, tags_all] }
}

resource "aws_network_acl_rule" "icmp" {
  network_acl_id = aws_network_acl.bare.id
  rule_number    = 200
  protocol       = "icmp"
  rule_action    = "deny"
  cidr_block     = "0.0.0.0/0"
  icmp_type      = 8
  icmp_code      = -1
}

resource "aws_network_interface" "mine" {
  subnet_id       = aws_subnet.net.id
  description     = "mine"
  private_ips     = var.more ? ["10.21.1.10", "10.21.1.11"] : ["10.21.1.10"]
  security_groups = [aws_security_group.inline.id]
  tags            = { Name = "mine" }
}

resource "aws_ec2_tag" "extra" {
  resource_id = aws_network_acl.bare.id
  key         = "extra"
  value       = "yes"
}

data "aws_security_groups" "here" {
  filter {
    name   = "vpc-id"
    values = [aws_vpc.net.id]
  }
  depends_on = [aws_security_group.inline, aws_security_group.bare]
}

output "groups" { value = length(data.aws_security_groups.here.ids) }
"""


def test_groups_are_read_back_changed_and_destroyed(mirror, own_simulated, tmp_path):
    terraform = Terraform(tmp_path, own_simulated)
    (tmp_path / "main.tf").write_text(CONFIGURATION)
    terraform("init", f"-plugin-dir={mirror}")
    for variables in ([], ["-var=port=8443", "-var=more=true"]):
        terraform("apply", "-auto-approve", *variables)
        plan = terraform("plan", "-detailed-exitcode", *variables, expect=(0, 2))
        assert plan.returncode == 0, f"an endless difference:\n{plan.stdout}"
    assert terraform("output", "-raw", "groups").stdout.strip() == "3"
    terraform("destroy", "-auto-approve")
    ec2 = own_simulated.client("ec2")
    assert all(group["GroupName"] == "default" for group in ec2.describe_security_groups()["SecurityGroups"])
    assert len(ec2.describe_vpcs()["Vpcs"]) == 1 and ec2.describe_network_interfaces()["NetworkInterfaces"] == []
    assert [found["OwnerId"] for found in ec2.describe_managed_prefix_lists()["PrefixLists"]] == ["AWS", "AWS"]
    assert ec2.describe_tags()["Tags"] == []
