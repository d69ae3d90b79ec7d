"""Tasks and services by boto3 with its waiters, on a simulated agent."""
import botocore.exceptions
import pytest

from harness import register
from test_clusters import failure

QUICK = {"Delay": 1, "MaxAttempts": 60}


def run_task(ecs, cluster, vpc, **more):
    return ecs.run_task(cluster=cluster, launchType="FARGATE", networkConfiguration=vpc,
                        **{"taskDefinition": register(ecs, "task"), **more})


def service(ecs, cluster, vpc, name="web", **more):
    return ecs.create_service(**{"cluster": cluster, "serviceName": name, "taskDefinition": register(ecs, name), "desiredCount": 2,
                                 "launchType": "FARGATE", "networkConfiguration": vpc, **more})["service"]


def test_a_task_runs_and_stops_through_the_waiters(ecs, cluster, vpc):
    answer = run_task(ecs, cluster, vpc, count=2, startedBy="me", tags=[{"key": "a", "value": "b"}])
    arns = [task["taskArn"] for task in answer["tasks"]]
    assert answer["failures"] == [] and len(arns) == 2
    ecs.get_waiter("tasks_running").wait(cluster=cluster, tasks=arns, WaiterConfig=QUICK)
    task = ecs.describe_tasks(cluster=cluster, tasks=arns[:1], include=["TAGS"])["tasks"][0]
    assert task["lastStatus"] == "RUNNING" and task["group"] == "family:task" and task["startedBy"] == "me"
    assert task["platformVersion"] == "1.4.0" and task["launchType"] == "FARGATE" and task["tags"] == [{"key": "a", "value": "b"}]
    assert {"privateIPv4Address", "subnetId", "networkInterfaceId", "macAddress"} <= {d["name"] for d in task["attachments"][0]["details"]}
    assert set(ecs.list_tasks(cluster=cluster, startedBy="me")["taskArns"]) == set(arns)
    assert ecs.stop_task(cluster=cluster, task=arns[0], reason="enough")["task"]["desiredStatus"] == "STOPPED"
    ecs.stop_task(cluster=cluster, task=arns[1])
    ecs.get_waiter("tasks_stopped").wait(cluster=cluster, tasks=arns, WaiterConfig=QUICK)
    stopped = {t["taskArn"]: t for t in ecs.describe_tasks(cluster=cluster, tasks=arns)["tasks"]}
    assert (stopped[arns[0]]["stopCode"], stopped[arns[0]]["stoppedReason"]) == ("UserInitiated", "enough")
    assert stopped[arns[1]]["stoppedReason"] == "Task stopped by user"
    assert set(ecs.list_tasks(cluster=cluster, desiredStatus="STOPPED")["taskArns"]) == set(arns)


def test_the_same_client_token_gives_the_same_tasks(ecs, cluster, vpc):
    definition = register(ecs, "task")
    first = run_task(ecs, cluster, vpc, taskDefinition=definition, clientToken="once")["tasks"][0]["taskArn"]
    assert run_task(ecs, cluster, vpc, taskDefinition=definition, clientToken="once")["tasks"][0]["taskArn"] == first
    with pytest.raises(ecs.exceptions.ConflictException) as error:
        run_task(ecs, cluster, vpc, taskDefinition=definition, clientToken="once", count=2)
    assert error.value.response["resourceIds"] == [first]


def test_a_simulated_task_says_so(ecs, cluster, vpc):
    arn = run_task(ecs, cluster, vpc)["tasks"][0]["taskArn"]
    attributes = ecs.describe_tasks(cluster=cluster, tasks=[arn])["tasks"][0]["attributes"]
    assert any("simulated" in attribute["name"] + attribute.get("value", "") for attribute in attributes)


def test_a_service_scales_updates_and_ends(ecs, cluster, vpc):
    made = service(ecs, cluster, vpc, propagateTags="SERVICE", tags=[{"key": "team", "value": "video"}],
                   enableECSManagedTags=True)
    assert made["deployments"][0]["status"] == "PRIMARY" and made["platformVersion"] == "LATEST"
    assert made["deploymentController"] == {"type": "ECS"} and made["schedulingStrategy"] == "REPLICA"
    stable = ecs.get_waiter("services_stable")
    stable.wait(cluster=cluster, services=["web"], WaiterConfig=QUICK)
    tasks = ecs.list_tasks(cluster=cluster, serviceName="web")["taskArns"]
    seen = ecs.describe_tasks(cluster=cluster, tasks=tasks, include=["TAGS"])["tasks"]
    assert len(seen) == 2 and all(task["group"] == "service:web" for task in seen)
    tags = {tag["key"]: tag["value"] for tag in seen[0]["tags"]}
    assert tags == {"team": "video", "aws:ecs:clusterName": cluster, "aws:ecs:serviceName": "web"}
    ecs.update_service(cluster=cluster, service="web", desiredCount=5)
    stable.wait(cluster=cluster, services=["web"], WaiterConfig=QUICK)
    assert len(ecs.list_tasks(cluster=cluster, serviceName="web")["taskArns"]) == 5
    second = register(ecs, "web")
    ecs.update_service(cluster=cluster, service="web", taskDefinition=second)
    stable.wait(cluster=cluster, services=["web"], WaiterConfig=QUICK)
    tasks = ecs.list_tasks(cluster=cluster, serviceName="web")["taskArns"]
    assert {task["taskDefinitionArn"] for task in ecs.describe_tasks(cluster=cluster, tasks=tasks)["tasks"]} == {second}
    with pytest.raises(botocore.exceptions.ClientError) as error:
        ecs.delete_service(cluster=cluster, service="web")
    assert failure(error) == ("InvalidParameterException", "The service cannot be stopped while it is scaled above 0.")
    ecs.update_service(cluster=cluster, service="web", desiredCount=0)
    stable.wait(cluster=cluster, services=["web"], WaiterConfig=QUICK)
    assert ecs.describe_services(cluster=cluster, services=["web"])["services"][0]["status"] == "ACTIVE"
    ecs.delete_service(cluster=cluster, service="web")
    ecs.get_waiter("services_inactive").wait(cluster=cluster, services=["web"], WaiterConfig=QUICK)
    messages = [e["message"] for e in ecs.describe_services(cluster=cluster, services=["web"])["services"][0]["events"]]
    assert any("has reached a steady state." in message for message in messages)
    assert any("has started" in message for message in messages)


def test_services_are_paged(ecs, cluster, vpc):
    for number in range(13):
        service(ecs, cluster, vpc, name=f"s{number:02d}", desiredCount=0)
    pages = list(ecs.get_paginator("list_services").paginate(cluster=cluster))
    assert [len(page["serviceArns"]) for page in pages] == [10, 3]


def test_strategy_and_defaults_come_back_as_terraform_wants_them(ecs, cluster, vpc):
    strategy = [{"capacityProvider": "FARGATE", "weight": 100, "base": 1}]
    ecs.put_cluster_capacity_providers(cluster=cluster, capacityProviders=["FARGATE"], defaultCapacityProviderStrategy=strategy)
    definition = register(ecs, "web", taskRoleArn="arn:aws:iam::000000000000:role/exec")
    made = ecs.create_service(cluster=cluster, serviceName="web", taskDefinition=definition, desiredCount=0,
                              capacityProviderStrategy=strategy, propagateTags="SERVICE", enableExecuteCommand=True,
                              networkConfiguration=vpc)["service"]
    assert made["capacityProviderStrategy"] == strategy and "launchType" not in made
    assert made["propagateTags"] == "SERVICE" and made["enableExecuteCommand"] is True
    assert made["availabilityZoneRebalancing"] in ("ENABLED", "DISABLED")
    breaker = made["deploymentConfiguration"]["deploymentCircuitBreaker"]
    assert breaker["enable"] is False and breaker["rollback"] is False


def test_ec2_is_answered_as_by_a_cluster_without_instances(ecs, cluster):
    ecs.register_task_definition(family="on-ec2", containerDefinitions=[{"name": "app", "image": "x", "memory": 64}])
    with pytest.raises(botocore.exceptions.ClientError) as error:
        ecs.run_task(cluster=cluster, taskDefinition="on-ec2")
    assert failure(error) == ("InvalidParameterException", "No Container Instances were found in your cluster.")
    ecs.create_service(cluster=cluster, serviceName="never", taskDefinition="on-ec2", desiredCount=1)
    described = ecs.describe_services(cluster=cluster, services=["never"])["services"][0]
    assert described["runningCount"] == 0


MISTAKES = [
    (lambda ecs, cluster, vpc: ecs.stop_task(cluster=cluster, task="0" * 32), "InvalidParameterException", "The referenced task was not found."),
    (lambda ecs, cluster, vpc: ecs.update_service(cluster=cluster, service="nobody", desiredCount=1), "ServiceNotFoundException", "Service not found."),
    (lambda ecs, cluster, vpc: run_task(ecs, cluster, vpc, taskDefinition="unheard-of"), "ClientException", "TaskDefinition not found."),
    (lambda ecs, cluster, vpc: ecs.run_task(cluster=cluster, launchType="FARGATE", taskDefinition=register(ecs, "task")),
     "InvalidParameterException", "Network Configuration must be provided when networkMode 'awsvpc' is specified."),
    (lambda ecs, cluster, vpc: run_task(ecs, cluster, vpc, platformVersion="1.4"), "PlatformUnknownException", "The specified platform does not exist."),
    (lambda ecs, cluster, vpc: run_task(ecs, cluster, vpc, overrides={"containerOverrides": [{"name": "who"}]}),
     "InvalidParameterException", "Override for container named who is not a container in the TaskDefinition."),
    (lambda ecs, cluster, vpc: ecs.describe_services(cluster=cluster, services=[f"s{n}" for n in range(11)]),
     "InvalidParameterException", "service names can have at most 10 items."),
    (lambda ecs, cluster, vpc: ecs.describe_services(cluster=cluster, services=[]), "InvalidParameterException", "Services cannot be empty."),
]


@pytest.mark.parametrize("call, code, message", MISTAKES, ids=range(len(MISTAKES)))
def test_mistakes_get_the_words_of_aws(ecs, cluster, vpc, call, code, message):
    with pytest.raises(botocore.exceptions.ClientError) as error:
        call(ecs, cluster, vpc)
    assert failure(error) == (code, message)
