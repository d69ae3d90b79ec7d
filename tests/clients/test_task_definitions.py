"""Task definitions by boto3, on a simulated agent."""
import botocore.exceptions
import pytest

from harness import container, register
from test_clusters import failure


def test_what_aws_fills_in_comes_back_filled_in(ecs):
    arn = register(ecs, "filled", container(portMappings=[{"containerPort": 80}], environment=[{"name": "A", "value": "1"}]))
    described = ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"]
    only = described["containerDefinitions"][0]
    assert only["portMappings"] == [{"containerPort": 80, "hostPort": 80, "protocol": "tcp"}]
    assert only["essential"] is True and only["cpu"] == 0
    assert only["mountPoints"] == [] and only["volumesFrom"] == [] and only["systemControls"] == []
    assert described["status"] == "ACTIVE" and described["revision"] == 1
    assert "FARGATE" in described["compatibilities"] and described["requiresCompatibilities"] == ["FARGATE"]


def test_revisions_count_up_and_are_never_reused(ecs):
    arns = [register(ecs, "counted") for _ in range(3)]
    assert [arn.rsplit(":", 1)[1] for arn in arns] == ["1", "2", "3"]
    ecs.deregister_task_definition(taskDefinition=arns[2])
    assert ecs.describe_task_definition(taskDefinition="counted")["taskDefinition"]["revision"] == 2
    assert ecs.delete_task_definitions(taskDefinitions=[arns[2]])["failures"] == []
    assert register(ecs, "counted").endswith(":4")
    listed = ecs.list_task_definitions(familyPrefix="counted", sort="DESC")["taskDefinitionArns"]
    assert [arn.rsplit(":", 1)[1] for arn in listed] == ["4", "2", "1"]
    assert "counted" in ecs.list_task_definition_families(familyPrefix="count")["families"]


def test_many_revisions_are_paged_in_numeric_order(ecs):
    for _ in range(12):
        register(ecs, "paged")
    pages = ecs.get_paginator("list_task_definitions").paginate(familyPrefix="paged", PaginationConfig={"PageSize": 5})
    arns = [arn for page in pages for arn in page["taskDefinitionArns"]]
    assert [int(arn.rsplit(":", 1)[1]) for arn in arns] == list(range(1, 13))


def test_tags_come_beside_the_definition(ecs):
    ecs.register_task_definition(family="tagged", containerDefinitions=[container(memory=64)], tags=[{"key": "k", "value": "v"}])
    assert ecs.describe_task_definition(taskDefinition="tagged", include=["TAGS"])["tags"] == [{"key": "k", "value": "v"}]
    assert "tags" not in ecs.describe_task_definition(taskDefinition="tagged") or ecs.describe_task_definition(taskDefinition="tagged")["tags"] == []


WRONG = [
    ({"cpu": "512", "memory": "512"}, "No Fargate configuration exists for given values: 512 CPU, 512 memory. See the Amazon ECS documentation for the valid values."),
    ({"cpu": None}, "Fargate requires that 'cpu' be defined at the task level."),
    ({"memory": None}, "Fargate requires that 'memory' be defined at the task level."),
    ({"networkMode": "bridge"}, "Fargate only supports network mode ‘awsvpc’."),
    ({"containerDefinitions": [container(portMappings=[{"containerPort": 80, "hostPort": 8080}])]},
     "When networkMode=awsvpc, the host ports and container ports in port mappings must match."),
    ({"containerDefinitions": [container(memory=4096)]}, "The 'memory' setting for container 'app' is greater than for the task."),
    ({"containerDefinitions": [container(logConfiguration={"logDriver": "awslogs", "options": {"awslogs-group": "g", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "p"}})]},
     "Fargate requires task definition to have execution role ARN to support log driver awslogs."),
    ({"containerDefinitions": [container("a", dependsOn=[{"containerName": "b", "condition": "SUCCESS"}]), container("b")]},
     "A dependency container with SUCCESS or COMPLETE condition cannot be an essential container"),
]


@pytest.mark.parametrize("change, message", WRONG, ids=range(len(WRONG)))
def test_mistakes_get_the_words_of_aws(ecs, change, message):
    wanted = {"family": "wrong", "requiresCompatibilities": ["FARGATE"], "networkMode": "awsvpc", "cpu": "256", "memory": "512",
              "containerDefinitions": [container()], **change}
    with pytest.raises(botocore.exceptions.ClientError) as error:
        ecs.register_task_definition(**{name: value for name, value in wanted.items() if value is not None})
    assert failure(error) == ("ClientException", message)


def test_an_unknown_definition_is_told_as_by_aws(ecs):
    with pytest.raises(botocore.exceptions.ClientError) as error:
        ecs.describe_task_definition(taskDefinition="unheard-of")
    assert failure(error) == ("ClientException", "Unable to describe task definition.")
