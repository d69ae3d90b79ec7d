"""What the daemon promises to who runs it: its end, its restart, and what it says when something is in its way."""

import contextlib
import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest

from berth_world import SERVE, World, awslogs, eventually, process_alive, program, reading, shell
from conftest import furnish
from harness import Berth


def refused(world, *arguments, **options):
    """Starts a daemon that must not start; returns its last words: one clear line."""
    done = subprocess.run(world.command("serve", "--listen", "127.0.0.1:0", "--state", world.state, *arguments), capture_output=True,
                          text=True, timeout=30, **options)
    assert done.returncode == 1, (done.returncode, done.stdout, done.stderr)
    assert "ready" not in done.stdout
    lines = done.stderr.strip().splitlines()
    assert lines, "it says nothing"
    return lines[-1]


def running(world, count=2):
    definition = world.define("kept", shell("echo up; " + SERVE))
    arns = world.run_task(definition, count=count)
    for arn in arns:
        world.wait_task(arn, "RUNNING")
    # The shell begins its sleep a moment after RUNNING.
    eventually(lambda: all(len(pids) == 2 for pids in world.census().values()), "each container's shell waits for its sleep")
    return arns, world.census(), world.supervisors()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["sigterm", "sigkill"])
def test_tasks_outlive_the_daemon(new_berth, number):
    world = new_berth()
    arns, census, supervisors = running(world)
    status = world.end(number)
    assert status == (0 if number == signal.SIGTERM else -signal.SIGKILL)
    assert (world.census(), world.supervisors()) == (census, supervisors)
    world.start()
    for arn in arns:
        assert world.wait_task(arn, "RUNNING")["lastStatus"] == "RUNNING"
    assert (world.census(), world.supervisors()) == (census, supervisors)
    world.client("ecs").stop_task(task=arns[0])
    task = world.wait_task(arns[0], "STOPPED")
    assert task["containers"][0]["exitCode"] == 0


@pytest.mark.parametrize("damage", [b"", bytes(300), b"{}"], ids=["empty", "zeros", "nothing-said"])
def test_a_damaged_note_of_a_launch_neither_stops_the_task_nor_the_daemon(new_berth, damage):
    world = new_berth()
    arns, census, supervisors = running(world)
    world.kill()
    for arn in arns:
        (world.state / "tasks" / arn.rsplit("/", 1)[1] / "observed").write_bytes(damage)
    world.start()
    for arn in arns:
        assert world.wait_task(arn, "RUNNING")["lastStatus"] == "RUNNING"
    assert (world.census(), world.supervisors()) == (census, supervisors)
    world.client("ecs").stop_task(task=arns[0])
    world.wait_task(arns[0], "STOPPED")
    assert arns[0].rsplit("/", 1)[1] not in world.census()


def test_many_tasks_need_no_raised_limit_of_open_files(new_berth):
    world = new_berth()
    world.end(signal.SIGTERM)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
    try:
        world.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert resource.prlimit(world.process.pid, resource.RLIMIT_NOFILE) == (hard, hard)


def test_regions_and_berths_have_networks_of_their_own_as_far_as_they_know(new_berth):
    worlds = [new_berth(), new_berth()]
    first = [world.client("ec2").describe_vpcs()["Vpcs"][0]["CidrBlock"] for world in worlds]
    assert first[0] != first[1], "the second one saw the first one's when it started"
    for world in worlds:  # later ones may be equal to another Berth's: a VPC is a namespace
        networks = [world.client("ec2", region).describe_vpcs()["Vpcs"][0]["CidrBlock"] for region in ("us-east-1", "eu-west-1", "eu-north-1")]
        assert len(set(networks)) == 3, networks


def test_a_terminal_that_goes_away_ends_the_daemon_in_order(own_simulated):
    world = own_simulated
    assert world.end(signal.SIGHUP) == 0
    assert not (world.state / "admin.sock").exists()
    process = subprocess.Popen(["nohup", *world.command("serve", "--agent", "simulated", "--listen", "127.0.0.1:0", "--state", world.state)],
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout.readline().startswith("ready")
        process.send_signal(signal.SIGHUP)
        assert world.run("ps").returncode == 0, "unless it was told that this is nothing to it"
    finally:
        process.terminate()
        assert process.wait(timeout=20) == 0
        process.stdout.close()


def test_an_address_that_others_reach_is_warned_of(new_directory):
    world = World(new_directory, "--agent", "simulated")
    world.address = "0.0.0.0:0"
    try:
        world.start()
        assert "no TLS" in world.log_end()
        files = {"AWS_CONFIG_FILE": str(new_directory / "config"), "AWS_SHARED_CREDENTIALS_FILE": str(new_directory / "credentials")}
        world.run("configure", env=os.environ | files)
        assert "endpoint_url = http://127.0.0.1:" in (new_directory / "config").read_text()
    finally:
        world.close()


def test_what_ends_while_no_daemon_runs_is_told_by_the_next(new_berth):
    world = new_berth()
    arns, census, _ = running(world)
    world.kill()
    victim = arns[0].rsplit("/", 1)[1]
    os.kill(census[victim][0], signal.SIGTERM)
    eventually(lambda: not process_alive(census[victim][0]), "it ends")
    world.start()
    task = world.wait_task(arns[0], "STOPPED")
    assert task["stopCode"] == "EssentialContainerExited"
    assert task["containers"][0]["exitCode"] == 0
    assert world.task(arns[1])["lastStatus"] == "RUNNING"


def test_stop_with_tasks_takes_everything_away(new_berth):
    world = new_berth()
    ecs = world.client("ecs")
    ecs.create_service(serviceName="s", taskDefinition=world.define("s", shell(SERVE)), desiredCount=2, launchType="FARGATE",
                       networkConfiguration=world.network())
    world.wait_steady("s", 2)
    assert len(world.host_objects()) > 5
    run_directory = pathlib.Path("/run/berth", world.instance())
    assert run_directory.is_dir()
    world.run("stop", "--stop-tasks")
    assert not run_directory.exists(), "it returns when the daemon has taken its things away"
    assert world.process.poll() == 0, "and has ended"
    assert world.reap() == 0
    assert world.host_objects() == []
    assert world.cgroup() is None
    world.start()
    world.wait_steady("s", 2)  # services keep their desired counts


def test_everybody_who_stops_the_tasks_is_answered(new_berth):
    world = new_berth()
    arn = world.run_task(world.define("slow", shell("trap 'sleep 1; exit 0' TERM; sleep 100000 & wait", stopTimeout=10)))
    world.wait_task(arn, "RUNNING")
    stops = [subprocess.Popen(world.command("stop", "--stop-tasks", "--state", world.state), stdout=subprocess.PIPE, text=True)
             for _ in range(2)]
    assert [stop.communicate(timeout=30)[0] for stop in stops] == ["Stopped.\n", "Stopped.\n"]
    assert world.reap() == 0


# Take one request and end: the one answers it, as the daemon does, and ends when the client has closed its connection (0, or 1
# where that takes too long); the other has been told to end already.
DAEMON_THAT_ENDS = """
import socket, sys
with socket.socket(socket.AF_UNIX) as listener:
    listener.bind("admin.sock")
    listener.listen()
    print("listens", flush=True)
    client = listener.accept()[0]
client.settimeout(5)
client.recv(65536)
client.sendall(b'HTTP/1.1 200 OK\\r\\nConnection: close\\r\\nContent-Length: 18\\r\\n\\r\\n{"tasksRunning":0}')
client.shutdown(socket.SHUT_WR)
try:
    client.recv(1)
except TimeoutError:
    sys.exit(1)
"""
DAEMON_THAT_ENDS_ALREADY = DAEMON_THAT_ENDS.split("client.sendall")[0]


def test_stop_and_the_daemon_do_not_wait_for_each_other(new_directory):
    with reading([sys.executable, "-c", DAEMON_THAT_ENDS], cwd=new_directory) as daemon:
        assert daemon.stdout.readline() == "listens\n"
        stopped = subprocess.run([program(), "stop", "--state", new_directory], capture_output=True, text=True, timeout=20)
        assert (stopped.returncode, stopped.stdout) == (0, "Stopped.\n")
        assert daemon.wait(timeout=10) == 0


@pytest.mark.parametrize("words, status, said", [
    (["stop"], 0, "Stopped, by somebody else at the same time.\n"),
    (["stop", "--stop-tasks"], 1, "berth: the daemon was ended by somebody else, before all tasks had stopped\n")])
def test_two_stop_at_the_same_time(new_directory, words, status, said):
    with reading([sys.executable, "-c", DAEMON_THAT_ENDS_ALREADY], cwd=new_directory) as daemon:
        assert daemon.stdout.readline() == "listens\n"
        stopped = subprocess.run([program(), *words, "--state", new_directory], capture_output=True, text=True, timeout=20)
        assert (stopped.returncode, stopped.stdout + stopped.stderr) == (status, said)


def test_a_plain_stop_leaves_tasks(new_berth):
    world = new_berth()
    _, census, _ = running(world)
    world.run("stop")
    assert world.reap() == 0
    assert world.census() == census


def test_a_reboot_is_noticed(new_berth):
    """A task directory whose owner lived in another boot belongs to nobody, whatever runs under that pid today."""
    world = new_berth()
    ecs = world.client("ecs")
    ecs.create_service(serviceName="s", taskDefinition=world.define("s", shell(SERVE)), desiredCount=1, launchType="FARGATE",
                       networkConfiguration=world.network())
    world.wait_steady("s", 1)
    [task_arn] = world.service_tasks("s")
    task_id = task_arn.rsplit("/", 1)[1]
    world.kill()
    supervisor = world.supervisors()[task_id]
    owner = world.state / "tasks" / task_id / "owner"
    before = owner.read_bytes()
    boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip().encode()
    assert boot in before
    forge_owner(owner, before.replace(boot, b"00000000-0000-4000-8000-000000000000"))
    for pid in [supervisor, *world.census()[task_id]]:
        os.kill(pid, signal.SIGKILL)  # as a reboot would have
    bystander = subprocess.Popen(["sleep", "1000"])
    try:
        world.start()
        task = world.wait_task(task_arn, "STOPPED")
        assert task["stoppedReason"], task
        world.wait_steady("s", 1)
        assert world.service_tasks("s") != [task_arn]
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def crc32c(content):
    crc = 0xFFFFFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def forge_owner(path, content):
    """Writes an owner file that its reader takes for whole: the first four bytes are a CRC-32C of the rest."""
    before = path.read_bytes()
    assert crc32c(before[4:]) == int.from_bytes(before[:4], "little"), "the file's form has changed"
    path.write_bytes(crc32c(content[4:]).to_bytes(4, "little") + content[4:])


def test_a_strict_umask_hides_nothing_from_containers(new_berth, busybox_layout):
    world = new_berth(start=False)
    before = os.umask(0o077)
    try:
        world.start()
    finally:
        os.umask(before)
    furnish(world, busybox_layout)
    look = shell("cat /etc/hosts /etc/hostname /etc/resolv.conf > /dev/null && ls /shared && echo all", user="nobody",
                 mountPoints=[{"sourceVolume": "shared", "containerPath": "/shared"}])
    arn = world.run_task(world.define("look", look, volumes=[{"name": "shared"}]))
    world.wait_task(arn, "STOPPED")
    assert world.lines(arn) == ["all"]
    assert [path.stat().st_mode & 0o077 for path in (world.state, world.state / "credentials", world.state / "admin.sock")] == [0, 0, 0]


def test_two_daemons_on_one_state_directory(new_berth):
    world = new_berth()
    _, census, _ = running(world, 2)
    text = refused(world)
    assert str(world.state) in text
    assert world.census() == census
    assert world.client("ecs").list_clusters()["clusterArns"]


def test_two_berths_beside_each_other(new_berth):
    one, two = new_berth(), new_berth()
    assert one.instance() != two.instance()
    (_, one_census, _), (two_arns, two_census, _) = running(one), running(two)
    addresses = {World.address_of(w.task(a)) for w in (one, two) for a in w.client("ecs").list_tasks()["taskArns"]}
    assert len(addresses) == 4
    two.run("stop", "--stop-tasks")
    two.reap()
    assert two.host_objects() == []
    assert one.census() == one_census
    assert two_census


def test_a_port_in_use(new_berth, new_directory):
    world = new_berth(start=False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = subprocess.run(world.command("serve", "--listen", f"127.0.0.1:{port}", "--state", world.state), capture_output=True,
                              text=True, timeout=30)
    assert done.returncode == 1
    assert f"127.0.0.1:{port} is in use" in done.stderr.splitlines()[-1]
    assert "--listen" in done.stderr.splitlines()[-1], "it names the remedy"
    assert world.instance() is None and world.cgroup() is None, "a start that came to nothing leaves nothing"
    world.start()
    world.end(signal.SIGTERM)
    assert world.host_objects() == []


def test_a_corrupt_state_file(new_berth):
    world = new_berth(start=False)
    world.start()
    world.client("ecs").create_cluster(clusterName="x")
    world.end(signal.SIGTERM)
    [database] = [f for f in world.state.iterdir() if f.is_file() and f.read_bytes()[:15] == b"SQLite format 3"]
    for suffix in ("-wal", "-shm"):
        pathlib.Path(str(database) + suffix).unlink(missing_ok=True)
    content = bytearray(database.read_bytes())
    content[0:4096] = os.urandom(4096)
    database.write_bytes(content)
    text = refused(world)
    assert str(database) in text
    assert database.read_bytes() == bytes(content), "what may still be rescued is left as it is"


def processor_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_full_disk(new_berth, new_directory):
    """Writes are refused with an error of the server, reads go on, and nothing acknowledged is lost."""
    small = new_directory / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m,mode=0755", "berth-test", str(small)], check=True)
    world = None
    try:
        world = World(small, "--agent", "simulated")
        world.start()
        ecs = world.client("ecs")
        # Its tasks end and are started again, so control and the agent have something to write all the time.
        ecs.create_cluster()
        ecs.create_service(serviceName="busy", taskDefinition=world.define("busy", {"image": "exit:0+after:300ms"}), desiredCount=1,
                           launchType="FARGATE", networkConfiguration=world.network())
        acknowledged, error = [], None
        filler = "x" * 200
        for number in range(4000):
            tags = [{"key": f"k{i}", "value": filler} for i in range(50)]
            try:
                ecs.create_cluster(clusterName=f"c{number}", tags=tags)
                acknowledged.append(f"c{number}")
            except Exception as caught:  # which one is looked at below
                error = caught
                break
        assert error is not None, "the disk was never full"
        assert "disk" in str(error).lower() or "ServerException" in str(error), error
        if world.alive():
            before = processor_seconds(world.process.pid)
            for _ in range(20):
                assert ecs.describe_clusters(clusters=acknowledged[-1:])["clusters"]
                assert ecs.describe_services(services=["busy"])["services"]
                time.sleep(0.1)
            assert processor_seconds(world.process.pid) - before < 1, "it asks the full disk again and again"
            world.kill()
        else:
            world.reap()
            assert "disk" in world.log_end().lower() or "space" in world.log_end().lower(), world.log_end()
        subprocess.run(["mount", "-o", "remount,size=64m", str(small)], check=True)
        world.start()
        for at in range(0, len(acknowledged), 100):
            assert not world.client("ecs").describe_clusters(clusters=acknowledged[at:at + 100])["failures"]
    finally:
        if world:
            world.close()
        subprocess.run(["umount", "-l", str(small)], check=True)


def as_nobody(*words, **options):
    """A copy of the programs that another user may execute."""
    return subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *map(str, words)], capture_output=True, text=True,
                          timeout=30, **options)


@pytest.fixture
def public_programs(new_directory):
    target = new_directory / "programs"
    target.mkdir()
    for name in ("berth", "berth-supervisor", "berth-unpack", "berth-seccomp"):
        shutil.copy(program().parent / name, target / name)
    own = new_directory / "own"
    own.mkdir()
    os.chown(own, 65534, 65534)
    return target / "berth", own


def test_without_rights(needs_root, public_programs):
    berth, own = public_programs
    done = as_nobody(berth, "serve", "--listen", "127.0.0.1:0", "--state", own / "state")
    assert done.returncode == 1
    [line] = done.stderr.strip().splitlines()
    assert "needs root" in line and "sudo" in line and "--agent simulated" in line
    assert not (own / "state").exists(), "nothing is made before that is said"
    own.parent.chmod(0o755)
    for state in (own.parent / "of-root-only", own.parent):
        done = as_nobody(berth, "serve", "--agent", "simulated", "--listen", "127.0.0.1:0", "--state", state)
        assert done.returncode == 1
        [line] = done.stderr.strip().splitlines()
        assert str(state) in line and "--state" in line
    done = as_nobody(berth, "host", "ls")
    assert done.returncode == 1 and "sudo" in done.stderr
    done = as_nobody(berth, "ps", "--state", own / "state")
    assert done.returncode == 1 and len(done.stderr.strip().splitlines()) == 1


def test_without_rights_the_simulated_agent_serves(needs_root, public_programs):
    berth, own = public_programs
    process = subprocess.Popen(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", str(berth), "serve", "--agent", "simulated",
                                "--listen", "127.0.0.1:0", "--state", str(own / "state")], stdout=subprocess.PIPE, text=True,
                               stderr=subprocess.PIPE)
    try:
        assert "simulated" in process.stdout.readline()
        assert (own / "state" / "credentials").stat().st_mode & 0o777 == 0o600
        # A config file that its own user cannot read (root made it once) is not taken for an empty one, and replaced.
        (own / ".aws").mkdir()
        config = own / ".aws" / "config"
        config.write_text("[profile work]\n")
        config.chmod(0)
        os.chown(own / ".aws", 65534, 65534)
        done = as_nobody(berth, "configure", "--state", own / "state", env={"HOME": str(own), "PATH": os.environ["PATH"]})
        assert (done.returncode, config.read_text()) == (1, "[profile work]\n"), done.stdout
        assert str(config) in done.stderr
    finally:
        process.terminate()
        assert process.wait(timeout=20) == 0
        process.stdout.close()
        process.stderr.close()


def test_a_deleted_log_group_stays_deleted(new_berth):
    world, group = new_berth(), "/test/deleted"
    logs = world.client("logs")
    arn = world.run_task(world.define("logs", shell("echo up; " + SERVE, **awslogs(group))))
    world.wait_task(arn, "RUNNING")
    assert [g["logGroupName"] for g in logs.describe_log_groups()["logGroups"]] == [group]
    logs.delete_log_group(logGroupName=group)
    world.restart()
    # The daemon has looked at its tasks when it answers for another one.
    world.wait_task(world.run_task(world.define("other", shell(SERVE))), "RUNNING")
    assert world.task(arn)["lastStatus"] == "RUNNING"
    assert logs.describe_log_groups()["logGroups"] == [], "awslogs-create-group is for tasks that start"


def test_a_cgroup_that_a_killed_daemon_left_is_collected(new_berth):
    world = new_berth()
    arns, census, _ = running(world)
    world.kill()
    left = world.cgroup() / ("0" * 32)
    left.mkdir()
    world.start()
    eventually(lambda: not left.exists(), "it is taken away")
    assert world.census() == census
    assert world.task(arns[0])["lastStatus"] == "RUNNING"


def test_host_clean_of_a_directory_that_is_no_berths(needs_root, new_directory):
    for path in (new_directory, new_directory / "gone"):
        done = subprocess.run([program(), "host", "clean", "--state", path], capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout, done.stderr) == (0, "There was nothing to take away.\n", "")
    assert list(new_directory.iterdir()) == [], "and it stays none"


def test_host_clean_after_the_state_directory_is_gone(new_berth):
    world = new_berth()
    running(world)
    world.kill()
    name, moved = world.instance(), world.directory / "moved"
    world.state.rename(moved)
    assert "Took away" in world.run("host", "clean").stdout
    assert not pathlib.Path("/run/berth", name).exists() and world.cgroup() is None
    moved.rename(world.state)


def test_the_end_waits_for_nobody(new_berth):
    world = new_berth()
    arn = world.run_task(world.define("stubborn", shell("trap '' TERM; sleep 100000", stopTimeout=30)))
    world.wait_task(arn, "RUNNING")
    pipe = world.directory / "archive"
    os.mkfifo(pipe)
    commands = [("image", "load", f"docker-archive:{pipe}", "--name", "slow"), ("stop", "--stop-tasks")]
    waiting = [subprocess.Popen(world.command(*words, "--state", world.state), stderr=subprocess.PIPE, text=True) for words in commands]
    with reading(world.command("logs", "--follow", arn, "--state", world.state)):
        with open(pipe, "wb"):  # once the daemon reads it
            eventually(lambda: world.task(arn)["desiredStatus"] == "STOPPED", "the stop of all tasks is under way")
            began = time.monotonic()
            assert world.end(signal.SIGTERM) == 0
            took = time.monotonic() - began
    said = [process.communicate(timeout=10)[1] for process in waiting]
    assert said == ["berth: the daemon is ending\n", "berth: the daemon is ending, before all tasks have stopped\n"]
    assert [process.returncode for process in waiting] == [1, 1]
    assert took < 2, "nothing of that is waited for"


def test_the_end_does_not_read_logs_for_clients_that_are_gone():
    with Berth("--auth", "off", agent="simulated") as world:
        logs = world.client("logs")
        logs.create_log_group(logGroupName="g")
        logs.create_log_stream(logGroupName="g", logStreamName="s")
        for page in range(20):
            events = [{"timestamp": int(time.time() * 1000), "message": "y" * 9000} for _ in range(100)]
            logs.put_log_events(logGroupName="g", logStreamName="s", logEvents=events)
        body = json.dumps({"logGroupName": "g", "filterPattern": "not there"})
        request = (f"POST / HTTP/1.1\r\nHost: berth\r\nX-Amz-Target: Logs_20140328.FilterLogEvents\r\n"
                   f"Content-Type: application/x-amz-json-1.1\r\nContent-Length: {len(body)}\r\n\r\n{body}").encode()
        host, port = world.address.split(":")
        with contextlib.ExitStack() as stack:
            for _ in range(450):
                stack.enter_context(socket.create_connection((host, int(port)))).sendall(request)
            began = time.monotonic()
            assert world.end(signal.SIGTERM) == 0
            assert time.monotonic() - began < 4.5, "the server's patience, and no more"
