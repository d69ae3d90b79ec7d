"""Terraform with the stock AWS provider and a profile: apply, an empty second plan, destroy.

The provider comes from a mirror on the disk, named by TF_PLUGIN_DIR; where there is none these tests are skipped, and say so.
"""

import json
import os
import pathlib
import shutil
import subprocess

import pytest

MIRROR = os.environ.get("TF_PLUGIN_DIR", "")

CONFIGURATION = """
terraform {
  required_providers { aws = { source = "hashicorp/aws" } }
}
provider "aws" { profile = "berth" }

variable "image" { default = "busybox" }
variable "desired" { default = 1 }

data "aws_vpc" "default" { default = true }
data "aws_subnets" "all" {
  filter {
    name   = "vpc-id"
    values = [data.aws_vpc.default.id]
  }
}
data "aws_security_group" "default" {
  name   = "default"
  vpc_id = data.aws_vpc.default.id
}

resource "aws_cloudwatch_log_group" "logs" {
  name              = "/ecs/terraform"
  retention_in_days = 7
  tags              = { purpose = "test" }
}

resource "aws_cloudwatch_log_stream" "stream" {
  name           = "first"
  log_group_name = aws_cloudwatch_log_group.logs.name
}

resource "aws_ecs_account_setting_default" "long" {
  name  = "taskLongArnFormat"
  value = "enabled"
}

resource "aws_ecs_cluster" "cluster" {
  name = "terraform"
  setting {
    name  = "containerInsights"
    value = "enabled"
  }
  configuration {
    execute_command_configuration { logging = "DEFAULT" }
  }
  tags = { purpose = "test" }
}

resource "aws_ecs_cluster_capacity_providers" "providers" {
  cluster_name       = aws_ecs_cluster.cluster.name
  capacity_providers = ["FARGATE", "FARGATE_SPOT"]
  default_capacity_provider_strategy {
    capacity_provider = "FARGATE"
    weight            = 100
    base              = 1
  }
}

resource "aws_ecs_task_definition" "task" {
  family                   = "terraform"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 512
  memory                   = 1024
  execution_role_arn       = "arn:aws:iam::000000000000:role/execution"
  task_role_arn            = "arn:aws:iam::000000000000:role/task"
  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = "X86_64"
  }
  ephemeral_storage { size_in_gib = 30 }
  volume { name = "shared" }
  container_definitions = jsonencode([
    {
      name         = "web"
      image        = var.image
      essential    = true
      portMappings = [{ containerPort = 80, name = "web" }]
      environment  = [{ name = "B", value = "2" }, { name = "A", value = "1" }]
      mountPoints  = [{ sourceVolume = "shared", containerPath = "/shared" }]
      dependsOn    = [{ containerName = "side", condition = "START" }]
      healthCheck  = { command = ["CMD-SHELL", "true"], interval = 30 }
      stopTimeout  = 5
      linuxParameters = { initProcessEnabled = true }
      logConfiguration = {
        logDriver = "awslogs"
        options = {
          awslogs-group         = aws_cloudwatch_log_group.logs.name
          awslogs-region        = "us-east-1"
          awslogs-stream-prefix = "terraform"
        }
      }
    },
    { name = "side", image = var.image, essential = false, command = ["sleep", "1000"] }
  ])
  tags = { purpose = "test" }
}

resource "aws_ecs_service" "service" {
  name                               = "terraform"
  cluster                            = aws_ecs_cluster.cluster.id
  task_definition                    = aws_ecs_task_definition.task.arn
  desired_count                      = var.desired
  enable_execute_command             = true
  enable_ecs_managed_tags            = true
  propagate_tags                     = "SERVICE"
  health_check_grace_period_seconds  = 10
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200
  wait_for_steady_state              = true
  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }
  capacity_provider_strategy {
    capacity_provider = "FARGATE"
    weight            = 100
    base              = 1
  }
  network_configuration {
    subnets          = data.aws_subnets.all.ids
    security_groups  = [data.aws_security_group.default.id]
    assign_public_ip = true
  }
  tags       = { purpose = "test" }
  depends_on = [aws_ecs_cluster_capacity_providers.providers]
}

resource "aws_ecs_service" "plain" {
  name            = "plain"
  cluster         = aws_ecs_cluster.cluster.id
  task_definition = aws_ecs_task_definition.task.arn
  desired_count   = 0
  launch_type     = "FARGATE"
  network_configuration { subnets = data.aws_subnets.all.ids }
}

resource "aws_ecs_account_setting_default" "insights" {
  name  = "containerInsights"
  value = "enabled"
}

output "service" { value = aws_ecs_service.service.id }
"""


class Terraform:
    def __init__(self, directory, world):
        self.directory = directory
        world.run("configure", env=clean_environment() | {"HOME": str(directory)})
        plain = {k: v for k, v in world.aws_environment(directory).items() if not k.startswith("TF_")}
        self.environment = plain | {
            "TF_IN_AUTOMATION": "1", "TF_INPUT": "0", "CHECKPOINT_DISABLE": "1", "TF_DATA_DIR": str(directory / "data")}
        (directory / "main.tf").write_text(CONFIGURATION)

    def __call__(self, *words, expect=(0,), seconds=200):
        done = subprocess.run(["terraform", *words], cwd=self.directory, env=self.environment, capture_output=True, text=True, timeout=seconds)
        assert done.returncode in expect, f"terraform {words}: {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        return done


def clean_environment():
    return {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "SUDO_"))}


@pytest.fixture(scope="module")
def mirror():
    if not MIRROR or not pathlib.Path(MIRROR).is_dir():
        pytest.skip("TF_PLUGIN_DIR names no mirror of Terraform providers: Terraform is not tested")
    assert shutil.which("terraform"), "TF_PLUGIN_DIR is set and there is no terraform on the PATH"
    return MIRROR


def test_apply_an_empty_second_plan_and_destroy(mirror, berth, busybox_layout, tmp_path):
    world, terraform = berth, Terraform(tmp_path, berth)
    layout = tmp_path / "layout"
    shutil.copytree(busybox_layout, layout)
    subprocess.run(["umoci", "config", "--image", f"{layout}:latest", "--config.cmd", "httpd", "--config.cmd", "-f"], check=True, timeout=60)
    world.run("image", "load", f"oci:{layout}:latest", "--name", "serving")
    image = "-var=image=serving"
    terraform("init", f"-plugin-dir={mirror}")
    terraform("apply", "-auto-approve", image)
    ecs = world.client("ecs")
    assert world.service("terraform", "terraform")["runningCount"] == 1
    plan = terraform("plan", "-detailed-exitcode", image, expect=(0, 2))
    assert plan.returncode == 0, f"an endless difference:\n{plan.stdout}"
    terraform("apply", "-auto-approve", image, "-var=desired=2")
    assert world.service("terraform", "terraform")["desiredCount"] == 2
    plan = terraform("plan", "-detailed-exitcode", image, "-var=desired=2", expect=(0, 2))
    assert plan.returncode == 0, f"an endless difference:\n{plan.stdout}"
    assert json.loads(terraform("output", "-json").stdout)["service"]["value"] == world.service("terraform", "terraform")["serviceArn"]
    world.restart()
    plan = terraform("plan", "-detailed-exitcode", image, "-var=desired=2", expect=(0, 2))
    assert plan.returncode == 0, f"a difference after a restart:\n{plan.stdout}"
    terraform("destroy", "-auto-approve", image)
    assert world.service("terraform", "terraform")["status"] == "INACTIVE"
    assert ecs.describe_clusters(clusters=["terraform"])["clusters"][0]["status"] == "INACTIVE"
    assert world.client("logs").describe_log_groups(logGroupNamePrefix="/ecs/terraform")["logGroups"] == []
