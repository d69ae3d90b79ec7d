"""What services promise, with real containers."""

import os
import time

import pytest

from berth_world import SERVE, eventually, process_alive, shell


@pytest.fixture
def service(berth, unique):
    """Creates a service of this test; it is deleted and its tasks are gone when the test has ended."""
    ecs = berth.client("ecs")

    def create(definition, count=1, **more):
        ecs.create_service(serviceName=unique, taskDefinition=definition, desiredCount=count, launchType="FARGATE",
                           networkConfiguration=berth.network(), **more)
        return unique

    yield create
    if berth.client("ecs").describe_services(services=[unique])["services"]:
        ecs.delete_service(service=unique, force=True)
        ecs.get_waiter("services_inactive").wait(services=[unique], WaiterConfig={"Delay": 1, "MaxAttempts": 40})


def events(berth, name):
    return [event["message"] for event in berth.service(name)["events"]]


def test_scaling_both_ways_and_to_zero(berth, service, unique):
    ecs = berth.client("ecs")
    service(berth.define(unique, shell(SERVE)), 1)
    ecs.get_waiter("services_stable").wait(services=[unique], WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    first = berth.service_tasks(unique)
    for count in (4, 2, 0):
        ecs.update_service(service=unique, desiredCount=count)
        berth.wait_steady(unique, count)
        assert len(berth.service_tasks(unique)) == count
        eventually(lambda n=count: sum(bool(p) for t, p in berth.census().items()
                                       if t in str(berth.service_tasks(unique))) == n, "as many task cgroups have processes")
    seen = berth.service(unique)
    assert seen["status"] == "ACTIVE", "scaling to 0 keeps the service"
    stopped = ecs.describe_tasks(tasks=first)["tasks"][0]
    assert stopped["stopCode"] == "ServiceSchedulerInitiated"
    assert stopped["stoppedReason"].startswith("Scaling activity initiated by (deployment ecs-svc/")
    texts = events(berth, unique)
    assert any(t.startswith(f"(service {unique}) has started 1 tasks: (task ") for t in texts)
    assert any("has stopped " in t and " running tasks: (task " in t for t in texts)
    assert f"(service {unique}) has reached a steady state." in texts


def test_a_task_that_ends_is_replaced(berth, service, unique):
    service(berth.define(unique, shell(SERVE)), 2)
    berth.wait_steady(unique, 2)
    victim = berth.service_tasks(unique)[0]
    os.kill(berth.census()[victim.rsplit("/", 1)[1]][0], 9)
    berth.wait_task(victim, "STOPPED")
    berth.wait_steady(unique, 2)
    assert victim not in berth.service_tasks(unique)
    killed = berth.task(victim)
    assert killed["containers"][0]["exitCode"] == 137
    assert "OutOfMemory" not in killed["containers"][0].get("reason", ""), "a plain SIGKILL is no lack of memory"


def test_a_task_whose_supervisor_is_killed_is_replaced(berth, service, unique):
    service(berth.define(unique, shell(SERVE)), 1)
    berth.wait_steady(unique, 1)
    victim = berth.service_tasks(unique)[0]
    victim_id = victim.rsplit("/", 1)[1]
    pids = berth.census()[victim_id]
    os.kill(berth.supervisors()[victim_id], 9)
    task = berth.wait_task(victim, "STOPPED")
    assert task["stoppedReason"]
    eventually(lambda: not any(map(process_alive, pids)), "nothing of it runs on")
    berth.wait_steady(unique, 1)
    assert berth.service_tasks(unique) != [victim]


def test_an_unhealthy_task_is_replaced(berth, service, unique):
    check = {"command": ["CMD-SHELL", "test ! -e /tmp/ill"], "interval": 5, "timeout": 2, "retries": 1, "startPeriod": 0}
    service(berth.define(unique, shell(SERVE, healthCheck=check)), 1)
    seen = berth.wait_steady(unique, 1)
    victim = berth.service_tasks(unique)[0]
    eventually(lambda: berth.task(victim)["healthStatus"] == "HEALTHY", "it is healthy")
    pid = berth.census()[victim.rsplit("/", 1)[1]][0]
    open(f"/proc/{pid}/root/tmp/ill", "w").close()
    task = berth.wait_task(victim, "STOPPED", seconds=30)
    assert task["stopCode"] == "ServiceSchedulerInitiated"
    assert task["stoppedReason"] == "Task failed container health checks"
    berth.wait_steady(unique, 1)
    assert any("failed container health checks" in text for text in events(berth, unique)), seen


def test_a_rolling_deployment_keeps_enough_tasks(berth, service, unique):
    ecs = berth.client("ecs")
    old = berth.define(unique, shell(SERVE))
    service(old, 2, deploymentConfiguration={"minimumHealthyPercent": 100, "maximumPercent": 200})
    berth.wait_steady(unique, 2)
    new = berth.define(unique, shell("echo second; " + SERVE))
    ecs.update_service(service=unique, taskDefinition=new)

    def over():
        seen = berth.service(unique)
        running = ecs.describe_tasks(tasks=berth.service_tasks(unique))["tasks"]
        alive = [t for t in running if t["lastStatus"] == "RUNNING"]
        assert len(alive) >= 2, "below minimumHealthyPercent"
        assert len(running) <= 4, "above maximumPercent"
        return len(seen["deployments"]) == 1 and seen["deployments"][0]["rolloutState"] == "COMPLETED"

    eventually(over, "the deployment completes")
    assert {t["taskDefinitionArn"] for t in ecs.describe_tasks(tasks=berth.service_tasks(unique))["tasks"]} == {new}
    assert any(t.endswith(" deployment completed.") for t in events(berth, unique))


def test_the_circuit_breaker_rolls_back(berth, service, unique):
    ecs = berth.client("ecs")
    good = berth.define(unique, shell(SERVE))
    service(good, 1, deploymentConfiguration={"deploymentCircuitBreaker": {"enable": True, "rollback": True}})
    eventually(lambda: berth.service(unique)["deployments"][0]["rolloutState"] == "COMPLETED", "it has proved itself", 60)
    kept = berth.service_tasks(unique)
    bad = berth.define(unique, {"command": ["/no/such/program"]})
    ecs.update_service(service=unique, taskDefinition=bad)
    eventually(lambda: any("deployment failed: tasks failed to start." in t for t in events(berth, unique)), "the deployment fails", 60)
    back, failed = berth.service(unique)["deployments"]
    assert (failed["rolloutState"], failed["status"]) == ("FAILED", "ACTIVE")
    assert failed["rolloutStateReason"] == "ECS deployment circuit breaker: tasks failed to start."
    assert (back["rolloutState"], back["status"]) == ("IN_PROGRESS", "PRIMARY")
    assert back["rolloutStateReason"] == f"ECS deployment circuit breaker: rolling back to deploymentId {back['id']}."
    berth.wait_steady(unique, 1)
    seen = berth.service(unique)
    assert seen["taskDefinition"] == good
    assert berth.service_tasks(unique) == kept, "the task that worked was left alone"
    assert any("rolling back to deployment ecs-svc/" in t for t in events(berth, unique))


def test_starts_that_fail_are_held_back(berth, service, unique):
    service(berth.define(unique, {"command": ["/no/such/program"]}), 1)
    eventually(lambda: any("is unable to consistently start tasks successfully" in t for t in events(berth, unique)), "it is told", 60)
    before = len(berth.service_tasks(unique, status="STOPPED"))
    time.sleep(3)  # the thing to see is that little happens
    assert len(berth.service_tasks(unique, status="STOPPED")) - before <= 2


def test_tags_reach_the_tasks(berth, service, unique):
    service(berth.define(unique, shell(SERVE)), 1, tags=[{"key": "team", "value": "video"}], propagateTags="SERVICE",
            enableECSManagedTags=True)
    berth.wait_steady(unique, 1)
    task = berth.client("ecs").describe_tasks(tasks=berth.service_tasks(unique), include=["TAGS"])["tasks"][0]
    assert {t["key"]: t["value"] for t in task["tags"]} == {"team": "video", "aws:ecs:clusterName": "default",
                                                              "aws:ecs:serviceName": unique}
    assert task["group"] == f"service:{unique}"
    assert task["startedBy"].startswith("ecs-svc/")


def test_ec2_services_run_nothing_and_say_why(berth, unique):
    ecs = berth.client("ecs")
    definition = ecs.register_task_definition(family=unique, containerDefinitions=[{"name": "c", "image": "busybox", "memory": 16}])
    ecs.create_service(serviceName=unique, taskDefinition=definition["taskDefinition"]["taskDefinitionArn"], desiredCount=1)
    try:
        text = (f"(service {unique}) was unable to place a task because no container instance met all of its requirements. "
                "Reason: No Container Instances were found in your cluster.")
        eventually(lambda: any(t.startswith(text) for t in events(berth, unique)), "it is told")
        assert berth.service(unique)["runningCount"] == 0
    finally:
        ecs.delete_service(service=unique, force=True)


def test_a_machine_whose_memory_is_taken_says_so(new_berth, unique):
    world = new_berth("--memory-overcommit", "0.06")  # room for one or two of the smallest tasks
    ecs = world.client("ecs")
    definition = world.define(unique, shell(SERVE))
    answers = [ecs.run_task(taskDefinition=definition, launchType="FARGATE", networkConfiguration=world.network())
               for _ in range(12)]
    assert answers[0]["tasks"], answers[0]
    assert answers[-1]["failures"][0]["reason"] == "RESOURCE:MEMORY"
    ecs.create_service(serviceName=unique, taskDefinition=definition, desiredCount=1, launchType="FARGATE",
                       networkConfiguration=world.network())
    eventually(lambda: any("unable to place a task" in t and "Capacity is unavailable at this time" in t or "memory" in t
                           for t in events(world, unique)), "the service says that memory is short")
    assert world.service(unique)["runningCount"] == 0
    first = answers[0]["tasks"][0]["taskArn"]
    ecs.stop_task(task=first)
    world.wait_task(first, "STOPPED")
    world.wait_steady(unique, 1)
