"""Waits until the platform's service is steady and its task healthy, telling the service's own events meanwhile.

steady.py PROFILE CLUSTER SERVICE SECONDS    exit status 1, with the reason, when it does not come to that.
"""
import sys
import time

import boto3

profile, cluster, service, seconds = *sys.argv[1:4], int(sys.argv[4])
ecs = boto3.Session(profile_name=profile).client("ecs")
told = {event["id"] for event in ecs.describe_services(cluster=cluster, services=[service])["services"][0]["events"][1:]}
began = time.monotonic()


def state():
    """What the service is like now, as (steady?, what is still missing)."""
    description = ecs.describe_services(cluster=cluster, services=[service])["services"][0]
    for event in reversed(description["events"]):
        if event["id"] not in told:
            told.add(event["id"])
            print("  " + event["message"], flush=True)
    failed = [d for d in description["deployments"] if d.get("rolloutState") == "FAILED"]
    if failed:
        sys.exit(f"error: the deployment failed: {failed[0].get('rolloutStateReason', '')}")
    desired = description["desiredCount"]
    if len(description["deployments"]) != 1 or description["runningCount"] != desired:
        return False, f"{description['runningCount']} of {desired} tasks run"
    arns = ecs.list_tasks(cluster=cluster, serviceName=service)["taskArns"]
    tasks = ecs.describe_tasks(cluster=cluster, tasks=arns)["tasks"] if arns else []
    healthy = sum(task.get("healthStatus") == "HEALTHY" for task in tasks)
    return healthy == desired, f"{healthy} of {desired} tasks are healthy"


while True:
    steady, missing = state()
    if steady:
        break
    if time.monotonic() - began > seconds:
        sys.exit(f"error: after {seconds} s {missing}")
    time.sleep(0.5)  # ECS has no call that waits; this is what its own waiters do, at a person's pace
