"""The task definitions that the API measures register and describe."""
import copy
import json

from harness import HERE, BenchError

PLATFORM = HERE.parent / "platform" / "task-definition.json"

SMALL = {
    "requiresCompatibilities": ["FARGATE"], "networkMode": "awsvpc", "cpu": "256", "memory": "512",
    "executionRoleArn": "arn:aws:iam::123456789012:role/ecsTaskExecutionRole",
    "containerDefinitions": [{
        "name": "web", "image": "nginx:1", "essential": True,
        "portMappings": [{"containerPort": 80, "protocol": "tcp"}],
        "environment": [{"name": "STAGE", "value": "bench"}],
        "logConfiguration": {"logDriver": "awslogs", "options": {
            "awslogs-group": "/bench", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "web"}}}],
}


def platform():
    """The input of RegisterTaskDefinition for the video platform."""
    if not PLATFORM.exists():
        raise BenchError(f"{PLATFORM} is not there")
    text = PLATFORM.read_text().replace("${ACCOUNT}", "123456789012").replace("${REGION}", "us-east-1")
    return json.loads(text)


def body(definition, family):
    named = copy.copy(definition)
    named["family"] = family
    return json.dumps(named).encode()
