"""Images pulled from registries that are well and from ones that are not."""

import contextlib
import http.server
import json
import pathlib
import threading
import time

import pytest

from berth_world import SERVE, eventually, shell


class Registry:
    """A registry on loopback that serves one OCI layout under every name; `stalls` keeps each question after the first, which only
    asks whether a registry is there, until the registry is closed."""

    def __init__(self, layout, stalls=False):
        self.asked, self.closing = threading.Event(), threading.Event()
        blobs = pathlib.Path(layout) / "blobs" / "sha256"
        manifest = json.loads((pathlib.Path(layout) / "index.json").read_text())["manifests"][0]["digest"].split(":")[1]
        registry = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                if stalls and registry.asked.is_set():
                    registry.stalled.release()
                    return registry.closing.wait()
                registry.asked.set()
                if self.path == "/v2/":
                    return self.answer(b"{}", "application/json")
                digest = manifest if "/manifests/" in self.path else self.path.rsplit(":", 1)[-1]
                kind = "vnd.oci.image.manifest.v1+json" if digest == manifest else "octet-stream"
                self.answer((blobs / digest).read_bytes(), f"application/{kind}")

            do_HEAD = do_GET

            def answer(self, body, kind):
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.stalled = threading.Semaphore(0)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def image(self, tag="1"):
        return f"127.0.0.1:{self.server.server_address[1]}/team/app:{tag}"

    def wait_for_pull(self):
        assert self.stalled.acquire(timeout=20), "nobody pulls"

    def close(self):
        self.closing.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def registries(busybox_layout):
    with contextlib.ExitStack() as stack:
        def make(**more):
            registry = Registry(busybox_layout, **more)
            stack.callback(registry.close)
            return registry
        yield make


def took(began):
    return time.monotonic() - began


def test_a_registry_that_stalls_holds_up_no_other_task_and_no_stop(berth, unique, registries):
    stalling, healthy = registries(stalls=True), registries()
    definition = berth.define(unique, shell(SERVE, image=stalling.image()))
    waiting = berth.run_task(definition, count=3)
    waiting += [berth.run_task(berth.define(unique + "-other", shell(SERVE, image=stalling.image("2"))))]
    stalling.wait_for_pull()
    began = time.monotonic()
    ready = berth.run_task(berth.define(unique + "-healthy", shell(SERVE, image=healthy.image())))
    berth.wait_task(ready, "RUNNING", seconds=10)
    assert took(began) < 5
    began = time.monotonic()
    for arn in waiting:
        berth.client("ecs").stop_task(task=arn, reason="enough")
    for arn in waiting:
        task = berth.wait_task(arn, "STOPPED", seconds=10)
        assert (task["stoppedReason"], task["stopCode"]) == ("enough", "UserInitiated")
        assert "reason" not in task["containers"][0]
    assert took(began) < 3
    berth.client("ecs").stop_task(task=ready)


def test_a_service_whose_image_is_being_pulled_is_deleted_at_once(berth, unique, registries):
    stalling, ecs = registries(stalls=True), berth.client("ecs")
    ecs.create_service(serviceName=unique, taskDefinition=berth.define(unique, shell(SERVE, image=stalling.image())),
                       desiredCount=2, launchType="FARGATE", networkConfiguration=berth.network())
    stalling.wait_for_pull()
    began = time.monotonic()
    ecs.delete_service(service=unique, force=True)
    eventually(lambda: berth.service(unique)["status"] == "INACTIVE", "the service is gone", 10)
    assert took(began) < 3


def test_stop_stop_tasks_does_not_wait_for_a_pull(new_berth, registries):
    world, stalling = new_berth(), registries(stalls=True)
    world.run_task(world.define("pulling", shell(SERVE, image=stalling.image())))
    stalling.wait_for_pull()
    began = time.monotonic()
    world.run("stop", "--stop-tasks")
    assert took(began) < 5
    assert world.reap() == 0


def test_a_pull_goes_on_while_somebody_wants_the_image(berth, unique, registries):
    stalling = registries(stalls=True)
    definition = berth.define(unique, shell(SERVE, image=stalling.image()))
    first, second = berth.run_task(definition, count=2)
    stalling.wait_for_pull()
    berth.client("ecs").stop_task(task=first)
    berth.wait_task(first, "STOPPED", seconds=10)
    assert berth.task(second)["lastStatus"] in ("PROVISIONING", "PENDING")
    berth.client("ecs").stop_task(task=second)
    berth.wait_task(second, "STOPPED", seconds=10)
