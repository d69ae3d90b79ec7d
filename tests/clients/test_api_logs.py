"""CloudWatch Logs with boto3: groups, streams, events and their pages; every member; what a restart keeps."""

import time

import botocore.exceptions
import pytest

from every_member import Service, filled_members, members_of


@pytest.fixture
def group(logs, unique):
    name = f"/test/{unique}"
    logs.create_log_group(logGroupName=name)
    yield name
    logs.delete_log_group(logGroupName=name)


def now():
    return int(time.time() * 1000)


def put(logs, group, stream, messages, at=None):
    at = at or now()
    return logs.put_log_events(logGroupName=group, logStreamName=stream,
                               logEvents=[{"timestamp": at + i, "message": m} for i, m in enumerate(messages)])


def failure(call, *words, **arguments):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(*words, **arguments)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_errors(logs, group):
    assert failure(logs.create_log_group, logGroupName=group) == ("ResourceAlreadyExistsException", "The specified log group already exists")
    logs.create_log_stream(logGroupName=group, logStreamName="s")
    assert failure(logs.create_log_stream, logGroupName=group, logStreamName="s") == \
        ("ResourceAlreadyExistsException", "The specified log stream already exists")
    missing = ("ResourceNotFoundException", "The specified log group does not exist.")
    assert failure(logs.filter_log_events, logGroupName="/no") == missing
    assert failure(logs.create_log_stream, logGroupName="/no", logStreamName="s") == missing
    assert failure(put, logs, group, "no", ["m"]) == ("ResourceNotFoundException", "The specified log stream does not exist.")
    at = now()
    backwards = [{"timestamp": at, "message": "a"}, {"timestamp": at - 1, "message": "b"}]
    assert failure(logs.put_log_events, logGroupName=group, logStreamName="s", logEvents=backwards) == (
        "InvalidParameterException", "Log events in a single PutLogEvents request must be in chronological order.")
    long = [{"timestamp": at - 25 * 3600_000, "message": "a"}, {"timestamp": at, "message": "b"}]
    assert failure(logs.put_log_events, logGroupName=group, logStreamName="s", logEvents=long) == (
        "InvalidParameterException", "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.")
    assert failure(logs.filter_log_events, logGroupName=group, logStreamNames=["s"], logStreamNamePrefix="s")[0] == "InvalidParameterException"
    code, text = failure(logs.filter_log_events, logGroupName=group, filterPattern="{ $.a = 1 }")
    assert code == "InvalidParameterException" and text
    assert failure(logs.get_log_events, logGroupName=group, logStreamName="no")[0] == "ResourceNotFoundException"


def test_events_outside_the_accepted_time_are_told(logs, group):
    logs.create_log_stream(logGroupName=group, logStreamName="s")
    answer = put(logs, group, "s", ["old"], at=now() - 15 * 24 * 3600_000)
    assert answer["rejectedLogEventsInfo"]["tooOldLogEventEndIndex"] == 1
    answer = put(logs, group, "s", ["new"], at=now() + 3 * 3600_000)
    assert answer["rejectedLogEventsInfo"]["tooNewLogEventStartIndex"] == 0
    assert logs.filter_log_events(logGroupName=group)["events"] == []


@pytest.mark.parametrize("letter", ["x", "é", "ж", "日", "😀"])
def test_a_full_batch_is_taken_in_any_script(logs, group, letter):
    logs.create_log_stream(logGroupName=group, logStreamName="s")
    line = letter * (74 // len(letter.encode()))
    size = len(line.encode()) + 26
    assert put(logs, group, "s", [line] * min(10_000, 1_048_576 // size), at=now() - 60_000)["nextSequenceToken"]


def test_filter_pages_sorts_and_matches(logs, group):
    at = now() - 10_000
    for stream, offset in (("a", 0), ("b", 1)):
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
        logs.put_log_events(logGroupName=group, logStreamName=stream,
                            logEvents=[{"timestamp": at + 2 * i + offset, "message": f"{'ERROR' if i % 10 == 0 else 'fine'} {2 * i + offset}"}
                                       for i in range(100)])
    pages = list(logs.get_paginator("filter_log_events").paginate(logGroupName=group, PaginationConfig={"PageSize": 7}))
    events = [e for page in pages for e in page["events"]]
    assert len(pages) >= 200 // 7
    assert [int(e["message"].split()[1]) for e in events] == list(range(200)), "by time, over both streams"
    assert len({e["eventId"] for e in events}) == 200
    assert all(e["eventId"].isdigit() and e["ingestionTime"] >= e["timestamp"] for e in events)
    again = [e for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group) for e in page["events"]]
    assert [e["eventId"] for e in again] == [e["eventId"] for e in events], "an event's id is the same in every call"

    def found(pattern, **more):
        return [e["message"] for p in logs.get_paginator("filter_log_events").paginate(logGroupName=group, filterPattern=pattern, **more)
                for e in p["events"]]

    assert len(found("ERROR")) == 20
    assert len(found("-ERROR")) == 180
    assert found('"ERROR 20"') == ["ERROR 20"]
    assert len(found("?ERROR ?fine")) == 200
    assert found("error") == [], "terms are case-sensitive"
    assert len(found("ERROR", logStreamNames=["a"])) == 10
    window = logs.filter_log_events(logGroupName=group, startTime=at + 10, endTime=at + 12)["events"]
    assert [e["message"] for e in window] == ["ERROR 10", "ERROR 11", "fine 12"] or [int(e["message"].split()[1]) for e in window] == [10, 11, 12]


def test_get_log_events_walks_both_ways(logs, group):
    logs.create_log_stream(logGroupName=group, logStreamName="s")
    put(logs, group, "s", [str(i) for i in range(25)])
    forward, token, pages = [], None, 0
    while True:
        more = {"nextToken": token} if token else {}
        page = logs.get_log_events(logGroupName=group, logStreamName="s", startFromHead=True, limit=10, **more)
        forward += [e["message"] for e in page["events"]]
        pages += 1
        if page["nextForwardToken"] == token:
            break
        token = page["nextForwardToken"]
    assert forward == [str(i) for i in range(25)]
    assert pages >= 4, "the end is where the token repeats"
    tail = logs.get_log_events(logGroupName=group, logStreamName="s", limit=10)
    assert [e["message"] for e in tail["events"]] == [str(i) for i in range(15, 25)]
    back = logs.get_log_events(logGroupName=group, logStreamName="s", limit=10, nextToken=tail["nextBackwardToken"])
    assert [e["message"] for e in back["events"]] == [str(i) for i in range(5, 15)]
    put(logs, group, "s", ["later"], at=now() + 1000)
    news = logs.get_log_events(logGroupName=group, logStreamName="s", startFromHead=True, nextToken=token)
    assert [e["message"] for e in news["events"]] == ["later"]


def test_groups_and_streams_are_paged(logs, unique):
    names = [f"/paged/{unique}/{i}" for i in range(7)]
    for name in names:
        logs.create_log_group(logGroupName=name, tags={"a": "b"})
    pages = logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=f"/paged/{unique}/", PaginationConfig={"PageSize": 3})
    seen = [g for page in pages for g in page["logGroups"]]
    assert [g["logGroupName"] for g in seen] == names
    assert all(g["arn"] == g["logGroupArn"] + ":*" for g in seen)
    for number in range(5):
        logs.create_log_stream(logGroupName=names[0], logStreamName=f"stream-{number}")
    pages = logs.get_paginator("describe_log_streams").paginate(logGroupName=names[0], PaginationConfig={"PageSize": 2})
    assert [s["logStreamName"] for page in pages for s in page["logStreams"]] == [f"stream-{i}" for i in range(5)]
    for name in names:
        logs.delete_log_group(logGroupName=name)


def test_every_member_and_a_restart(own_simulated):
    """All members that are not refused, in calls of every operation; then the same answers after kill -9."""
    world, sent = own_simulated, set()
    logs = world.client("logs")

    def keep(params, context, **_):
        context["sent"] = params

    def answered(http_response, model, context, **_):
        if http_response.status_code == 200 and model.input_shape:
            sent.update(filled_members(model.input_shape, context["sent"]))

    logs.meta.events.register("provide-client-params.*.*", keep)
    logs.meta.events.register("after-call.*.*", answered)
    at = now()
    logs.create_log_group(logGroupName="/g", tags={"a": "1", "b": "2"}, logGroupClass="STANDARD", deletionProtectionEnabled=False)
    logs.put_retention_policy(logGroupName="/g", retentionInDays=7)
    for stream in ("s1", "s2"):
        logs.create_log_stream(logGroupName="/g", logStreamName=stream)
        logs.put_log_events(logGroupName="/g", logStreamName=stream, sequenceToken="ignored",
                            logEvents=[{"timestamp": at + i, "message": f"{stream} {i}"} for i in range(10)])
    arn = logs.describe_log_groups(logGroupNamePrefix="/g")["logGroups"][0]["logGroupArn"]
    logs.tag_log_group(logGroupName="/g", tags={"c": "3", "d": "4"})
    logs.untag_log_group(logGroupName="/g", tags=["d"])
    logs.tag_resource(resourceArn=arn, tags={"e": "5", "f": "6"})
    logs.untag_resource(resourceArn=arn, tagKeys=["f"])
    logs.create_log_stream(logGroupName="/g", logStreamName="s3")
    logs.delete_log_stream(logGroupName="/g", logStreamName="s3")
    logs.create_log_group(logGroupName="/other")
    logs.put_retention_policy(logGroupName="/other", retentionInDays=1)
    logs.delete_retention_policy(logGroupName="/other")
    first = {
        "groups": logs.describe_log_groups(logGroupNamePrefix="/", limit=1, logGroupClass="STANDARD", includeLinkedAccounts=False),
        "streams": logs.describe_log_streams(logGroupName="/g", orderBy="LastEventTime", descending=True, limit=1),
        "filter": logs.filter_log_events(logGroupName="/g", logStreamNames=["s1", "s2"], startTime=at, endTime=at + 100, filterPattern="s1",
                                         limit=3, interleaved=True, startFromHead=True, unmask=False),
        "get": logs.get_log_events(logGroupName="/g", logStreamName="s1", startTime=at, endTime=at + 100, limit=3, startFromHead=True, unmask=False)}

    def read():
        return [logs.describe_log_groups(logGroupNamePattern="g"), logs.describe_log_groups(logGroupIdentifiers=["/g"]),
                logs.describe_log_streams(logGroupIdentifier=arn, logStreamNamePrefix="s"),
                logs.filter_log_events(logGroupIdentifier=arn, logStreamNamePrefix="s"), logs.list_tags_log_group(logGroupName="/g"),
                logs.list_tags_for_resource(resourceArn=arn),
                # The rest of each list, by the token that was handed out before the restart.
                logs.describe_log_groups(logGroupNamePrefix="/", limit=1, nextToken=first["groups"]["nextToken"]),
                logs.describe_log_streams(logGroupName="/g", orderBy="LastEventTime", descending=True, limit=1, nextToken=first["streams"]["nextToken"]),
                logs.filter_log_events(logGroupName="/g", logStreamNames=["s1", "s2"], startTime=at, endTime=at + 100, filterPattern="s1", limit=3,
                                       nextToken=first["filter"]["nextToken"]),
                logs.get_log_events(logGroupIdentifier=arn, logStreamName="s1", limit=3, nextToken=first["get"]["nextForwardToken"])]

    def plain(answers):
        return [{k: v for k, v in a.items() if k != "ResponseMetadata"} for a in answers]

    before = plain(read())
    world.restart()
    assert plain(read()) == before
    assert before[4]["tags"] == before[5]["tags"] == {"a": "1", "b": "2", "c": "3", "e": "5"}
    assert before[1]["logGroups"][0]["retentionInDays"] == 7
    assert [e["message"] for e in before[8]["events"]] == ["s1 3", "s1 4", "s1 5"]
    assert [e["message"] for e in before[9]["events"]] == ["s1 3", "s1 4", "s1 5"]
    logs.delete_log_group(logGroupName="/other")
    service = Service("logs")
    wanted = {pair for operation in service.operations() for pair in members_of(service, service.model.operation_model(operation).input_shape)}
    assert not wanted - sent, sorted(wanted - sent)


def test_regions_are_kept_apart(simulated, unique):
    here, there = simulated.client("logs"), simulated.client("logs", "eu-central-1")
    here.create_log_group(logGroupName=f"/{unique}")
    assert there.describe_log_groups(logGroupNamePrefix=f"/{unique}")["logGroups"] == []
    there.create_log_group(logGroupName=f"/{unique}")
    here.delete_log_group(logGroupName=f"/{unique}")
    assert [g["arn"].split(":")[3] for g in there.describe_log_groups(logGroupNamePrefix=f"/{unique}")["logGroups"]] == ["eu-central-1"]
    vpcs = [simulated.client("ec2", region).describe_vpcs()["Vpcs"][0] for region in ("us-east-1", "eu-central-1")]
    assert vpcs[0]["VpcId"] != vpcs[1]["VpcId"] and vpcs[0]["CidrBlock"] != vpcs[1]["CidrBlock"]
