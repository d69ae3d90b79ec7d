"""What the other commands say beside `berth serve`: ps, logs, image, doctor, and how they take wrong words and closed outputs."""

import json
import os
import socket
import subprocess

import pytest

from berth_world import SERVE, awslogs, eventually, program, shell


def test_ps_lists_the_oldest_task_first(own_simulated):
    world, started = own_simulated, []
    definition = world.define("aged", shell(SERVE))
    for cluster in ("z", "a", "m") * 3:  # keys would put clusters together, and tasks of one by their random ids
        world.client("ecs").create_cluster(clusterName=cluster)
        started.append(world.run_task(definition, cluster=cluster))
    assert [task["taskArn"] for task in world.tasks()] == started


def test_ps_and_logs_and_images(new_berth):
    world = new_berth()
    arns = world.run_task(world.define("kept", shell("echo up; " + SERVE)), count=2)
    for arn in arns:
        world.wait_task(arn, "RUNNING")
    tasks = json.loads(world.run("ps", "--json").stdout)["tasks"]
    assert {t["taskArn"] for t in tasks} == set(arns)
    described = world.client("ecs").describe_tasks(tasks=arns)["tasks"]
    assert {t["taskArn"]: t["lastStatus"] for t in tasks} == {t["taskArn"]: t["lastStatus"] for t in described}
    assert set(tasks[0]) <= set(described[0]) | {"tags"}, "the shapes are DescribeTasks'"
    assert world.lines(arns[0]) == ["up"]
    images = json.loads(world.run("image", "ls", "--json").stdout)["images"]
    assert [i["name"] for i in images] == ["docker.io/library/busybox:latest"]
    assert world.run("image", "rm", "busybox").returncode == 0
    assert json.loads(world.run("image", "ls", "--json").stdout)["images"] == []
    missing = world.run("image", "rm", "busybox", check=False)
    assert missing.returncode == 1 and len(missing.stderr.strip().splitlines()) == 1


def test_images_come_from_standard_input_and_leave_nothing_behind(new_berth, busybox_layout):
    world = new_berth()
    before = set(world.state.iterdir())
    archive = world.directory / "busybox.tar"
    subprocess.run(["skopeo", "copy", f"oci:{busybox_layout}:latest", f"docker-archive:{archive}:x/y:1"], check=True, capture_output=True)
    with open(archive, "rb") as file:
        assert world.run("image", "load", "-", "--name", "piped", stdin=file).stdout == "docker.io/library/piped:latest\n"
    nothing = world.run("image", "load", "-", "--name", "nothing", check=False, stdin=subprocess.DEVNULL)
    assert (nothing.returncode, len(nothing.stderr.splitlines())) == (1, 1)
    unfinished = subprocess.Popen(world.command("image", "load", "-", "--name", "cut-off", "--state", world.state), stdin=subprocess.PIPE)
    unfinished.stdin.write(archive.read_bytes()[:100000])
    unfinished.stdin.flush()
    unfinished.kill()
    unfinished.wait()
    unfinished.stdin.close()
    assert set(world.state.iterdir()) == before
    nameless = world.run("image", "load", f"docker-archive:{archive}", check=False)
    assert nameless.returncode == 2 and "--name" in nameless.stderr


def test_doctor_names_what_has_the_port(needs_root):
    def port():
        done = subprocess.run([program(), "doctor", "--json"], capture_output=True, text=True, timeout=60)
        return next(c for c in json.loads(done.stdout)["checks"] if c["name"] == "port 4566")

    seen = port()
    if seen["finding"] == "free":
        with socket.create_server(("127.0.0.1", 4566)):
            seen = port()
        assert (seen["health"], seen["finding"]) == ("warn", "another program has it")
        assert "--listen" in seen["remedy"]
    else:  # of a Berth, or of somebody else's program
        assert seen["finding"] in ("the Berth of /var/lib/berth serves there", "another program has it")


def test_doctor_says_what_is_missing(needs_root):
    """In a mount namespace of its own, in which a program is not there to be run."""
    hidden = ["unshare", "--mount", "sh", "-c", "mount --bind /dev/null $(readlink -f $(command -v skopeo)) && exec \"$0\" doctor", program()]
    done = subprocess.run(hidden, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "FAIL  skopeo" in done.stdout and "apt-get install skopeo" in done.stdout


def test_logs_of_a_task_whose_log_group_was_deleted(new_berth):
    world, group = new_berth(), "/test/gone"
    arn = world.run_task(world.define("gone", shell("echo up; " + SERVE, **awslogs(group)), shell(SERVE, name="plain")))
    world.wait_task(arn, "RUNNING")
    eventually(lambda: world.lines(arn, "main") == ["up"], "it has written")
    world.client("logs").delete_log_group(logGroupName=group)
    told = f"the log stream of container main, in the log group {group}, was deleted"
    done = world.run("logs", arn, "main", check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"berth: task {arn.rsplit('/', 1)[1]}: {told}\n"
    done = world.run("logs", arn)
    assert (done.stdout, done.stderr) == ("", f"berth: {told}\n"), "the other container has a log, and nothing in it"


def test_doctor_tells_how_many_open_files_containers_may_have(needs_root):
    def check(*prefix):
        done = subprocess.run([*prefix, program(), "doctor", "--json"], capture_output=True, text=True, timeout=60)
        return next(c for c in json.loads(done.stdout)["checks"] if c["name"] == "open files")

    assert check()["health"] == "ok" or "at most" in check()["finding"]
    cut = check("prlimit", "--nofile=4096:4096", "setpriv", "--bounding-set", "-sys_resource")
    assert cut["health"] == "warn" and cut["finding"].startswith("at most 4096")
    assert "ulimit -Hn" in cut["remedy"]


def test_a_followed_log_ends_with_the_task(new_berth):
    world = new_berth()
    definition = world.define("short", shell("echo one; sleep 1; echo two"))
    arn = world.run_task(definition)
    world.wait_task(arn, "RUNNING")
    followed = world.run("logs", "--follow", arn)  # an ARN is as good as an id
    assert followed.stdout.splitlines() == ["one", "two"]
    assert world.run("logs", "--follow", arn).stdout == followed.stdout, "of one that has stopped"
    never = world.run_task(world.define("never", shell("true", image="127.0.0.1:1/nothing")))
    assert world.run("logs", "--follow", never).stdout == "", "a task that never starts stops as well"


def test_a_log_can_be_followed_before_it_begins(new_berth):
    world, group = new_berth(), "/test/early"
    first = shell("sleep 1; echo first", name="first", essential=False, **awslogs(group))
    then = shell("echo then", name="then", dependsOn=[{"containerName": "first", "condition": "SUCCESS"}], **awslogs(group))
    definition = world.define("early", first, then)
    followed = world.run("logs", "--follow", world.run_task(definition))
    assert followed.stdout.splitlines() == ["first | first", "then | then"]
    one = world.run("logs", "--follow", world.run_task(definition), "then")
    assert one.stdout.splitlines() == ["then"]
    other = world.run("logs", "--follow", world.run_task(definition), "other", check=False)
    assert (other.returncode, other.stderr) == (1, "berth: the task has no container other\n")


def test_logs_says_what_is_wrong_with_its_operands(own_simulated):
    for task, text in (("a b", "'a b' is no task's id"), ("", "'' is no task's id"), ("..", "'..' is no task's id"),
                       ("0", "no task's id begins with 0")):
        done = own_simulated.run("logs", task, check=False)
        assert (done.returncode, done.stderr) == (1, f"berth: {text}\n")


@pytest.mark.parametrize("words", [
    [], ["nothing"], ["ps", "x"], ["ps", "--nothing"], ["ps", "--state"], ["ps", "--state="], ["logs"], ["image"], ["image", "nothing"],
    ["image", "load"], ["host"], ["host", "nothing"], ["stop", "x"], ["configure", "x"], ["serve", "x"], ["serve", "--listen", "4566"],
    ["serve", "--listen", "127.0.0.1:65536"], ["serve", "--account", "1"], ["serve", "--region", "US EAST"], ["serve", "--auth", "perhaps"],
    ["serve", "--agent", "none"], ["serve", "--memory-overcommit", "nan"], ["serve", "--state", "here"], ["serve", "--vpc-cidr", "junk"],
    ["serve", "--vpc-cidr", "10.0.0.0/8"], ["serve", "--agent", "simulated", "--vpc-cidr", "10.0.1.0/16"],
    ["serve", "--public-cidr", "198.18.0.0/8"]], ids=" ".join)
def test_wrong_usage_is_exit_status_2_and_leads_to_the_help(words):
    done = subprocess.run([program(), *words], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--help" in done.stderr.splitlines()[-1], done.stderr


def test_commands_say_when_there_is_no_daemon(new_berth):
    world = new_berth(start=False)
    for words in (["ps"], ["stop"], ["image", "ls"], ["configure"]):
        done = world.run(*words, check=False, env=os.environ | {"HOME": str(world.directory)})
        assert done.returncode == 1, words
        [line] = done.stderr.strip().splitlines()
        assert str(world.state) in line, line


def test_output_that_cannot_be_written_is_a_failure(own_simulated):
    """Like any Unix tool's: `berth ps >file` on a full disk must not look as if all were there."""
    for words in (["--help"], ["ps", "--help"], ["ps", "--state", own_simulated.state], ["image", "ls", "--state", own_simulated.state]):
        with open("/dev/full", "w") as full:
            done = subprocess.run(own_simulated.command(*words), stdout=full, stderr=subprocess.PIPE, text=True, timeout=30)
        assert done.returncode == 1, words
        assert done.stderr == "berth: standard output cannot be written: No space left on device\n"


def test_closed_standard_streams_are_no_files_of_ours(new_directory):
    """As some supervisors start programs: what is printed must not land in whatever file is opened first."""
    state = new_directory / "state"
    process = subprocess.Popen(["sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-', program(), "serve", "--agent", "simulated", "--listen",
                                "127.0.0.1:0", "--state", state])
    try:
        eventually(lambda: (state / "admin.sock").exists(), "it serves")
        listed = subprocess.run(["sh", "-c", 'exec "$0" "$@" >&-', program(), "ps", "--state", state], capture_output=True, text=True)
        assert (listed.returncode, listed.stderr) == (1, "berth: standard output cannot be written: Bad file descriptor\n")
    finally:
        process.terminate()
        assert process.wait(timeout=20) == 0
    assert (state / "lock").read_text().strip() == str(process.pid)


def test_a_log_that_cannot_be_printed_is_a_failure(new_berth):
    world = new_berth()
    arn = world.run_task(world.define("long", shell("yes 0123456789 | head -n 20000; " + SERVE)))
    eventually(lambda: len(world.lines(arn)) == 20000, "it has written")
    with open("/dev/full", "w") as full:
        done = subprocess.run(world.command("logs", "--state", world.state, arn.rsplit("/", 1)[1]), stdout=full,
                              stderr=subprocess.PIPE, text=True, timeout=30)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
