"""AWS CLI v1 and v2, with the profile that `berth configure` writes and no other flag: the commands of the platform's owner."""

import configparser
import json
import os
import subprocess
import time

import pytest

from berth_world import REPOSITORY, SERVE, awslogs, eventually, reading, shell

PROFILE = "jitsi-video-hosting-170473530355"
CLUSTER, SERVICE, GROUP = "jitsi-video-platform-cluster", "jitsi-video-platform-service", "/ecs/jitsi-video-platform"


def version_1():
    return REPOSITORY / ".venv" / "bin" / "aws"


def version_2():
    done = subprocess.run([REPOSITORY / "scripts" / "awscli2"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="session", params=[1, 2], ids=["v1", "v2"])
def aws(request):
    program = version_1() if request.param == 1 else version_2()
    shown = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=60, check=True)
    assert shown.stdout.startswith(f"aws-cli/{request.param}."), shown.stdout
    return program


@pytest.fixture(scope="module")
def platform(berth, tmp_path_factory):
    """The platform's names with our small image, and a home directory with the profile."""
    home = tmp_path_factory.mktemp("home")
    configure(berth, home, "--profile", PROFILE)
    ecs = berth.client("ecs")
    ecs.create_cluster(clusterName=CLUSTER)
    script = f"n=0; while :; do n=$((n+1)); echo line $n; sleep 0.3; done & {SERVE}"
    definition = berth.define("jitsi", shell(script, name="jitsi-web", **awslogs(GROUP, "jitsi")))
    ecs.create_service(cluster=CLUSTER, serviceName=SERVICE, taskDefinition=definition, desiredCount=0, launchType="FARGATE",
                       networkConfiguration=berth.network())
    return berth, berth.aws_environment(home)


def call(aws, environment, *words, seconds=90):
    done = subprocess.run([str(aws), *words, "--profile", PROFILE], capture_output=True, text=True, env=environment, timeout=seconds)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


def answer(aws, environment, *words):
    return json.loads(call(aws, environment, *words, "--output", "json"))


def test_the_commands_of_the_platforms_owner(aws, platform):
    berth, environment = platform
    assert answer(aws, environment, "sts", "get-caller-identity")["Account"] == berth.account
    scale = ("ecs", "update-service", "--cluster", CLUSTER, "--service", SERVICE, "--desired-count")
    assert answer(aws, environment, *scale, "1")["service"]["desiredCount"] == 1
    call(aws, environment, "ecs", "wait", "services-stable", "--cluster", CLUSTER, "--services", SERVICE)
    listed = ("ecs", "list-tasks", "--cluster", CLUSTER)
    [task] = answer(aws, environment, *listed)["taskArns"]
    text = call(aws, environment, *listed, "--query", "taskArns[0]", "--output", "text")
    assert text.strip() == task
    described = answer(aws, environment, "ecs", "describe-tasks", "--cluster", CLUSTER, "--tasks", task.rsplit("/", 1)[1])
    assert described["tasks"][0]["lastStatus"] == "RUNNING"
    eventually(lambda: "line 1" in berth.messages(GROUP, f"jitsi/jitsi-web/{task.rsplit('/', 1)[1]}"), "it logs")
    events = answer(aws, environment, "logs", "filter-log-events", "--log-group-name", GROUP, "--filter-pattern", '"line 1"')["events"]
    assert events and all("line 1" in e["message"] for e in events)
    assert answer(aws, environment, *scale, "0")["service"]["desiredCount"] == 0
    call(aws, environment, "ecs", "wait", "services-stable", "--cluster", CLUSTER, "--services", SERVICE)
    assert answer(aws, environment, *listed)["taskArns"] == []
    service = answer(aws, environment, "ecs", "describe-services", "--cluster", CLUSTER, "--services", SERVICE)["services"][0]
    assert (service["status"], service["runningCount"]) == ("ACTIVE", 0)


def test_errors_reach_the_terminal(aws, platform):
    _, environment = platform
    done = subprocess.run([str(aws), "ecs", "update-service", "--cluster", CLUSTER, "--service", "nothing", "--desired-count", "1", "--profile",
                           PROFILE], capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == 254 or done.returncode == 255
    assert "An error occurred (ServiceNotFoundException) when calling the UpdateService operation: Service not found." in done.stderr


def test_paging_by_the_client(aws, platform):
    berth, environment = platform
    for number in range(7):
        berth.client("ecs").create_cluster(clusterName=f"paged-{number}")
    arns = answer(aws, environment, "ecs", "list-clusters", "--page-size", "2")["clusterArns"]
    assert len(set(arns)) == len(arns) >= 7
    part = answer(aws, environment, "ecs", "list-clusters", "--page-size", "2", "--max-items", "3")
    assert len(part["clusterArns"]) == 3 and part["NextToken"]


# Version 1 has no `logs tail`.


@pytest.fixture(scope="module")
def tailing(platform):
    berth, environment = platform
    berth.client("ecs").update_service(cluster=CLUSTER, service=SERVICE, desiredCount=1)
    berth.wait_steady(SERVICE, 1, CLUSTER)
    yield version_2(), berth, environment
    berth.client("ecs").update_service(cluster=CLUSTER, service=SERVICE, desiredCount=0)


def test_logs_tail(tailing):
    program, berth, environment = tailing
    stream = f"jitsi/jitsi-web/{berth.service_tasks(SERVICE, CLUSTER)[0].rsplit('/', 1)[1]}"
    eventually(lambda: "line 3" in berth.messages(GROUP, stream), "it logs")
    shown = call(program, environment, "logs", "tail", GROUP)
    assert f"{stream} line 3\n" in shown
    short = call(program, environment, "logs", "tail", GROUP, "--format", "short", "--log-stream-names", stream)
    assert [line.split(" ", 1)[1] for line in short.splitlines()[:3]] == ["line 1", "line 2", "line 3"]


def test_logs_tail_follow_sees_new_lines_once(tailing):
    program, berth, environment = tailing
    stream = f"jitsi/jitsi-web/{berth.service_tasks(SERVICE, CLUSTER)[0].rsplit('/', 1)[1]}"
    words = [program, "logs", "tail", GROUP, "--follow", "--format", "short", "--since", "10s", "--log-stream-names", stream, "--profile", PROFILE]
    with reading(words, env=environment | {"PYTHONUNBUFFERED": "1"}) as process:
        numbers = []
        begun = time.monotonic()
        for line in process.stdout:
            numbers.append(int(line.rsplit(" ", 1)[1]))
            # The first page comes at once, the next after the client's own 5 s: a line written in between is a new one.
            if time.monotonic() - begun > 6.5:
                break
            assert time.monotonic() - begun < 40
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), "each line once, none left out"
    assert len(numbers) > 15


# berth configure.


def configure(world, home, *words, check=True):
    return world.run("configure", *words, check=check, env={k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "SUDO_"))}
                     | {"HOME": str(home)})


def test_configure_adds_a_profile_and_takes_it_out_again(simulated, tmp_path):
    files = {tmp_path / ".aws" / "config": "# mine\n[default]\nregion = eu-west-1\n\n[profile other]\nregion=us-west-2\n; the end\n",
             tmp_path / ".aws" / "credentials": "[default]\naws_access_key_id = AKIA0\naws_secret_access_key = s3cr3t\n"}
    (tmp_path / ".aws").mkdir()
    for path, text in files.items():
        path.write_text(text)
        path.chmod(0o640)
    configure(simulated, tmp_path, "--profile", PROFILE)
    for path, text in files.items():
        assert path.read_text().startswith(text), "nothing else in the file changes"
        assert path.stat().st_mode & 0o777 == 0o640
    parsed = configparser.ConfigParser()
    parsed.read(tmp_path / ".aws" / "config")
    assert parsed[f"profile {PROFILE}"]["endpoint_url"] == simulated.endpoint
    assert parsed[f"profile {PROFILE}"]["region"] == simulated.region
    once = [path.read_text() for path in files]
    configure(simulated, tmp_path, "--profile", PROFILE)
    assert [path.read_text() for path in files] == once, "a second time changes nothing"
    configure(simulated, tmp_path, "--profile", PROFILE, "--remove")
    assert [path.read_text() for path in files] == list(files.values())


def test_configure_leaves_a_foreign_profile_alone(simulated, tmp_path):
    (tmp_path / ".aws").mkdir()
    config = tmp_path / ".aws" / "config"
    config.write_text(f"[profile {PROFILE}]\nregion = eu-west-1\n")
    done = configure(simulated, tmp_path, "--profile", PROFILE, check=False)
    assert done.returncode == 1
    assert PROFILE in done.stderr
    assert config.read_text() == f"[profile {PROFILE}]\nregion = eu-west-1\n"
    assert configure(simulated, tmp_path, "--profile", PROFILE, "--remove", check=False).returncode in (0, 1)
    assert config.read_text() == f"[profile {PROFILE}]\nregion = eu-west-1\n"


def test_configure_writes_where_the_sdks_read(simulated, tmp_path):
    """Relative paths, "~/", directories that are not there yet, and symbolic links whose files are not."""
    home, here = tmp_path / "home", tmp_path / "here"
    for path in (home, here):
        path.mkdir()
    (home / "link").symlink_to("dotfiles/config")
    for config, credentials, written in (("config", "keys", here), ("~/a/b/config", "~/a/c/keys", home / "a"),
                                         (home / "link", home / "keys", home / "dotfiles")):
        environment = os.environ | {"HOME": str(home), "AWS_CONFIG_FILE": str(config), "AWS_SHARED_CREDENTIALS_FILE": str(credentials)}
        simulated.run("configure", env=environment, cwd=here)
        done = subprocess.run([str(version_1()), "--profile", "berth", "ecs", "list-clusters"], capture_output=True, text=True, cwd=here,
                              env=environment, timeout=60)
        assert done.returncode == 0, done.stderr
        assert any(path.is_file() and "berth" in path.read_text() for path in written.rglob("*"))
    assert (home / "link").is_symlink()
    assert sorted(p.name for p in here.iterdir()) == ["config", "keys"]


def test_configure_changes_nothing_where_it_cannot_do_both(simulated, tmp_path):
    directory = tmp_path / ".aws"
    (directory / "config").mkdir(parents=True)
    done = configure(simulated, tmp_path, check=False)
    assert (done.returncode, done.stderr) == (1, f"berth: {directory}/config is not a regular file\n")
    assert [p.name for p in directory.iterdir()] == ["config"]


def test_configure_says_what_it_took_out(simulated, tmp_path):
    assert configure(simulated, tmp_path, "--remove").stdout == "There is no profile berth.\n"
    configure(simulated, tmp_path)
    assert configure(simulated, tmp_path, "--remove").stdout == "Profile berth is gone.\n"
    (tmp_path / ".aws" / "config").write_text("[profile berth]\nregion = eu-west-1\n")
    assert configure(simulated, tmp_path, "--remove").stdout == "Profile berth was not made by Berth and stays.\n"


def test_configure_makes_files_that_only_their_owner_reads(simulated, tmp_path):
    configure(simulated, tmp_path)
    assert (tmp_path / ".aws" / "credentials").stat().st_mode & 0o777 == 0o600
    environment = simulated.aws_environment(tmp_path)
    done = subprocess.run([str(version_1()), "--profile", "berth", "ecs", "list-clusters"], capture_output=True, text=True, env=environment,
                          timeout=60)
    assert done.returncode == 0, done.stderr
    configure(simulated, tmp_path, "--remove")
    assert not any(p.exists() and "berth" in p.read_text() for p in (tmp_path / ".aws").iterdir())
