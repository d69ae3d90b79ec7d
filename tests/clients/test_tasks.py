"""What a task promises, with real containers: the kernel and the container's own output are the judges."""

import collections
import contextlib
import http.client
import os
import shutil
import socket
import subprocess
import sys
import threading
import time

import pytest

from berth_world import SERVE, awslogs, eventually, process_alive, shell


def container(task, name="main"):
    return next(c for c in task["containers"] if c["name"] == name)


def run_to_end(berth, definition, seconds=30, **more):
    arn = berth.run_task(definition, **more)
    return arn, berth.wait_task(arn, "STOPPED", seconds=seconds)


@pytest.fixture(scope="module", autouse=True)
def restarting(berth):
    """A task whose container ends after 61 s, the shortest time after which ECS restarts one. It runs beside all other tests."""
    policy = {"enabled": True, "restartAttemptPeriod": 60}
    arn = berth.run_task(berth.define("restarting", shell("echo started; sleep 61; exit 3", restartPolicy=policy)))
    return arn, time.monotonic()


# How tasks end.


def test_an_exit_is_told_with_its_code(berth, unique):
    _, task = run_to_end(berth, berth.define(unique, shell("exit 7")))
    assert (task["stopCode"], task["stoppedReason"]) == ("EssentialContainerExited", "Essential container in task exited")
    assert container(task)["exitCode"] == 7
    assert "reason" not in container(task)
    assert task["createdAt"] <= task["pullStartedAt"] <= task["pullStoppedAt"] <= task["startedAt"]
    assert task["startedAt"] <= task["executionStoppedAt"] <= task["stoppedAt"]


def test_an_essential_exit_of_zero_stops_the_others(berth, unique):
    definition = berth.define(unique, shell("sleep 1"),
                              shell("trap 'echo told; exit 9' TERM; sleep 1000 & wait", name="beside", essential=False))
    arn, task = run_to_end(berth, definition)
    assert container(task)["exitCode"] == 0
    assert container(task, "beside")["exitCode"] == 9
    assert berth.lines(arn, "beside") == ["told"]


def test_a_container_that_is_not_essential_leaves_the_task_running(berth, unique):
    definition = berth.define(unique, shell(SERVE), shell("exit 4", name="beside", essential=False))
    arn = berth.run_task(definition)
    berth.wait_task(arn, "RUNNING")
    task = eventually(lambda: (t := berth.task(arn)) and container(t, "beside")["lastStatus"] == "STOPPED" and t, "it exits")
    assert container(task, "beside")["exitCode"] == 4
    assert task["lastStatus"] == "RUNNING"
    berth.client("ecs").stop_task(task=arn, reason="no longer needed")
    task = berth.wait_task(arn, "STOPPED")
    assert (task["stopCode"], task["stoppedReason"]) == ("UserInitiated", "no longer needed")
    assert container(task)["exitCode"] == 0


def test_stop_is_sigterm_then_sigkill_after_the_stop_timeout(berth, unique):
    definition = berth.define(unique, shell("trap 'echo heard' TERM; echo ready; while :; do sleep 0.1; done"))
    arn = berth.run_task(definition)
    eventually(lambda: berth.lines(arn) == ["ready"], "the container is ready")
    asked = time.monotonic()
    stopped = berth.client("ecs").stop_task(task=arn)["task"]
    assert stopped["desiredStatus"] == "STOPPED"
    task = berth.wait_task(arn, "STOPPED")
    assert 2 <= time.monotonic() - asked < 10
    assert container(task)["exitCode"] == 137
    assert task["stoppedReason"] == "Task stopped by user"
    assert berth.lines(arn) == ["ready", "heard"]


def test_a_stop_at_any_moment_of_a_launch(berth, unique):
    """A process that was started gets one SIGTERM, and one that was not never starts."""
    ecs = berth.client("ecs")
    script = "trap 'echo told; exit 5' TERM; echo up; while :; do sleep 0.05; done"
    definition = berth.define(unique, shell(script), shell(script, name="after",
                                                           dependsOn=[{"containerName": "main", "condition": "START"}]))
    arns = []
    for wait_ms in range(0, 120, 3):
        arns.append(berth.run_task(definition))
        time.sleep(wait_ms / 1000)
        ecs.stop_task(task=arns[-1])
    ran = collections.Counter()
    for arn in arns:
        task = berth.wait_task(arn, "STOPPED")
        assert task["stopCode"] == "UserInitiated"
        for name in ("main", "after"):
            seen = container(task, name)
            ran["exitCode" in seen] += 1
            assert "reason" not in seen
            lines = berth.lines(arn, name)
            if seen.get("exitCode") == 137:  # SIGTERM came before the shell had set its trap: process 1 ignores it then
                assert lines in ([], ["up"]), lines
                continue
            assert seen.get("exitCode", 5) == 5
            assert lines == (["up", "told"] if "exitCode" in seen else []), seen
    assert ran[True] > 10 and ran[False] > 2, ran


def test_out_of_memory_is_told_as_such(berth, unique):
    _, task = run_to_end(berth, berth.define(unique, shell("tail /dev/zero", memory=64)))
    assert container(task)["exitCode"] == 137
    assert container(task)["reason"] == "OutOfMemoryError: Container killed due to memory usage"
    assert task["stopCode"] == "EssentialContainerExited"


def test_an_image_that_is_nowhere_fails_within_seconds(berth, unique):
    definition = berth.define(unique, {"image": "registry.invalid/nothing:1"}, shell(SERVE, name="beside"))
    asked = time.monotonic()
    _, task = run_to_end(berth, definition)
    assert time.monotonic() - asked < 8
    assert task["stopCode"] == "TaskFailedToStart"
    assert task["stoppedReason"].startswith("CannotPullContainerError: ")
    assert "registry.invalid/nothing:1" in task["stoppedReason"]
    assert container(task)["reason"].startswith("CannotPullContainerError: ")
    for name in ("main", "beside"):
        assert "exitCode" not in container(task, name), "a container that never started has no exit code"


def test_a_command_that_is_not_in_the_image_cannot_start(berth, unique):
    _, task = run_to_end(berth, berth.define(unique, {"command": ["/no/such/program"]}))
    assert task["stopCode"] == "TaskFailedToStart"
    assert task["stoppedReason"].startswith("CannotStartContainerError: ") or \
        task["stoppedReason"].startswith("CannotCreateContainerError: "), task["stoppedReason"]
    assert "exitCode" not in container(task)


@pytest.mark.parametrize("member", [
    {"secrets": [{"name": "S", "valueFrom": "arn:aws:ssm:us-east-1:000000000000:parameter/s"}]},
    {"environmentFiles": [{"type": "s3", "value": "arn:aws:s3:::bucket/file.env"}]},
    {"logConfiguration": {"logDriver": "splunk", "options": {"splunk-token": "t", "splunk-url": "u"}}},
], ids=lambda member: next(iter(member)))
def test_what_is_not_served_stops_the_task_and_says_so(berth, unique, member):
    _, task = run_to_end(berth, berth.define(unique, shell(SERVE, **member)))
    assert task["stopCode"] == "TaskFailedToStart"
    assert task["stoppedReason"].startswith("ResourceInitializationError: ")
    assert "not served" in task["stoppedReason"]


def test_a_log_group_that_is_not_there_stops_the_task(berth, unique):
    _, task = run_to_end(berth, berth.define(unique, shell(SERVE, **awslogs("/no/such", **{"awslogs-create-group": "false"}))))
    assert task["stopCode"] == "TaskFailedToStart"
    assert task["stoppedReason"].startswith("ResourceInitializationError: failed to validate logger args: ")
    assert "/no/such" in task["stoppedReason"]


@pytest.mark.parametrize("options, said", [
    ({"group": "no good!"}, "'no good!' at 'logGroupName'"),
    ({"group": "/x", "prefix": "a:b"}, "'a:b' at 'logStreamName'"),
    ({"group": "/x", "region": "us-east-1/x"}, "'us-east-1/x'"),
    ({"group": "/x", "awslogs-multiline-pattern": "^(INFO"}, "could not parse multiline pattern"),
], ids=["group", "stream", "region", "pattern"])
def test_a_log_that_cannot_be_stops_the_task_and_makes_nothing(berth, unique, options, said):
    _, task = run_to_end(berth, berth.define(unique, shell(SERVE, **awslogs(**options))))
    assert task["stopCode"] == "TaskFailedToStart"
    assert task["stoppedReason"].startswith("ResourceInitializationError: failed to validate logger args: ")
    assert said in task["stoppedReason"]
    groups = berth.client("logs").describe_log_groups()["logGroups"]
    assert not {"no good!", "/x"} & {group["logGroupName"] for group in groups}


def test_lines_join_the_event_that_a_date_begins(berth, unique):
    script = "echo '[Nov 25, 2026 10:00:00] Traceback'; echo '  line 1'; echo 'Error'; echo '[Nov 25, 2026 10:00:01] next'"
    group = f"/test/{unique}"
    definition = berth.define(unique, shell(script, **awslogs(group, **{"awslogs-datetime-format": r"\[%b %d, %Y %H:%M:%S\]"})))
    arn, _ = run_to_end(berth, definition)
    assert berth.lines(arn) == ["[Nov 25, 2026 10:00:00] Traceback", "  line 1", "Error", "[Nov 25, 2026 10:00:01] next"]
    assert berth.messages(group) == ["[Nov 25, 2026 10:00:00] Traceback\n  line 1\nError\n", "[Nov 25, 2026 10:00:01] next\n"]
    berth.client("logs").delete_log_group(logGroupName=group)


@pytest.mark.parametrize("mode", ["blocking", "non-blocking"])
def test_a_deleted_log_group_does_not_hold_its_containers_up(berth, unique, mode):
    group, logs = f"/test/{unique}", berth.client("logs")
    logs.create_log_group(logGroupName=group)
    script = "trap 'seq 1 500000; exit 7' TERM; echo begin; sleep 100000 & wait"
    arn = berth.run_task(berth.define(unique, shell(script, stopTimeout=20, **awslogs(group, mode=mode))))
    eventually(lambda: berth.messages(group) == ["begin"], "it logs", every=0.01)
    logs.delete_log_group(logGroupName=group)
    logs.create_log_group(logGroupName=group)
    berth.client("ecs").stop_task(task=arn)
    assert container(berth.wait_task(arn, "STOPPED", seconds=40))["exitCode"] == 7, "it wrote all of it"
    assert berth.messages(group) == [], "the new group has nothing of the old one"
    logs.delete_log_group(logGroupName=group)


def test_a_killed_supervisor_stops_its_task_with_a_reason(berth, unique):
    arn = berth.run_task(berth.define(unique, shell(SERVE)))
    berth.wait_task(arn, "RUNNING")
    task_id = arn.rsplit("/", 1)[1]
    pids = berth.census()[task_id]
    os.kill(berth.supervisors()[task_id], 9)
    task = berth.wait_task(arn, "STOPPED")
    assert task["stoppedReason"], task
    eventually(lambda: not any(map(process_alive, pids)), "the task's processes are gone")
    assert task_id not in berth.census()


# Order.


def test_a_chain_of_healthy_dependencies_does_not_wait_for_intervals(berth, unique):
    check = {"command": ["CMD-SHELL", "test -e /tmp/ready"], "interval": 30, "timeout": 5, "retries": 3, "startPeriod": 20}
    first = {"healthCheck": check}

    def after(name):
        return {"dependsOn": [{"containerName": name, "condition": "HEALTHY"}], "healthCheck": check}

    script = "echo up; sleep 0.3; touch /tmp/ready; " + SERVE
    definition = berth.define(unique, shell(script, name="a", **first), shell(script, name="b", **after("a")),
                              shell(script, name="c", **after("b")))
    asked = time.monotonic()
    arn = berth.run_task(definition)
    task = berth.wait_task(arn, "RUNNING")
    task = eventually(lambda: (t := berth.task(arn))["healthStatus"] == "HEALTHY" and t, "all are healthy")
    assert time.monotonic() - asked < 12
    assert {c["healthStatus"] for c in task["containers"]} == {"HEALTHY"}
    assert [name for name in "abc" if berth.lines(arn, name)] == list("abc")


def test_a_failed_health_check_counts_once_an_interval_has_passed(berth, unique):
    check = {"command": ["CMD-SHELL", "test -e /tmp/ready"], "interval": 5, "timeout": 2, "retries": 3}
    arn = berth.run_task(berth.define(unique, shell("sleep 12; touch /tmp/ready; " + SERVE, healthCheck=check)))
    seen = []

    def is_healthy():
        seen.append(berth.task(arn)["healthStatus"])
        return seen[-1] == "HEALTHY"

    eventually(is_healthy, "it is healthy", seconds=25)
    assert "UNHEALTHY" not in seen


def test_a_health_check_of_one_word_needs_no_shell(berth, busybox_layout, tmp_path, unique):
    layout = tmp_path / "layout"
    shutil.copytree(busybox_layout, layout)
    subprocess.run(["umoci", "insert", "--image", f"{layout}:latest", "--whiteout", "/bin/sh"], check=True, capture_output=True,
                   timeout=60)
    berth.run("image", "load", f"oci:{layout}:latest", "--name", "without-shell")
    check = {"command": ["/bin/true"], "interval": 5, "timeout": 2, "retries": 1}
    shells = {"command": ["/bin/true || exit 1"], "interval": 5, "timeout": 2, "retries": 1}
    definition = berth.define(unique, {"name": "main", "image": "without-shell", "command": ["sleep", "1000"], "healthCheck": check},
                              {"name": "other", "image": "without-shell", "command": ["sleep", "1000"], "healthCheck": shells,
                               "essential": False})
    arn = berth.run_task(definition)
    task = eventually(lambda: (t := berth.task(arn)) and container(t, "other")["healthStatus"] == "UNHEALTHY" and t, "no shell")
    assert container(task)["healthStatus"] == "HEALTHY"
    berth.client("ecs").stop_task(task=arn)
    berth.wait_task(arn, "STOPPED", seconds=40)
    berth.run("image", "rm", "without-shell")


def test_success_and_complete_come_before_start(berth, unique):
    mount = {"mountPoints": [{"sourceVolume": "shared", "containerPath": "/shared"}]}
    definition = berth.define(
        unique,
        shell("sleep 0.5; echo one > /shared/one", name="one", essential=False, **mount),
        shell("sleep 0.5; echo two > /shared/two; exit 5", name="two", essential=False, **mount),
        shell("cat /shared/one /shared/two", dependsOn=[{"containerName": "one", "condition": "SUCCESS"},
                                                         {"containerName": "two", "condition": "COMPLETE"}], **mount),
        volumes=[{"name": "shared", "host": {}}])
    arn, task = run_to_end(berth, definition)
    assert berth.lines(arn, "main") == ["one", "two"]
    assert container(task, "two")["exitCode"] == 5
    assert container(task)["exitCode"] == 0


def test_a_dependency_that_fails_stops_the_task(berth, unique):
    definition = berth.define(unique, shell("exit 1", name="one", essential=False),
                              shell("echo never", dependsOn=[{"containerName": "one", "condition": "SUCCESS"}]))
    arn, task = run_to_end(berth, definition)
    assert task["stopCode"] == "TaskFailedToStart"
    assert container(task)["exitCode"] == 143
    assert container(task)["reason"].startswith("CannotStartContainerError: ")
    assert container(task)["reason"].endswith("[one] for target [main]: one exited with code 1")
    assert task["stoppedReason"] == container(task)["reason"]
    assert berth.lines(arn, "main") == []


def test_a_side_car_that_cannot_start_leaves_its_task(berth, unique):
    ecs = berth.client("ecs")
    check = {"command": ["CMD-SHELL", "true"], "interval": 5}
    late = {"essential": False, "dependsOn": [{"containerName": "main", "condition": "HEALTHY"}]}
    definition = berth.define(
        unique, shell(SERVE, healthCheck=check),
        {"name": "command", "command": ["nosuch"], **late},
        shell("true", name="sysctl", systemControls=[{"namespace": "net.ipv4.nosuch", "value": "1"}], **late),
        shell("true", name="directory", workingDirectory="/bin/busybox", **late),
        shell("true", name="user", user="nosuch", essential=False),
        shell("exit 1", name="one", essential=False),
        shell("echo never", name="other", essential=False, dependsOn=[{"containerName": "one", "condition": "SUCCESS"}]))
    arn = berth.run_task(definition)
    ill = ("command", "sysctl", "directory", "user", "other")
    task = eventually(lambda: (t := berth.task(arn)) and all(container(t, name)["lastStatus"] == "STOPPED" for name in ill) and t,
                      "they are STOPPED")
    task = berth.wait_task(arn, "RUNNING")
    assert container(task)["healthStatus"] == "HEALTHY"
    for name in ill[:3]:
        assert container(task, name)["reason"].startswith("CannotStartContainerError: "), task
        assert "exitCode" not in container(task, name)
    assert "nosuch" in container(task, "command")["reason"]
    assert container(task, "user")["reason"].startswith("CannotCreateContainerError: unable to find user nosuch")
    assert container(task, "other")["exitCode"] == 143
    assert "one exited with code 1" in container(task, "other")["reason"]
    ecs.stop_task(task=arn)
    task = berth.wait_task(arn, "STOPPED")
    assert (task["stopCode"], container(task)["exitCode"]) == ("UserInitiated", 0)


def test_a_dependency_that_takes_too_long_stops_the_task(berth, unique):
    definition = berth.define(unique, shell("sleep 1000", name="one", essential=False, startTimeout=2),
                              shell("echo never", dependsOn=[{"containerName": "one", "condition": "SUCCESS"}]))
    asked = time.monotonic()
    arn, task = run_to_end(berth, definition)
    assert time.monotonic() - asked < 15
    assert "its startTimeout of 2 seconds" in task["stoppedReason"]
    assert container(task)["exitCode"] == 143
    assert berth.lines(arn, "main") == []


def test_dependants_stop_first(berth, unique):
    mount = {"mountPoints": [{"sourceVolume": "shared", "containerPath": "/shared"}]}

    def script(name, wait):
        return f"trap 'sleep {wait}; echo {name} >> /shared/order; cat /shared/order; exit 0' TERM; echo up; sleep 1000 & wait"

    definition = berth.define(
        unique, shell(script("below", 0), name="below", **mount),
        shell(script("above", 0.5), name="above", dependsOn=[{"containerName": "below", "condition": "START"}], **mount),
        volumes=[{"name": "shared"}])
    arn = berth.run_task(definition)
    eventually(lambda: all(berth.lines(arn, name) == ["up"] for name in ("below", "above")), "both run")
    berth.client("ecs").stop_task(task=arn)
    berth.wait_task(arn, "STOPPED")
    assert berth.lines(arn, "below") == ["up", "above", "below"]


# What a container is given.


def test_overrides(berth, unique):
    definition = berth.define(unique, shell("exit 1", environment=[{"name": "A", "value": "defined"}, {"name": "B", "value": "b"}]))
    overrides = {"containerOverrides": [{"name": "main", "command": ["sh", "-c", "echo $A $B $C $FROM_IMAGE"],
                                         "environment": [{"name": "A", "value": "over"}, {"name": "C", "value": "c"}]}]}
    arn, task = run_to_end(berth, definition, overrides=overrides)
    assert berth.lines(arn) == ["over b c yes"]
    assert container(task)["exitCode"] == 0
    assert task["overrides"]["containerOverrides"][0]["command"] == overrides["containerOverrides"][0]["command"]


SURROUNDINGS = {
    "user": ({"user": "65534:65534"}, "id -u; id -g", ["65534", "65534"]),
    "named user": ({"user": "nobody"}, "id -un", ["nobody"]),
    "working directory": ({"workingDirectory": "/tmp"}, "pwd", ["/tmp"]),
    "read-only root": ({"readonlyRootFilesystem": True}, "touch /x 2>/dev/null || echo refused", ["refused"]),
    "writable root": ({}, "touch /x && echo written", ["written"]),
    "open files": ({"ulimits": [{"name": "nofile", "softLimit": 1234, "hardLimit": 2345}]}, "ulimit -n; ulimit -Hn",
                   ["1234", "2345"]),
    "temporary file system": ({"linuxParameters": {"tmpfs": [{"containerPath": "/fast", "size": 8, "mountOptions": ["noexec"]}]}},
                              "grep -c '^tmpfs /fast tmpfs .*noexec' /proc/mounts; df -m /fast | tail -1 | awk '{print $2}'",
                              ["1", "8"]),
    "init": ({"linuxParameters": {"initProcessEnabled": True}},
             "[ $$ != 1 ] && echo process 1 is another; (sleep 0.1 &) ; sleep 0.5; ps -o stat | grep -c ^Z", ["process 1 is another", "0"]),
    "dropped capability": ({"linuxParameters": {"capabilities": {"drop": ["CHOWN"]}}}, "chown 1 /tmp 2>/dev/null || echo refused",
                           ["refused"]),
    "seccomp": ({}, "grep Seccomp: /proc/self/status | awk '{print $2}'", ["2"]),
    "no mount": ({}, "mount -t tmpfs x /tmp 2>/dev/null || echo refused", ["refused"]),
    "own processes only": ({}, "ls /proc | grep -c '^[0-9]*$' | awk '{print ($1 < 8)}'", ["1"]),
    "exactly one line of memory limit": ({"memory": 128}, "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || "
                                         "cat /sys/fs/cgroup/memory.max", ["134217728"]),
}


@pytest.fixture(scope="module")
def surroundings(berth):
    """Runs all of them at once; each test looks at its own."""
    arns = {}
    for number, (name, (members, script, _)) in enumerate(SURROUNDINGS.items()):
        arns[name] = berth.run_task(berth.define(f"surroundings-{number}", shell(script, **members)))
    return arns


@pytest.mark.parametrize("name", SURROUNDINGS)
def test_surroundings(berth, surroundings, name):
    task = berth.wait_task(surroundings[name], "STOPPED")
    assert (berth.lines(surroundings[name]), task.get("stoppedReason")) == \
        (SURROUNDINGS[name][2], "Essential container in task exited")


def test_entry_point_and_command_are_joined(berth, unique):
    arn, _ = run_to_end(berth, berth.define(unique, {"entryPoint": ["echo", "from"], "command": ["two  words", "$HOME"]}))
    assert berth.lines(arn) == ["from two  words $HOME"]


def test_volumes_are_shared_and_die_with_the_task(berth, unique):
    def mount(read_only):
        return {"mountPoints": [{"sourceVolume": "shared", "containerPath": "/shared", "readOnly": read_only}]}

    definition = berth.define(
        unique, shell("while ! grep -q text /shared/file 2>/dev/null; do sleep 0.1; done; touch /shared/x 2>/dev/null || echo read-only",
                      **mount(True)),
        shell("echo text > /shared/file; sleep 1000", name="writer", essential=False, **mount(False)),
        volumes=[{"name": "shared"}])
    arn, task = run_to_end(berth, definition)
    assert container(task)["exitCode"] == 0
    assert berth.lines(arn, "main") == ["read-only"]
    eventually(lambda: not (berth.state / "tasks" / arn.rsplit("/", 1)[1] / "volumes" / "shared" / "file").exists(), "the volume is gone")


def test_volumes_begin_with_what_the_image_declares_there(berth, busybox_layout, tmp_path, unique):
    layout, exported = tmp_path / "layout", tmp_path / "exported"
    shutil.copytree(busybox_layout, layout)
    exported.mkdir()
    (exported / "examplefile").write_text("from the image\n")
    os.chown(exported, 65534, 65534)
    exported.chmod(0o750)
    for arguments in (["insert", "--image", f"{layout}:latest", exported, "/var/log/exported"],
                      ["config", "--image", f"{layout}:latest", "--config.volume", "/var/log/exported"]):
        subprocess.run(["umoci", *arguments], check=True, capture_output=True, timeout=60)
    berth.run("image", "load", f"oci:{layout}:latest", "--name", "declaring")

    def mount(path):
        return {"mountPoints": [{"sourceVolume": "logs", "containerPath": path}]}

    # As AWS's guide has it: the volume over the declared path begins with the path's content, owner and mode.
    definition = berth.define(
        unique, shell("while [ ! -e /logs/more ]; do sleep 0.1; done; cat /logs/examplefile /logs/more; stat -c '%u %a' /logs",
                      **mount("/logs")),
        shell("echo added > /var/log/exported/part; mv /var/log/exported/part /var/log/exported/more; sleep 1000", name="owner",
              image="declaring", essential=False, **mount("/var/log/exported")),
        volumes=[{"name": "logs", "host": {}}])
    arn, _ = run_to_end(berth, definition)
    assert berth.lines(arn, "main") == ["from the image", "added", "65534 750"]

    # Where no volume covers it, it is writable though the root is not, and another container may have it.
    definition = berth.define(
        unique, shell("until cat /var/log/exported/new 2>/dev/null; do sleep 0.1; done; touch /var/log/exported/x || echo refused",
                      volumesFrom=[{"sourceContainer": "owner", "readOnly": True}]),
        shell("touch /x 2>/dev/null || echo read-only > /var/log/exported/part; mv /var/log/exported/part /var/log/exported/new;"
              "sleep 1000", name="owner", image="declaring", essential=False, readonlyRootFilesystem=True))
    arn, _ = run_to_end(berth, definition)
    assert berth.lines(arn, "main")[0] == "read-only" and berth.lines(arn, "main")[-1] == "refused"

    berth.run("image", "rm", "declaring")


# Logs.


def test_no_line_is_lost(berth, unique):
    group = f"/test/{unique}"
    count = 30000
    script = f"i=0; while [ $i -lt {count} ]; do i=$((i+1)); echo line $i; done; echo to stderr >&2; printf 'no end of line'"
    arn, task = run_to_end(berth, berth.define(unique, shell(script, **awslogs(group))), seconds=60)
    assert container(task)["exitCode"] == 0
    task_id = arn.rsplit("/", 1)[1]
    logs = berth.client("logs")
    assert [s["logStreamName"] for s in logs.describe_log_streams(logGroupName=group)["logStreams"]] == [f"test/main/{task_id}"]
    messages = berth.messages(group)
    assert [m for m in messages if m.startswith("line ")] == [f"line {i}" for i in range(1, count + 1)]
    # Which pipe is read first is chance; within one, the order stands.
    assert sorted(m for m in messages if not m.startswith("line ")) == ["no end of line", "to stderr"]
    assert messages[-1] == "no end of line" or messages[-2:] == ["no end of line", "to stderr"]
    assert len(berth.lines(arn)) == count + 2


def test_long_lines_and_bytes_that_are_not_text(berth, unique):
    script = "head -c 200000 /dev/zero | tr '\\0' x; echo; printf 'caf\\303\\251 \\377\\n'; printf 'a\\000b\\n'"
    arn, _ = run_to_end(berth, berth.define(unique, shell(script, **awslogs(f"/test/{unique}"))))
    messages = berth.messages(f"/test/{unique}")
    assert messages[0] == "x" * 200000
    assert messages[1].startswith("café ")
    assert len(messages) == 3


# Network.


TIME = "cut -d' ' -f1 /proc/uptime"


@contextlib.contextmanager
def listening_on_every_address():
    """A port of the host's own; counts who connects."""
    with socket.create_server(("0.0.0.0", 0)) as server:
        seen = []

        def accept():
            with contextlib.suppress(OSError):
                while True:
                    connection, peer = server.accept()
                    seen.append(peer)
                    connection.close()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1], seen
        finally:
            server.shutdown(socket.SHUT_RDWR)
            server.close()
            thread.join()


def host_addresses():
    shown = subprocess.run(["ip", "-4", "-o", "addr"], capture_output=True, text=True, check=True).stdout
    return sorted({line.split()[3].split("/")[0] for line in shown.splitlines()} - {"127.0.0.1"})


def test_tasks_are_reached_at_their_addresses(berth, unique):
    server = "echo served by $(hostname) > /tmp/index.html; exec httpd -f -p 8080 -h /tmp"
    serving = berth.wait_task(berth.run_task(berth.define(unique, shell(server, stopTimeout=2))), "RUNNING")
    address = berth.address_of(serving)

    def page():
        with contextlib.suppress(OSError):
            connection = http.client.HTTPConnection(address, 8080, timeout=5)
            connection.request("GET", "/")
            return connection.getresponse().read().decode()

    assert eventually(page, "the page is served").startswith("served by ")
    arn, task = run_to_end(berth, berth.define(unique + "-peer", shell(f"wget -q -O - http://{address}:8080/")))
    assert berth.lines(arn) == [page().strip()]
    assert container(serving)["networkInterfaces"][0]["privateIpv4Address"] == address


def test_tasks_reach_neither_host_ports_nor_link_local_addresses_and_hear_so_at_once(berth, unique):
    with listening_on_every_address() as (port, seen):
        targets = [(a, port) for a in host_addresses()] + [("169.254.169.254", 80), ("169.254.170.2", 80)]
        assert len(targets) > 2
        tries = "; ".join(f"nc -w 10 {a} {p} </dev/null 2>&1; echo {a} $?" for a, p in targets)
        began = time.monotonic()
        arn, task = run_to_end(berth, berth.define(unique, shell(f"{TIME}; {tries}; {TIME}")),
                               public=True)
        lines = berth.lines(arn)
        for address, _ in targets:
            assert f"{address} 1" in lines, lines
        assert float(lines[-1]) - float(lines[0]) < len(targets), f"not refused at once: {lines}"
        assert not seen, f"a task reached the host's port: {seen}"
        assert time.monotonic() - began < 30


def test_only_tasks_with_a_public_address_get_out(berth, unique, outside):
    far, port, host = outside
    script = f"{TIME}; nc -w 10 {far} {port} </dev/null; echo status $?; {TIME}"
    definition = berth.define(unique, shell(script))
    public, _ = run_to_end(berth, definition, public=True)
    private, _ = run_to_end(berth, definition)
    assert berth.lines(public)[1:-1] == [f"you are {host}", "status 0"], "its address outside is the host's"
    lines = berth.lines(private)
    assert "status 1" in lines, lines
    assert float(lines[-1]) - float(lines[0]) < 2, f"not refused at once: {lines}"


def test_hosts_and_host_name(berth, unique):
    arn, task = run_to_end(berth, berth.define(unique, shell("hostname; cat /etc/hosts; grep -c nameserver /etc/resolv.conf")))
    lines = berth.lines(arn)
    address = berth.address_of(task)
    name = next(d["value"] for d in task["attachments"][0]["details"] if d["name"] == "privateDnsName")
    assert lines[0] == name == f"ip-{address.replace('.', '-')}.ec2.internal"
    assert any(line.split()[0] == address for line in lines[1:-1] if line.strip())
    assert lines[-1] == "1"


def test_containers_of_a_task_share_localhost(berth, unique):
    definition = berth.define(unique, shell("echo here > /tmp/index.html; exec httpd -f -p 9090 -h /tmp", name="server"),
                              shell("while ! wget -q -O - http://127.0.0.1:9090/; do sleep 0.1; done"))
    arn, _ = run_to_end(berth, definition)
    assert [line for line in berth.lines(arn, "main") if "refused" not in line] == ["here"]


# Last, because it takes a minute since the first test.


def test_a_restart_policy_restarts_once_a_period(berth, restarting):
    arn, began = restarting
    eventually(lambda: berth.lines(arn).count("started") == 2, "the container has been restarted", seconds=80)
    assert time.monotonic() - began > 60
    task = berth.task(arn)
    assert task["lastStatus"] == "RUNNING"
    berth.client("ecs").stop_task(task=arn)
    berth.wait_task(arn, "STOPPED")


def test_an_exit_too_early_or_with_an_ignored_code_is_not_restarted(berth, unique):
    for exit_code, ignored in ((3, []), (0, [0])):
        policy = {"enabled": True, "restartAttemptPeriod": 60, "ignoredExitCodes": ignored}
        arn, task = run_to_end(berth, berth.define(unique, shell(f"echo started; exit {exit_code}", restartPolicy=policy)))
        assert berth.lines(arn) == ["started"]
        assert container(task)["exitCode"] == exit_code
