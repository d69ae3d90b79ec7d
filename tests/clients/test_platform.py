"""The video platform on a real agent: deployed by its own script, driven by the seed's commands, watched in browsers."""
import json
import os
import re
import signal
import sys

import pytest

from berth_world import reading
from harness import PROFILE, ROOT, address_of, run, wait_until
from meeting.browsers import STREAMS, Meeting

CLUSTER, SERVICE = "jitsi-video-platform-cluster", "jitsi-video-platform-service"
LOG_GROUP = "/ecs/jitsi-video-platform"


@pytest.fixture(scope="module")
def platform(real):
    done = run(sys.executable, ROOT / "platform/deploy", "--profile", PROFILE, env=real.environment())
    assert "made, desired count 0" in done.stdout
    return real


@pytest.fixture(scope="module")
def aws(platform):
    """The seed's own commands, profile name included, by AWS CLI v2."""
    program = run(ROOT / "scripts/awscli2").stdout.strip()
    environment = platform.environment()

    def call(line, **more):
        words = line.split()
        assert words[0] == "aws"
        return run(program, *words[1:], env=environment, **more)

    call.program, call.environment = program, environment
    return call


@pytest.fixture(scope="module")
def running(aws, platform):
    aws(f"aws ecs update-service --cluster {CLUSTER} --service {SERVICE} --desired-count 1 --profile {PROFILE}")
    aws(f"aws ecs wait services-stable --cluster {CLUSTER} --services {SERVICE} --profile {PROFILE}")
    return wait_until(lambda: next((t for t in platform.tasks() if t["lastStatus"] == "RUNNING" and t.get("healthStatus") == "HEALTHY"), None),
                      "a healthy task of the platform")


def test_a_second_deployment_changes_nothing(platform, running):
    done = run(sys.executable, ROOT / "platform/deploy", "--profile", PROFILE, env=platform.environment())
    assert done.stdout.count("is there") == 4 and "made" not in done.stdout and "registered" not in done.stdout


def test_the_task_is_what_was_asked_for(platform, running):
    assert [c["name"] for c in running["containers"]] == ["jitsi-web", "prosody", "jvb"]
    assert (running["cpu"], running["memory"], running["group"]) == ("4096", "8192", f"service:{SERVICE}")
    tags = platform.client("ecs").describe_tasks(cluster=CLUSTER, tasks=[running["taskArn"]], include=["TAGS"])["tasks"][0]["tags"]
    assert {"key": "Environment", "value": "production"} in tags


def test_the_seeds_commands_work_as_they_stand(aws, running):
    listed = json.loads(aws(f"aws ecs list-tasks --cluster {CLUSTER} --profile {PROFILE}").stdout)["taskArns"]
    assert listed == [running["taskArn"]]
    words = ["ecs", "list-tasks", "--cluster", CLUSTER, "--profile", PROFILE, "--query", "taskArns[0]", "--output", "text"]
    assert run(aws.program, *words, env=aws.environment).stdout.strip().split("/")[2] == running["taskArn"].rsplit("/", 1)[1]
    log = aws(f"aws logs tail {LOG_GROUP} --profile {PROFILE}").stdout
    for container in ("jitsi-web", "prosody", "jvb"):
        assert re.search(rf"^\S+ {container}/{container}/[0-9a-f]{{32}} ", log, re.M), log[:2000]


def test_a_followed_log_shows_what_is_written_next(aws, running):
    with reading([aws.program, "logs", "tail", LOG_GROUP, "--follow", "--profile", PROFILE], env=aws.environment) as follow:
        assert follow.stdout.readline(), "it has begun"
        run("curl", "-sk", f"https://{address_of(running)}/assets/seen-by-the-tail")
        assert any("seen-by-the-tail" in line for line in follow.stdout)


def test_the_page_is_served_on_80_and_443(running):
    for url in (f"http://{address_of(running)}/", f"https://{address_of(running)}/standup"):
        assert "<title>Meeting</title>" in run("curl", "-fsSk", url).stdout


def test_who_has_no_camera_is_seen_and_sees(running):
    with Meeting(address_of(running), room="quiet", names=("Ada", "Linus"), without_camera=("Linus",)) as meeting:
        meeting.wait_until_all_are_seen()
        linus = meeting.browsers["Linus"]
        assert [linus.find_element("id", button).text for button in ("toggle-audio", "toggle-video")] == ["No microphone", "No camera"]
        growth = meeting.growth(4)
        assert len(growth) == 2 and all(sum(seconds) >= 4 for seconds in growth.values()), growth


def test_three_browsers_see_each_other_through_the_bridge_and_freeze_without_it(running, aws, platform):
    with Meeting(address_of(running)) as meeting:
        meeting.wait_until_all_are_seen()
        growth = meeting.growth(10)
        meeting.everybody_says_hello()
        assert len(growth) == STREAMS
        assert all(sum(seconds) > 20 and sum(gain > 0 for gain in seconds) >= 8 for seconds in growth.values()), growth
        os.kill(bridge_process(platform, running), signal.SIGKILL)
        meeting.wait_until_bridge_is_missed()
        frozen = meeting.growth(4)  # of these the first second is for what had arrived and was not decoded yet
        assert all(sum(seconds[1:]) == 0 for seconds in frozen.values()), frozen
    # The service replaces the task, and says why the old one stopped.
    ecs = platform.client("ecs")
    old = wait_until(lambda: next((t for t in ecs.describe_tasks(cluster=CLUSTER, tasks=[running["taskArn"]])["tasks"]
                                   if t["lastStatus"] == "STOPPED"), None), "the task without its bridge to stop")
    assert (old["stopCode"], old["stoppedReason"]) == ("EssentialContainerExited", "Essential container in task exited")
    assert next(c for c in old["containers"] if c["name"] == "jvb")["exitCode"] == 137
    wait_until(lambda: any(t["lastStatus"] == "RUNNING" and t.get("healthStatus") == "HEALTHY" and t["taskArn"] != running["taskArn"]
                           for t in platform.tasks()), "a replacement that is healthy", timeout=90)


def bridge_process(platform, task):
    """The host's process id of Janus in this task, found by the task's cgroup."""
    task_id = task["taskArn"].rsplit("/", 1)[1]
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/comm") as comm, open(f"/proc/{entry}/cgroup") as cgroup:
                if comm.read().strip() == "janus" and task_id in cgroup.read():
                    return int(entry)
        except OSError:
            continue
    raise AssertionError("no Janus runs in the task")


def test_scaling_to_0_stops_everything_and_keeps_the_service(aws, running, platform):
    aws(f"aws ecs update-service --cluster {CLUSTER} --service {SERVICE} --desired-count 0 --profile {PROFILE}")
    aws(f"aws ecs wait services-stable --cluster {CLUSTER} --services {SERVICE} --profile {PROFILE}")
    wait_until(lambda: not platform.tasks(), "all tasks to end")
    described = platform.client("ecs").describe_services(cluster=CLUSTER, services=[SERVICE])["services"][0]
    assert (described["status"], described["runningCount"], described["desiredCount"]) == ("ACTIVE", 0, 0)
