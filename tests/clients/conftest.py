import os
import subprocess

import pytest

from harness import IMAGES, PROGRAM, ROOT, Berth, network


def pytest_sessionstart(session):
    if not PROGRAM.exists():
        pytest.exit(f"there is no {PROGRAM}; run make build", returncode=1)


@pytest.fixture(scope="session")
def simulated():
    """A daemon for tests of the API's shapes: no containers, no rights."""
    with Berth(agent="simulated") as berth:
        yield berth


@pytest.fixture(scope="session")
def platform_images():
    if os.geteuid() != 0:
        pytest.fail("these tests start containers and need root")
    subprocess.run([ROOT / "platform/build-images", "--output", IMAGES], check=True)
    return IMAGES


@pytest.fixture(scope="module")
def real(platform_images):
    """A daemon with containers and the platform's images. Its own VPC takes the next free network of the host."""
    with Berth("--memory-overcommit", "64") as berth:
        berth.load_platform_images()
        yield berth


@pytest.fixture
def ecs(simulated):
    return simulated.client("ecs")


@pytest.fixture
def logs(simulated):
    return simulated.client("logs")


@pytest.fixture
def cluster(ecs, request):
    """A cluster of the test's own, gone afterwards with what is in it."""
    name = "".join(sign if sign.isalnum() else "-" for sign in request.node.name)[:200]
    ecs.create_cluster(clusterName=name)
    yield name
    empty_cluster(ecs, name)
    ecs.delete_cluster(cluster=name)


def empty_cluster(ecs, name):
    services = [arn for page in ecs.get_paginator("list_services").paginate(cluster=name) for arn in page["serviceArns"]]
    for arn in services:
        ecs.delete_service(cluster=name, service=arn, force=True)
    tasks = [arn for page in ecs.get_paginator("list_tasks").paginate(cluster=name) for arn in page["taskArns"]]
    for arn in tasks:
        ecs.stop_task(cluster=name, task=arn)
    waiter = {"Delay": 1, "MaxAttempts": 60}
    if services:
        ecs.get_waiter("services_inactive").wait(cluster=name, services=services[:10], WaiterConfig=waiter)
    if tasks:
        ecs.get_waiter("tasks_stopped").wait(cluster=name, tasks=tasks[:100], WaiterConfig=waiter)


@pytest.fixture
def vpc(simulated):
    return network(simulated.client("ec2"))
