"""Fixtures. `simulated`: one daemon with the simulated agent for the whole session; `berth`: one with real containers for each
module; `real`: one with the platform's images. All are ended, and what they made is taken from the machine, after failures too."""

import ipaddress
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import pytest

from berth_world import World, make_busybox_layout, program
from harness import IMAGES, ROOT, Berth, network


@pytest.fixture(scope="session", autouse=True)
def the_program():
    return program()


@pytest.fixture(scope="session")
def needs_root():
    if os.geteuid() != 0:
        pytest.fail("these tests run real containers: run them as root ('make test' does, through sudo)")


@pytest.fixture
def new_directory():
    """A directory of this test's own that any user may enter, gone afterwards."""
    path = pathlib.Path(tempfile.mkdtemp(prefix=f"berth-test-{os.getpid()}-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def unique(request):
    """A name for this test's objects in a Berth that others share."""
    return "".join(c if c.isalnum() else "-" for c in request.node.name)[:60].strip("-").lower()


# Without containers.


@pytest.fixture(scope="session")
def simulated():
    with Berth("--memory-overcommit", "1000", agent="simulated") as world:
        yield world


@pytest.fixture
def own_simulated():
    """A simulated Berth for one test, which may restart it."""
    with Berth("--memory-overcommit", "1000", agent="simulated") as world:
        yield world


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


# With containers.


@pytest.fixture(scope="session")
def busybox_layout(needs_root):
    directory = pathlib.Path(tempfile.mkdtemp(prefix=f"berth-image-{os.getpid()}-"))
    try:
        yield make_busybox_layout(directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def furnish(world, layout):
    world.client("ecs").create_cluster(clusterName="default")
    world.run("image", "load", f"oci:{layout}:latest", "--name", "busybox")
    return world


@pytest.fixture
def new_berth(new_directory, busybox_layout):
    """Makes Berths for one test: new_berth("--memory-overcommit", "2", start=False)."""
    made = []

    def make(*arguments, start=True, directory=None):
        directory = directory or new_directory / f"berth-{len(made)}"
        directory.mkdir(exist_ok=True)
        world = World(directory, *arguments, real=True)
        made.append(world)
        if start:
            world.start()
            furnish(world, busybox_layout)
        return world

    try:
        yield make
    finally:
        errors = []
        for world in made:
            try:
                world.close()
            except Exception as error:  # the others must be cleaned up as well
                errors.append(error)
        if errors:
            raise errors[0]


@pytest.fixture(scope="module")
def berth(busybox_layout):
    with Berth("--memory-overcommit", "4") as world:
        yield furnish(world, busybox_layout)


@pytest.fixture(scope="session")
def platform_images(needs_root):
    subprocess.run([ROOT / "platform/build-images", "--output", IMAGES], check=True)
    return IMAGES


@pytest.fixture(scope="module")
def real(platform_images):
    """A daemon with containers and the platform's images. Its own VPC takes the next free network of the host."""
    with Berth("--memory-overcommit", "64") as berth:
        berth.load_platform_images()
        yield berth


# Beyond this machine.


TELLS_PEERS = """
import socket
server = socket.create_server(("0.0.0.0", 0))
print(server.getsockname()[1], flush=True)
while True:
    connection, peer = server.accept()
    connection.sendall(f"you are {peer[0]}\\n".encode())
    connection.close()
"""


@pytest.fixture
def outside():
    """A machine beyond this one: a namespace that the host routes to, with a server that answers with its peer's address."""
    name = f"bt{os.getpid() % 100000}"
    # Of the shared address space (RFC 6598), four addresses of this process's own: another run may go on beside it.
    first = int(ipaddress.ip_address("100.64.0.0")) + 4 * (os.getpid() % 1048576)
    host, far = (str(ipaddress.ip_address(first + n)) for n in (1, 2))
    commands = [f"netns add {name}", f"link add {name}a type veth peer name {name}b netns {name}", f"addr add {host}/30 dev {name}a",
                f"link set {name}a up", f"-n {name} addr add {far}/30 dev {name}b", f"-n {name} link set {name}b up",
                f"-n {name} link set lo up"]
    server = None
    try:
        for command in commands:
            subprocess.run(["ip", *command.split()], check=True)
        server = subprocess.Popen(["ip", "netns", "exec", name, sys.executable, "-c", TELLS_PEERS], stdout=subprocess.PIPE, text=True)
        yield far, int(server.stdout.readline()), host
    finally:
        if server:
            server.kill()
            server.wait()
            server.stdout.close()
        subprocess.run(["ip", "link", "del", f"{name}a"], stderr=subprocess.DEVNULL)
        subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL)
