"""kill -9 of the daemon, at least a hundred times, under churn: at every named point several times, and at random moments. Now and
then a supervisor is killed as well, with a daemon that sees it or without one.

The seed is printed; BERTH_KILL_SEED=… runs one again (the kernel's own timing is not part of it).
"""

import os
import pathlib
import random
import shutil
import signal
import subprocess
import threading
import time

import pytest

from berth_world import eventually
from churn import CUT_OFF, Churn

# Every kill_point() of the daemon, and up to which passage it is let to live.
POINTS = {"before-commit": 40, "after-commit": 40, "before-spawn": 3, "after-spawn": 3, "before-network": 3, "after-network": 3,
          "before-stop": 3, "after-stop": 3, "before-release": 3, "after-release": 3, "layer-unpacked": 1, "before-image-index": 1,
          "after-image-index": 1}
IMAGE_POINTS = ("layer-unpacked", "before-image-index", "after-image-index")
AT_EACH_POINT = 5
KILLS = 110
STEADY_TASKS = 3
PATIENCE_SECONDS = 3.0


def test_every_kill_point_is_listed():
    from berth_world import REPOSITORY
    named = subprocess.run(["grep", "-rhoE", r'kill_point\("[^"]+"\)', REPOSITORY / "src"], capture_output=True, text=True, check=True)
    assert {line.split('"')[1] for line in named.stdout.splitlines()} == set(POINTS)


@pytest.fixture(scope="module")
def layouts(busybox_layout, tmp_path_factory):
    """Images with a layer of their own each, so that loading one unpacks one."""
    directory = tmp_path_factory.mktemp("layouts")
    made = []
    for number in range(len(IMAGE_POINTS) * AT_EACH_POINT + 4):
        layout, file = directory / f"layout-{number}", directory / f"file-{number}"
        shutil.copytree(busybox_layout, layout)
        file.write_text(f"layer {number}\n")
        subprocess.run(["umoci", "insert", "--image", f"{layout}:latest", file, "/etc/layer"], check=True, capture_output=True, timeout=60)
        made.append(layout)
    return made


class Killer:
    """Starts the daemon with a death in mind, keeps it busy until it comes, and counts."""

    def __init__(self, world, churn, seed, layouts):
        self.world, self.churn, self.random = world, churn, random.Random(seed)
        self.hits = dict.fromkeys(POINTS, 0)
        self.at_random = 0
        self.layouts = list(layouts)
        self.loaded = {}  # image name → whether that was acknowledged

    @property
    def kills(self):
        return sum(self.hits.values()) + self.at_random

    def life(self, point):
        """One life of the daemon. `point` None: it dies at a random moment."""
        passage = self.random.randint(1, POINTS[point]) if point else 0
        if self.random.random() < 0.1:
            self.churn.kill_supervisor()  # while no daemon sees it
        ready = self.world.start(kill_at=f"{point}:{passage}" if point else None, expect_ready=point is None)
        loading = self._load_image() if ready and point in IMAGE_POINTS else None
        if ready:
            try:
                self.churn.connect()
                self.churn.check_acknowledged()
                cut_off = not self._live(point, loading)
            except CUT_OFF:
                self.churn.cut_off += 1
                cut_off = True
            if cut_off:
                self.world.process.wait(10)  # its connections end a moment before it does
        self._die(point)
        if loading:
            loading.join(20)
            assert not loading.is_alive(), "berth image load hangs on a daemon that is dead"

    def _live(self, point, loading):
        """False: an answer was cut off, so that the daemon is dying."""
        end = time.monotonic() + (PATIENCE_SECONDS if point else self.random.uniform(0, 0.8))
        while self.world.alive() and time.monotonic() < end:
            if not self.churn.step():
                return False
        if loading:
            loading.join(PATIENCE_SECONDS)
        return True

    def _load_image(self):
        assert self.layouts, f"images enough for each point were loaded, and the daemon lived on: {self.hits}"
        layout, name = self.layouts.pop(), f"loaded-{len(self.loaded)}"
        self.loaded[name] = False

        def load():
            done = self.world.run("image", "load", f"oci:{layout}:latest", "--name", name, check=False)
            self.loaded[name] = done.returncode == 0

        thread = threading.Thread(target=load)
        thread.start()
        return thread

    def _die(self, point):
        if point and self.world.process is not None and not self.world.alive():
            status = self.world.reap()
            assert status == -signal.SIGKILL, f"the daemon ended with {status}:\n{self.world.log_end()}"
            self.hits[point] += 1
        elif self.world.process is None:
            self.hits[point] += 1  # before it was ready
        elif self.world.alive():
            self.world.kill()
            self.at_random += 1
        else:
            status = self.world.reap()
            raise AssertionError(f"the daemon ended by itself with {status}:\n{self.world.log_end()}")


@pytest.fixture(scope="module")
def killed(new_berth_of_module, layouts):
    """The world after all kills and one last start, at rest."""
    seed = int(os.environ.get("BERTH_KILL_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"\nBERTH_KILL_SEED={seed}")
    world = new_berth_of_module
    churn = Churn(world, seed)
    churn.prepare(STEADY_TASKS)
    before = {arn: (init_of(world, arn), world.supervisors()[arn.rsplit("/", 1)[1]]) for arn in churn.steady}
    killer = Killer(world, churn, seed + 1, layouts)
    world.kill()
    killer.at_random += 1
    began = time.monotonic()
    wanted = [point for point in POINTS for _ in range(AT_EACH_POINT)]
    killer.random.shuffle(wanted)
    while wanted or killer.kills < KILLS:
        point = wanted.pop() if wanted and killer.random.random() < 0.8 else None
        hits = killer.hits.get(point)
        killer.life(point)
        if point and killer.hits[point] == hits and (killer.layouts or point not in IMAGE_POINTS):
            wanted.insert(0, point)
        assert time.monotonic() - began < 240, f"too slow: {killer.kills} kills; still wanted: {wanted}"
    print(f"{killer.kills} kills in {time.monotonic() - began:.0f} s: {killer.hits}, {killer.at_random} at random moments; "
          f"{len(churn.orphaned)} supervisors killed; acknowledged {churn.done}, cut off {churn.cut_off}")
    world.start()
    churn.connect()
    churn.check_acknowledged()
    churn.settle()
    return world, churn, killer, before


@pytest.fixture(scope="module")
def new_berth_of_module(busybox_layout):
    from conftest import furnish
    from harness import Berth
    with Berth("--memory-overcommit", "8") as world:
        yield furnish(world, busybox_layout)


def init_of(world, arn):
    """The container's process 1, as the host's kernel numbers it."""
    for pid in world.census()[arn.rsplit("/", 1)[1]]:
        try:
            status = pathlib.Path(f"/proc/{pid}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue  # one of its short-lived children
        if next(line for line in status.splitlines() if line.startswith("NSpid:")).split()[-1] == "1":
            return pid
    raise AssertionError(f"{arn} has no process 1")


def test_there_were_enough_kills(killed):
    _, _, killer, _ = killed
    assert killer.kills >= 100
    assert all(hits >= AT_EACH_POINT for hits in killer.hits.values()), killer.hits
    assert killer.at_random >= 20
    assert len(killer.churn.orphaned) >= 10


def test_tasks_that_should_live_kept_their_processes(killed):
    world, churn, _, before = killed
    after = {arn: (init_of(world, arn), world.supervisors()[arn.rsplit("/", 1)[1]]) for arn in churn.steady}
    assert after == before


def test_nothing_acknowledged_is_lost(killed):
    world, churn, killer, _ = killed
    churn.check_acknowledged()
    churn.check_definitions()
    churn.check_put_events()
    names = world.run("image", "ls").stdout
    for name, acknowledged in killer.loaded.items():
        assert f"{name}:latest" in names or not acknowledged, f"image {name} was loaded and is gone"


def test_no_task_is_doubled(killed):
    world, churn, _, _ = killed
    churn.check_tasks()
    ids = {arn.rsplit("/", 1)[1] for arn in churn.living()}
    census = {task: pids for task, pids in world.census().items() if pids}
    assert set(census) == ids, "the kernel's tasks are the API's"
    assert set(world.supervisors()) == ids
    for arn in churn.living():
        init_of(world, arn)
    seen = world.client("ecs").describe_tasks(tasks=sorted(churn.living()))["tasks"]
    addresses = [world.address_of(task) for task in seen]
    assert len(set(addresses)) == len(addresses), "two tasks with one address"


def test_no_log_line_is_lost_or_doubled(killed):
    _, churn, _, _ = killed
    streams, ended = churn.check_container_logs()
    print(f"{streams} streams whole, {ended} of them to their last line")
    assert ended > 10


def test_everything_that_leaked_is_collected(killed):
    world, churn, _, _ = killed
    ids = {arn.rsplit("/", 1)[1] for arn in churn.living()}

    def objects(kind):
        return {o["name"] for o in world.host_objects() if o["kind"] == kind}

    namespaces = f"/run/berth/{world.instance()}/netns/"
    vpc = next(name for name in objects("namespace") if "/vpc-" in name)
    eventually(lambda: objects("namespace") == {namespaces + i for i in ids} | {vpc}, "only living tasks have namespaces")
    kinds = [o["kind"] for o in world.host_objects() if o["kind"] != "namespace"]
    assert sorted(set(kinds)) == ["cgroup", "companion", "directory", "link", "mount", "nft table", "route"], world.host_objects()
    # The VPC's network, the block of public addresses, and each public address in use.
    assert all(kinds.count(kind) == 1 for kind in set(kinds) - {"route"}), world.host_objects()
    inside = ["nsenter", f"--net={vpc}"]
    links = subprocess.run([*inside, "ip", "-o", "link"], capture_output=True, text=True, check=True).stdout.splitlines()
    assert len([line for line in links if "link-netns" in line]) == len(ids) + 1, "a link for each task and one to the host"
    rules = subprocess.run([*inside, "nft", "list", "ruleset"], capture_output=True, text=True, check=True).stdout
    living = {world.address_of(t) for t in world.client("ecs").describe_tasks(tasks=sorted(churn.living()))["tasks"]}
    dead = {world.address_of(t) for arn in churn.stopped for t in [world.task(arn)] if any(
        d["name"] == "privateIPv4Address" for a in t["attachments"] for d in a["details"])} - living
    words = set(rules.replace(",", " ").replace("{", " ").replace("}", " ").split())
    assert not dead & words, f"rules of dead tasks: {dead & words}"
    assert str(world.state) not in pathlib.Path("/proc/self/mounts").read_text(), "an overlay in the host's mount table"

    def strays():
        there = {p.name for p in world.cgroup().iterdir() if p.is_dir()}
        return {"nobody's": sorted(there - ids - {"supervisors"}), "missing": sorted((ids | {"supervisors"}) - there)}

    try:
        eventually(lambda: not any(strays().values()), "only living tasks have cgroups")
    except AssertionError as error:
        told = [line for line in world.log_end(100_000).splitlines() if any(i in line for i in strays()["nobody's"])]
        raise AssertionError(f"{error}: {strays()}; the daemon's log of them: {told[-20:]}") from None
    tasks, waste = world.state / "tasks", world.state / "tasks" / ".removed"  # what is moved there is being deleted

    def leaked():
        names = {p.name for p in tasks.iterdir()} - ids - {waste.name, ".aside"}
        return names | {str(p) for p in waste.glob("*")} | {str(p) for p in tasks.glob(".aside/*")}

    eventually(lambda: not leaked() or None, f"only living tasks have directories: {leaked()}")


def test_it_all_ends(killed):
    world, churn, _, before = killed
    for arn in churn.steady:
        world.client("ecs").stop_task(task=arn)
    for arn in churn.steady:
        task = world.wait_task(arn, "STOPPED")
        assert task["containers"][0]["exitCode"] == 0
    _, ended = churn.check_container_logs()
    assert ended
    # What no daemon saw dying in its arms starts from every image that it says it has.
    for line in world.run("image", "ls").stdout.splitlines():
        if "loaded-" in line:
            name = next(w for w in line.split() if "loaded-" in w)
            arn = world.run_task(world.define("look", {"image": name, "command": ["cat", "/etc/layer"]}))
            world.wait_task(arn, "STOPPED")
            assert world.lines(arn)[0].startswith("layer "), name
