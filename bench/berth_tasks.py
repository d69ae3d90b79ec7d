"""A Berth with the bench's image, cluster, log group and task definitions in it, and the questions that measures ask."""
import math
import time

import image
from harness import BenchError, meminfo
from servers import Berth
from signed import Caller

CLUSTER = "bench"
GROUP = "/bench"
TASK_MEMORY_MIB = 512  # the smallest Fargate size: 256 CPU units, 512 MiB


def overcommit_for(tasks):
    """The least whole factor under which `tasks` of the smallest size fit on this machine."""
    return max(1, math.ceil(tasks * TASK_MEMORY_MIB * 1024 * 1024 / meminfo()["MemTotal"]))


class TaskBench:
    def __init__(self, bench, tasks_max=20, core=None):
        self.bench = bench
        self.berth = Berth(bench, core, ["--memory-overcommit", str(overcommit_for(tasks_max))])
        self.berth.start()
        self.ecs = self.berth.client("ecs")
        layout = bench.directory("image")
        self.berth.run("image", "load", image.write_oci_layout(layout, bench.now_program), "--name", image.NAME)
        self.ecs.create_cluster(clusterName=CLUSTER)
        self.account = self.ecs.describe_clusters(clusters=[CLUSTER])["clusters"][0]["clusterArn"].split(":")[4]
        subnets = self.berth.client("ec2").describe_subnets()["Subnets"]
        if not subnets:
            raise BenchError("the default VPC has no subnet")
        self.network = {"awsvpcConfiguration": {"subnets": [subnets[0]["SubnetId"]]}}

    def define(self, family, command=None, logs=True, log_options=None):
        container = {"name": "now", "image": image.NAME, "essential": True}
        if command:
            container["command"] = command
        if logs:
            container["logConfiguration"] = {"logDriver": "awslogs", "options": {
                "awslogs-group": GROUP, "awslogs-region": "us-east-1", "awslogs-stream-prefix": family,
                "awslogs-create-group": "true",
                **(log_options or {})}}
        return self.ecs.register_task_definition(
            family=family, requiresCompatibilities=["FARGATE"], networkMode="awsvpc", cpu="256",
            memory=str(TASK_MEMORY_MIB), executionRoleArn=f"arn:aws:iam::{self.account}:role/bench",
            containerDefinitions=[container])["taskDefinition"]["taskDefinitionArn"]

    def run_task(self, definition):
        answer = self.ecs.run_task(cluster=CLUSTER, taskDefinition=definition, launchType="FARGATE", count=1,
                                   networkConfiguration=self.network)
        if answer["failures"] or not answer["tasks"]:
            raise BenchError(f"RunTask: {answer['failures']}")
        return answer["tasks"][0]["taskArn"]

    def caller(self, service="ecs"):
        return Caller(self.berth.port, self.berth.signer(service))

    def wait_for_status(self, caller, arn, status, timeout_s=60.0, pause_s=0.0):
        """Returns the moment (CLOCK_MONOTONIC, ns) at which the answer was in hand."""
        deadline = time.monotonic() + timeout_s
        while True:
            task = caller.call("DescribeTasks", cluster=CLUSTER, tasks=[arn])["tasks"][0]
            if task["lastStatus"] == status:
                return time.monotonic_ns()
            if task["lastStatus"] == "STOPPED" or time.monotonic() > deadline:
                raise BenchError(f"the task is {task['lastStatus']}, not {status}: {task.get('stoppedReason', '')} "
                                 f"{[c.get('reason', '') for c in task['containers']]}")
            if pause_s:
                time.sleep(pause_s)

    def stop_task(self, caller, arn):
        self.ecs.stop_task(cluster=CLUSTER, task=arn)
        self.wait_for_status(caller, arn, "STOPPED", pause_s=0.005)

    def stream_of(self, definition_family, arn):
        return f"{definition_family}/now/{arn.rsplit('/', 1)[1]}"

    def create_service(self, name, definition, count=0):
        self.ecs.create_service(cluster=CLUSTER, serviceName=name, taskDefinition=definition, desiredCount=count,
                                launchType="FARGATE", networkConfiguration=self.network)

    def scale(self, name, count):
        self.ecs.update_service(cluster=CLUSTER, service=name, desiredCount=count)

    def counts(self, caller, name):
        service = caller.call("DescribeServices", cluster=CLUSTER, services=[name])["services"][0]
        return service["runningCount"], service["pendingCount"], service

    def tasks_of(self, name, desired):
        pages = self.ecs.get_paginator("list_tasks").paginate(cluster=CLUSTER, serviceName=name, desiredStatus=desired)
        return [arn for page in pages for arn in page["taskArns"]]

    def describe(self, arns):
        tasks = []
        for at in range(0, len(arns), 100):
            tasks += self.ecs.describe_tasks(cluster=CLUSTER, tasks=arns[at:at + 100])["tasks"]
        return tasks
