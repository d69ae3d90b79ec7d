"""Cloud Map's resources by Terraform with the stock AWS provider, on a simulated agent: apply, an empty second plan, destroy."""
import test_terraform
from test_terraform import Terraform, mirror  # noqa: F401 a fixture

CONFIGURATION = """
terraform {
  required_providers { aws = { source = "hashicorp/aws" } }
}
provider "aws" { profile = "berth" }
variable "ttl" { default = 10 }

data "aws_vpc" "default" { default = true }

resource "aws_service_discovery_http_namespace" "http" {
  name        = "terraform-http"
  description = "found by DiscoverInstances only"
  tags        = { purpose = "test" }
}

resource "aws_service_discovery_private_dns_namespace" "private" {
  name        = "terraform.local"
  description = "a private zone"
  vpc         = data.aws_vpc.default.id
  tags        = { purpose = "test" }
}

resource "aws_service_discovery_service" "dns" {
  name = "api"
  dns_config {
    namespace_id   = aws_service_discovery_private_dns_namespace.private.id
    routing_policy = "MULTIVALUE"
    dns_records {
      type = "A"
      ttl  = var.ttl
    }
  }
  health_check_custom_config { failure_threshold = 1 }
  tags = { purpose = "test" }
}

resource "aws_service_discovery_service" "http" {
  name         = "plain"
  namespace_id = aws_service_discovery_http_namespace.http.id
}

resource "aws_service_discovery_instance" "one" {
  instance_id = "one"
  service_id  = aws_service_discovery_service.dns.id
  attributes  = { AWS_INSTANCE_IPV4 = "172.31.0.9", colour = "red" }
}
"""


def test_apply_an_empty_second_plan_and_destroy(mirror, own_simulated, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr(test_terraform, "CONFIGURATION", CONFIGURATION)
    terraform = Terraform(tmp_path, own_simulated)
    terraform("init", f"-plugin-dir={mirror}")
    terraform("apply", "-auto-approve")
    plan = terraform("plan", "-detailed-exitcode", expect=(0, 2))
    assert plan.returncode == 0, f"an endless difference:\n{plan.stdout}"
    terraform("apply", "-auto-approve", "-var=ttl=20")
    plan = terraform("plan", "-detailed-exitcode", "-var=ttl=20", expect=(0, 2))
    assert plan.returncode == 0, f"an endless difference:\n{plan.stdout}"
    terraform("destroy", "-auto-approve")
    assert own_simulated.client("servicediscovery").list_namespaces()["Namespaces"] == []
