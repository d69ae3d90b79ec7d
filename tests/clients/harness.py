"""What the suites on the platform and on the API's shapes say more than berth_world.py: the platform's images, AWS files, shapes."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import berth_world
from berth_world import eventually

ROOT = berth_world.REPOSITORY
PROGRAM = pathlib.Path(os.environ.get("BERTH_PROGRAM", ROOT / "build/berth"))
IMAGES = ROOT / ".cache/platform/images"
PROFILE = "jitsi-video-hosting-170473530355"
FARGATE_SMALLEST = {"cpu": "256", "memory": "512"}


def wait_until(condition, what, timeout=60, every=0.05):
    """Asks until the answer is true, for things that nobody announces; fails with `what` was waited for."""
    return eventually(condition, what, timeout, every)


def run(*command, check=True, timeout=120, **more):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=timeout, **more)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}: exit status {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


class Berth(berth_world.World):
    """A Berth with a directory of its own, gone afterwards. A context; `arguments` go to `berth serve`."""

    def __init__(self, *arguments, agent="real", directory=None):
        self.home = pathlib.Path(directory or tempfile.mkdtemp(prefix="berth-test-"))
        super().__init__(self.home, *arguments, real=agent == "real")

    def __enter__(self):
        try:
            self.start()
            return self
        except BaseException:
            self.close()
            raise

    def __exit__(self, *exception):
        self.close()

    def close(self):
        try:
            super().close()
        finally:
            shutil.rmtree(self.home, ignore_errors=True)

    def berth(self, *words, **more):
        return run(PROGRAM, *words, "--state", self.state, **more)

    def load_platform_images(self):
        for tag, name in (("jitsi-web", "jitsi/web"), ("prosody", "jitsi/prosody"), ("jvb", "jitsi/jvb")):
            self.berth("image", "load", f"oci:{IMAGES}:{tag}", "--name", f"{name}:stable")

    def environment(self, profile=PROFILE):
        """Of a process that finds a profile for this Berth, and nothing of the person who runs the test."""
        files = {"AWS_CONFIG_FILE": str(self.home / "aws-config"), "AWS_SHARED_CREDENTIALS_FILE": str(self.home / "aws-credentials")}
        if not (self.home / "aws-config").exists():
            self.berth("configure", "--profile", profile, env={**os.environ, **files})
        return {**self.aws_environment(self.home), **files}

    def tasks(self):
        return json.loads(self.berth("ps", "--json").stdout)["tasks"]


def container(name="app", **more):
    return {"name": name, "image": "jitsi/web:stable", "essential": True, **more}


def register(ecs, family, *containers, **more):
    """A task definition of the smallest Fargate size; returns its ARN."""
    definition = {"family": family, "requiresCompatibilities": ["FARGATE"], "networkMode": "awsvpc", **FARGATE_SMALLEST,
                  "containerDefinitions": list(containers) or [container()], **more}
    return ecs.register_task_definition(**definition)["taskDefinition"]["taskDefinitionArn"]


def network(ec2):
    subnets = ec2.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"]
    return {"awsvpcConfiguration": {"subnets": [subnet["SubnetId"] for subnet in subnets], "assignPublicIp": "DISABLED"}}


address_of = berth_world.World.address_of
