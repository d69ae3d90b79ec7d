"""A client that keeps a Berth busy while its daemon and its supervisors are killed, and knows what it was promised.

Each operation ends in one of two ways. Acknowledged: from now on the promise is in the model, and only what was promised may be
seen. Cut off: the daemon died before it answered, so both are right, done and not done, until a later look or a repetition with the
same token says which.
"""

import os
import random
import signal
import time

import botocore.exceptions

from berth_world import awslogs, shell

CUT_OFF = (botocore.exceptions.EndpointConnectionError, botocore.exceptions.ConnectionClosedError,
           botocore.exceptions.ReadTimeoutError, botocore.exceptions.HTTPClientError)
SERVICE_GROUP, TASK_GROUP, PUT_GROUP, PUT_STREAM = "/kills/service", "/kills/tasks", "/kills/put", "stream"
# Writes 1, 2, 3, … and, when told to stop, which number was the last. The trap only sets a flag, so nothing is written twice.
NUMBERED = ("stop=; trap stop=1 TERM; i=0; while [ -z \"$stop\" ]; do i=$((i+1)); echo $i; sleep 0.05; done; echo last $i")
SHORT = "echo 1; echo 2; echo last 2"
LONG_LIVED_MAX = 5
RUNS_A_LIFE_MAX = 5      # more than the machine can start in the time would only queue
PACE_SECONDS = 0.01


class Churn:
    def __init__(self, world, seed):
        self.world = world
        self.random = random.Random(seed)
        self.done = {}                     # operation → how often it was acknowledged
        self.cut_off = 0
        self.tags = {}                     # key → the values that it may have
        self.desired = {0}                 # what the service's desired count may be
        self.tokens = {}                   # client token → task, or None where that is not known
        self.short = set()                 # tokens whose task ends by itself
        self.stopped = set()               # tasks whose stop was acknowledged
        self.orphaned = set()              # ids of tasks whose supervisor was killed
        self.put, self.maybe_put = [], []  # messages
        self.revisions = {}                # revision → its only environment value
        self.next = 0

    def prepare(self, steady):
        world = self.world
        ecs, logs = world.client("ecs"), world.client("logs")
        for group in (SERVICE_GROUP, TASK_GROUP, PUT_GROUP):
            logs.create_log_group(logGroupName=group)
        logs.create_log_stream(logGroupName=PUT_GROUP, logStreamName=PUT_STREAM)
        self.cluster = ecs.describe_clusters(clusters=["default"])["clusters"][0]["clusterArn"]
        service = world.define("service", shell(NUMBERED, stopTimeout=20, **awslogs(SERVICE_GROUP)))
        self.long = world.define("long", shell(NUMBERED, stopTimeout=20, **awslogs(TASK_GROUP)))
        self.short_definition = world.define("short", shell(SHORT, **awslogs(TASK_GROUP)))
        ecs.create_service(serviceName="churn", taskDefinition=service, desiredCount=0, launchType="FARGATE",
                           networkConfiguration=world.network())
        self.network = world.network()
        self.steady = world.run_task(self.long, count=steady)
        for arn in self.steady:
            world.wait_task(arn, "RUNNING")
        self.connect()

    def connect(self):
        """After each start of the daemon."""
        self.ecs, self.logs = self.world.client("ecs"), self.world.client("logs")
        self.runs_left = RUNS_A_LIFE_MAX

    def number(self):
        self.next += 1
        return self.next

    # One operation each. They raise what cut them off, after having noted what that leaves open.

    def tag(self):
        key, value = f"key-{self.random.randrange(30)}", str(self.number())
        before = self.tags.get(key, {None})
        self.tags[key] = before | {value}
        self.ecs.tag_resource(resourceArn=self.cluster, tags=[{"key": key, "value": value}])
        self.tags[key] = {value}

    def scale(self):
        count = self.random.randrange(5)
        before = self.desired
        self.desired = before | {count}
        self.ecs.update_service(service="churn", desiredCount=count)
        self.desired = {count}

    def run(self):
        unknown = [token for token, arn in self.tokens.items() if arn is None]
        if unknown:
            token = unknown[0]
        elif self.runs_left == 0:
            return self.tag()
        else:
            self.runs_left -= 1
            alive = self.long_lived()
            token = f"token-{self.number()}"
            if len(alive) >= LONG_LIVED_MAX or self.random.random() < 0.3:
                self.short.add(token)
        self.tokens[token] = None
        definition = self.short_definition if token in self.short else self.long
        answer = self.ecs.run_task(taskDefinition=definition, launchType="FARGATE", networkConfiguration=self.network, clientToken=token,
                                   startedBy=token)
        assert not answer["failures"], answer["failures"]
        [task] = answer["tasks"]
        self.tokens[token] = task["taskArn"]

    def stop(self):
        alive = [arn for arn in self.long_lived() if arn]
        if not alive:
            return self.run()
        arn = self.random.choice(alive)
        self.ecs.stop_task(task=arn, reason="churn")
        self.stopped.add(arn)

    def kill_supervisor(self):
        """Of any task but the steady ones, whoever's it is; needs no daemon."""
        steady = {id_of(arn) for arn in self.steady}
        pids = {task: pid for task, pid in self.world.supervisors().items() if task not in steady | self.orphaned}
        if pids:
            task = self.random.choice(sorted(pids))
            os.kill(pids[task], signal.SIGKILL)
            self.orphaned.add(task)

    def put_events(self):
        messages = [f"put-{self.number()}" for _ in range(self.random.randrange(1, 6))]
        self.maybe_put += messages
        now = int(time.time() * 1000)
        self.logs.put_log_events(logGroupName=PUT_GROUP, logStreamName=PUT_STREAM,
                                 logEvents=[{"timestamp": now, "message": m} for m in messages])
        del self.maybe_put[-len(messages):]
        self.put += messages

    def register(self):
        value = str(self.number())
        answer = self.ecs.register_task_definition(family="many", containerDefinitions=[
            {"name": "c", "image": "busybox", "memory": 16, "environment": [{"name": "V", "value": value}]}])
        self.revisions[answer["taskDefinition"]["revision"]] = value

    def step(self):
        """One random operation; False when it was cut off."""
        time.sleep(self.random.uniform(0, 2 * PACE_SECONDS))
        operation = self.random.choices([self.tag, self.scale, self.run, self.stop, self.kill_supervisor, self.put_events, self.register],
                                        [9, 9, 12, 9, 1, 9, 3])[0]
        try:
            operation()
        except CUT_OFF:
            self.cut_off += 1
            return False
        self.done[operation.__name__] = self.done.get(operation.__name__, 0) + 1
        return True

    # What must be true, however often the daemon has died.

    def check_acknowledged(self):
        """The cheap part, after each start. What is seen is certain from now on."""
        seen = {t["key"]: t["value"] for t in self.ecs.list_tags_for_resource(resourceArn=self.cluster)["tags"]}
        for key, allowed in self.tags.items():
            assert seen.get(key) in allowed, f"tag {key}: {seen.get(key)}, acknowledged {allowed}"
            self.tags[key] = {seen.get(key)}
        desired = self.world.service("churn")["desiredCount"]
        assert desired in self.desired, f"desiredCount {desired}, acknowledged {self.desired}"
        self.desired = {desired}

    def settle(self):
        """Repeats what was cut off; returns when everything has come to rest."""
        while None in self.tokens.values():
            self.run()
        running = set(self.long_lived())
        for arn in self.tokens.values():
            self.world.wait_task(arn, "RUNNING" if arn in running else "STOPPED", seconds=60)
        self.world.wait_steady("churn", next(iter(self.desired)), seconds=60)

    def long_lived(self):
        """Tasks of their own that should run now; None for one of which no answer came."""
        return [arn for token, arn in self.tokens.items()
                if token not in self.short and arn not in self.stopped and (arn is None or id_of(arn) not in self.orphaned)]

    def living(self):
        """Tasks that should run now."""
        return set(self.long_lived()) | set(self.steady) | set(self.world.service_tasks("churn"))

    def check_tasks(self):
        for token, arn in self.tokens.items():
            found = [a for status in ("RUNNING", "STOPPED")
                     for a in self.ecs.list_tasks(startedBy=token, desiredStatus=status)["taskArns"]]
            assert found == [arn], f"{token} was asked for once and gave {found}"
        for token, arn in self.tokens.items():
            task, orphaned = self.world.task(arn), id_of(arn) in self.orphaned
            if arn not in self.stopped and (token in self.short or not orphaned):
                continue
            told = {k: task.get(k) for k in ("taskArn", "startedBy", "stopCode", "stoppedReason", "createdAt", "startedAt", "stoppedAt", "containers")}
            assert task["lastStatus"] == "STOPPED", told
            assert (arn in self.stopped and task["stoppedReason"] == "churn") or (orphaned and "supervisor" in task["stoppedReason"]), told

    def check_definitions(self):
        for revision, value in self.revisions.items():
            seen = self.ecs.describe_task_definition(taskDefinition=f"many:{revision}")["taskDefinition"]
            assert seen["containerDefinitions"][0]["environment"] == [{"name": "V", "value": value}]

    def check_put_events(self):
        seen = self.world.messages(PUT_GROUP)
        assert len(seen) == len(set(seen)), "an event is there twice"
        assert set(self.put) <= set(seen), f"acknowledged and lost: {sorted(set(self.put) - set(seen))}"
        assert set(seen) <= set(self.put) | set(self.maybe_put)

    def check_container_logs(self):
        """Each stream counts 1, 2, 3, … and a task that was let to end has written which was its last."""
        streams, ended = 0, 0
        for group in (SERVICE_GROUP, TASK_GROUP):
            for page in self.logs.get_paginator("describe_log_streams").paginate(logGroupName=group):
                for stream in page["logStreams"]:
                    ended += self._check_stream(group, stream["logStreamName"])
                    streams += 1
        return streams, ended

    def _check_stream(self, group, name):
        pages = self.logs.get_paginator("filter_log_events").paginate(logGroupName=group, logStreamNames=[name])
        lines = [event["message"] for page in pages for event in page["events"]]
        ended = bool(lines) and lines[-1].startswith("last ")
        numbers = lines[:-1] if ended else lines
        assert numbers == [str(i) for i in range(1, len(numbers) + 1)], f"{group} {name}: {around_break(numbers)}"
        assert not ended or lines[-1] == f"last {len(numbers)}", f"{group} {name}: {lines[-2:]}"
        if not ended and lines:
            task = self.world.task(name.rsplit("/", 1)[1])
            assert task["lastStatus"] != "STOPPED" or task["containers"][0].get("exitCode") != 0, f"{name} lost its end: {lines[-2:]}"
        return ended


def id_of(arn):
    return arn.rsplit("/", 1)[1]


def around_break(numbers):
    for at, text in enumerate(numbers, 1):
        if text != str(at):
            return f"at {at}: {numbers[max(0, at - 4):at + 3]} of {len(numbers)}"
    return "whole"
