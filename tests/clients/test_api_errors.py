"""The errors that clients read, from the wire: AWS's types and texts, which tools compare with (see the providers' sources)."""

import datetime
import http.client
import json

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.exceptions
import pytest

ROLE = "arn:aws:iam::000000000000:role/execution"
NO_PROVIDER = ("The specified capacity provider was not found. Specify a valid capacity provider and try again")
CONTAINER = {"name": "c", "image": "busybox"}
FARGATE = {"family": "bad", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512"}
SECRET = [{"name": "X", "valueFrom": "arn:aws:ssm:us-east-1:000000000000:parameter/x"}]
LOGS = {"logDriver": "awslogs", "options": {"awslogs-group": "g", "awslogs-region": "r", "awslogs-stream-prefix": "p"}}
UUID = "0" * 32


@pytest.fixture(scope="module")
def errors(simulated):
    """What the table below refers to: cluster `errors` with definition `good`, service `kept` at one task, INACTIVE `gone`."""
    ecs = simulated.client("ecs")
    for name in ("errors", "inactive", "default"):
        ecs.create_cluster(clusterName=name)
    ecs.delete_cluster(cluster="inactive")
    simulated.define("good", {"name": "c"})
    arn = simulated.define("inactive", {"name": "c"})
    ecs.deregister_task_definition(taskDefinition=arn)
    simulated.client("ecs").register_task_definition(family="bridged", containerDefinitions=[CONTAINER | {"memory": 10}])
    common = {"cluster": "errors", "taskDefinition": "good", "launchType": "FARGATE", "networkConfiguration": simulated.network()}
    ecs.create_service(serviceName="kept", desiredCount=1, **common)
    ecs.create_service(serviceName="gone", desiredCount=0, **common)
    ecs.delete_service(cluster="errors", service="gone")
    ecs.get_waiter("services_inactive").wait(cluster="errors", services=["gone"], WaiterConfig={"Delay": 1, "MaxAttempts": 20})
    yield simulated
    ecs.delete_service(cluster="errors", service="kept", force=True)


def define(**members):
    return ("register_task_definition", FARGATE | {"containerDefinitions": [CONTAINER]} | members, "ClientException")


def container(**members):
    return define(containerDefinitions=[CONTAINER | members])


def run(**members):
    return ("run_task", {"cluster": "errors", "taskDefinition": "good", "launchType": "FARGATE", "networkConfiguration": "own"} | members,
            "InvalidParameterException")


def create(**members):
    return ("create_service", {"cluster": "errors", "serviceName": "new", "taskDefinition": "good", "launchType": "FARGATE",
                               "desiredCount": 0, "networkConfiguration": "own"} | members, "InvalidParameterException")


def update(**members):
    return ("update_service", {"cluster": "errors", "service": "kept"} | members, "InvalidParameterException")


def wrong(operation, **members):
    return (operation, members, "InvalidParameterException")


TABLE = [
    # clusters
    (("list_tasks", {"cluster": "nowhere"}, "ClusterNotFoundException"), "Cluster not found."),
    (("list_services", {"cluster": "nowhere"}, "ClusterNotFoundException"), "Cluster not found."),
    (("delete_cluster", {"cluster": "nowhere"}, "ClusterNotFoundException"), "Cluster not found."),
    (("update_cluster", {"cluster": "nowhere"}, "ClusterNotFoundException"), "Cluster not found."),
    (("run_task", {"cluster": "inactive", "taskDefinition": "good"}, "ClusterNotFoundException"), "The referenced cluster was inactive."),
    (("delete_cluster", {"cluster": "errors"}, "ClusterContainsServicesException"),
     "The Cluster cannot be deleted while Services are active."),
    (wrong("create_cluster", clusterName="not a name"), "Cluster must match ^[a-zA-Z0-9\\-_]{1,255}$, but was not a name"),
    (wrong("create_cluster", clusterName="x", settings=[{"name": "containerInsights", "value": "on"}]), "Invalid setting 'value'"),
    (wrong("create_cluster", clusterName="x", capacityProviders=["NONE"]), NO_PROVIDER),
    (wrong("create_cluster", clusterName="errors", settings=[{"name": "containerInsights", "value": "enabled"}]),
     "Arguments on this idempotent request are inconsistent with arguments used in previous request(s)."),
    (("put_cluster_capacity_providers", {"cluster": "inactive", "capacityProviders": [], "defaultCapacityProviderStrategy": []},
      "ClientException"), "Cluster was not ACTIVE."),
    (wrong("put_account_setting", name="unknown", value="enabled"), "name should be one of [serviceLongArnFormat,taskLongArnFormat,"),
    # task definitions
    (container(name=""), "Container.name should not be null or empty."),
    (container(image=""), "Container.image should not be null or empty."),
    (define(family="bridge", networkMode="bridge", requiresCompatibilities=["FARGATE"]),
     "Fargate only supports network mode ‘awsvpc’."),
    (("register_task_definition", {"family": "x", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "memory": "512",
                                    "containerDefinitions": [CONTAINER]}, "ClientException"),
     "Fargate requires that 'cpu' be defined at the task level."),
    (("register_task_definition", {"family": "x", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "256",
                                    "containerDefinitions": [CONTAINER]}, "ClientException"),
     "Fargate requires that 'memory' be defined at the task level."),
    (define(cpu="512", memory="512"), "No Fargate configuration exists for given values: 512 CPU, 512 memory. See the Amazon ECS "
                                      "documentation for the valid values."),
    (("register_task_definition", {"family": "x", "containerDefinitions": [CONTAINER]}, "ClientException"),
     "Invalid setting for container 'c'. At least one of 'memory' or 'memoryReservation' must be specified."),
    (container(portMappings=[{"containerPort": 70000}]), "Invalid 'containerPort' setting for container 'c'."),
    (container(portMappings=[{"containerPort": 80, "hostPort": 81}]),
     "When networkMode=awsvpc, the host ports and container ports in port mappings must match."),
    (container(links=["d"]), "Links are not supported when networkMode=awsvpc."),
    (container(memory=1024), "The 'memory' setting for container 'c' is greater than for the task."),
    (container(cpu=512), "The sum of all container 'cpu' values cannot be greater than the value of the task 'cpu'."),
    (container(image="000000000000.dkr.ecr.us-east-1.amazonaws.com/a:b"),
     "Fargate requires task definition to have execution role ARN to support ECR images."),
    (container(logConfiguration=LOGS), "Fargate requires task definition to have execution role ARN to support log driver awslogs."),
    (container(secrets=SECRET), "When you are specifying container secrets, you must also specify a value for 'executionRoleArn'."),
    (define(executionRoleArn=ROLE, containerDefinitions=[CONTAINER | {"secrets": SECRET, "environment": [{"name": "X", "value": "y"}]}]),
     "The secret name must be unique and not shared with any new or existing environment variables set on the container, such as 'X'."),
    (define(executionRoleArn="not an arn"), "Role is not valid"),
    (define(executionRoleArn=ROLE, containerDefinitions=[CONTAINER | {"logConfiguration": {"logDriver": "awslogs"}}]),
     "Log driver awslogs requires options: awslogs-region, awslogs-group"),
    (define(containerDefinitions=[CONTAINER, CONTAINER | {"name": "d", "dependsOn": [{"containerName": "c", "condition": "SUCCESS"}]}]),
     "A dependency container with SUCCESS or COMPLETE condition cannot be an essential container"),
    (define(pidMode="host"), "Tasks using the Fargate launch type do not support pidMode 'host'. The supported value for pidMode is 'task'."),
    (define(ephemeralStorage={"sizeInGiB": 20}), "EphemeralStorage size should be at least 21"),
    (define(ephemeralStorage={"sizeInGiB": 201}), "EphemeralStorage size should be at most 200"),
    (define(tags=[]), "Tags can not be empty."),
    (("describe_task_definition", {"taskDefinition": "unknown"}, "ClientException"), "Unable to describe task definition."),
    (("deregister_task_definition", {"taskDefinition": "good"}, "ClientException"), "Revision is missing."),
    (wrong("deregister_task_definition", taskDefinition="good:foo"), "Invalid revision number. Number: foo"),
    (("delete_task_definitions", {"taskDefinitions": []}, "ClientException,InvalidParameterException"),
     "size of TaskDefinition references list must be greater than 0"),
    (("delete_task_definitions", {"taskDefinitions": ["a:1"] * 11}, "ClientException,InvalidParameterException"),
     "Size of TaskDefinition references list cannot exceed 10"),
    # tasks
    (("run_task", {"cluster": "errors", "taskDefinition": "unknown", "launchType": "FARGATE", "networkConfiguration": "own"},
      "ClientException"), "TaskDefinition not found."),
    (("run_task", {"cluster": "errors", "taskDefinition": "inactive:1", "launchType": "FARGATE", "networkConfiguration": "own"},
      "ClientException"), "TaskDefinition is inactive"),
    (("run_task", {"cluster": "errors", "taskDefinition": "good", "launchType": "FARGATE"}, "InvalidParameterException"),
     "Network Configuration must be provided when networkMode 'awsvpc' is specified."),
    (run(launchType="EC2", taskDefinition="bridged"), "Network Configuration is not valid for the given networkMode of this task definition."),
    (wrong("run_task", cluster="errors", taskDefinition="bridged"), "No Container Instances were found in your cluster."),
    (run(launchType="EC2"), "No Container Instances were found in your cluster."),
    (run(capacityProviderStrategy=[{"capacityProvider": "FARGATE"}]),
     "Specify either Launch Type or Capacity Provider Strategy, but not both."),
    (run(overrides={"containerOverrides": [{"name": "x"}]}), "Override for container named x is not a container in the TaskDefinition."),
    (run(networkConfiguration={"awsvpcConfiguration": {"subnets": []}}), "subnets can not be empty."),
    (run(networkConfiguration={"awsvpcConfiguration": {"subnets": ["subnet-x"]}}),
     "Error retrieving subnet information for [subnet-x]: The subnet ID 'subnet-x' does not exist (ErrorCode: InvalidSubnetID.NotFound)"),
    (run(platformVersion="1.4")[:2] + ("PlatformUnknownException",), "The specified platform does not exist."),
    (run(launchType="SPACESHIP"), "launch type should be one of [EC2,FARGATE,EXTERNAL"),
    (wrong("stop_task", cluster="errors", task=UUID), "The referenced task was not found."),
    (wrong("stop_task", cluster="errors", task="word"), "task length should be one of [32,36]"),
    (wrong("describe_tasks", cluster="errors", tasks=[]), "Tasks cannot be empty."),
    (wrong("stop_task", task=f"arn:aws:ecs:us-east-1:000000000000:task/errors/{UUID}"),
     "Invalid identifier: Identifier is for cluster errors. Your cluster is default"),
    (wrong("list_tasks", cluster="errors", nextToken="not a token"), "Invalid token"),
    # services
    (wrong("describe_services", cluster="errors", services=[]), "Services cannot be empty."),
    (wrong("describe_services", cluster="errors", services=["s"] * 11), "service names can have at most 10 items."),
    (update(service="unknown")[:2] + ("ServiceNotFoundException",), "Service not found."),
    (update(service="gone", desiredCount=1)[:2] + ("ServiceNotActiveException",), "Service was not ACTIVE."),
    (("delete_service", {"cluster": "errors", "service": "unknown"}, "ServiceNotFoundException"), "Service not found."),
    (wrong("delete_service", cluster="errors", service="kept"), "The service cannot be stopped while it is scaled above 0."),
    (create(serviceName="kept"), "Creation of service was not idempotent."),
    (create(taskDefinition="unknown")[:2] + ("ClientException",), "TaskDefinition not found."),
    (create(loadBalancers=[{"targetGroupArn": "arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/t/1", "containerName": "c",
                            "containerPort": 80}]), "loadBalancers are not served"),
    (create(serviceRegistries=[{"registryArn": "arn:aws:servicediscovery:us-east-1:000000000000:service/s"}]), "The service registry arn:aws:servicediscovery:us-east-1:000000000000:service/s was not found."),
    (create(schedulingStrategy="DAEMON", desiredCount=1),
     "The daemon scheduling strategy does not support a desired count for services. Remove the desired count value and try again"),
    (create(launchType="FARGATE", capacityProviderStrategy=[{"capacityProvider": "FARGATE", "weight": 1}]),
     "Specify either Launch Type or Capacity Provider Strategy, but not both."),
    # tags
    (wrong("tag_resource", resourceArn="arn:aws:ecs:us-east-1:000000000000:cluster/errors", tags=[{"key": "aws:x", "value": "v"}]), ""),
    (wrong("tag_resource", resourceArn="arn:aws:ecs:us-east-1:000000000000:service/kept", tags=[{"key": "k", "value": "v"}]),
     "Long arn format must be used for tagging operations"),
]


@pytest.mark.parametrize("call,text", TABLE, ids=[f"{c[0]}-{i}" for i, (c, _) in enumerate(TABLE)])
def test_error(errors, call, text):
    operation, arguments, types = call
    if arguments.get("networkConfiguration") == "own":
        arguments = arguments | {"networkConfiguration": errors.network()}
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        getattr(errors.client("ecs"), operation)(**arguments)
    error = caught.value.response
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert error["Error"]["Code"] in types.split(",")
    assert text in error["Error"]["Message"]
    assert text.endswith("[") or not text.endswith((".", "idle")) or error["Error"]["Message"].strip() == text


def test_an_account_of_somebody_else(errors):
    with pytest.raises(botocore.exceptions.ClientError, match="AccountIDs mismatch"):
        errors.client("ecs").list_tasks(cluster="arn:aws:ecs:us-east-1:999999999999:cluster/errors")


def test_what_is_missing_is_a_failure_and_not_an_error(errors):
    ecs = errors.client("ecs")
    for answer in (ecs.describe_clusters(clusters=["nowhere"]), ecs.describe_services(cluster="errors", services=["nothing"]),
                   ecs.describe_tasks(cluster="errors", tasks=[UUID])):
        assert [f["reason"] for f in answer["failures"]] == ["MISSING"]
        assert answer["failures"][0]["arn"].startswith("arn:aws:ecs:us-east-1:000000000000:")


def test_an_operation_that_is_not_served_says_so(errors):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        errors.client("ecs").create_task_set(service="kept", cluster="errors", taskDefinition="good")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert "CreateTaskSet" in caught.value.response["Error"]["Message"]


def test_a_service_that_is_not_ours_says_so(errors):
    for service, call in (("sqs", lambda c: c.list_queues()), ("kms", lambda c: c.list_keys())):
        with pytest.raises(botocore.exceptions.ClientError) as caught:
            call(errors.client(service))
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
        assert service in caught.value.response["Error"]["Message"].lower()


# Signatures.


def failure(call):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call()
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def test_an_unknown_key(errors):
    code, text = failure(errors.client("ecs", aws_access_key_id="AKIDUNKNOWN000000000", aws_secret_access_key="x").list_clusters)
    assert (code, text) == ("UnrecognizedClientException", "The security token included in the request is invalid.")


def test_a_wrong_secret(errors):
    keys = errors.credentials | {"aws_secret_access_key": "wrong"}
    code, text = failure(errors.client("ecs", **keys).list_clusters)
    assert code == "InvalidSignatureException"
    assert text.startswith("The request signature we calculated does not match the signature you provided.")
    code, _ = failure(errors.client("sts", **keys).get_caller_identity)
    assert code == "SignatureDoesNotMatch"


def raw(world, service="ecs", sign_as=None, at=None, alter=None, target="AmazonEC2ContainerServiceV20141113.ListClusters", body=b"{}"):
    """One request signed by botocore, then altered; returns status and body."""
    request = botocore.awsrequest.AWSRequest("POST", world.endpoint + "/", data=body, headers={
        "X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1"})
    keys = botocore.credentials.Credentials(world.credentials["aws_access_key_id"], world.credentials["aws_secret_access_key"])
    signer = botocore.auth.SigV4Auth(keys, sign_as or service, world.region)
    if sign_as is not False:
        if at is None:
            signer.add_auth(request)
        else:
            _sign_at(signer, request, at)
    headers = dict(request.headers)
    if alter:
        alter(headers)
    connection = http.client.HTTPConnection(*world.address.split(":"), timeout=10)
    connection.request("POST", "/", body, headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    assert answer.getheader("x-amzn-RequestId")
    return answer.status, json.loads(text)


def _sign_at(signer, request, at):
    request.context["timestamp"] = at.strftime("%Y%m%dT%H%M%SZ")
    signer._modify_request_before_signing(request)  # add_auth() takes the clock's time and nothing else
    canonical = signer.canonical_request(request)
    signer._inject_signature_to_request(request, signer.signature(signer.string_to_sign(request, canonical), request))


def test_a_right_signature_is_taken(errors):
    assert raw(errors)[0] == 200


def test_clock_skew(errors):
    for minutes in (-20, 20):
        at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)
        status, body = raw(errors, at=at)
        assert (status, body["__type"]) == (400, "InvalidSignatureException")
        assert ("Signature expired: " if minutes < 0 else "Signature not yet current: ") in body["message"]
    at = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=4)
    assert raw(errors, at=at)[0] == 200


def test_a_wrong_scope(errors):
    status, body = raw(errors, sign_as="logs")
    assert (status, body["__type"]) == (400, "InvalidSignatureException")
    assert "Credential should be scoped to correct service: 'ecs'." in body["message"]


def test_no_signature(errors):
    status, body = raw(errors, sign_as=False)
    assert (status, body["__type"], body["message"]) == (400, "MissingAuthenticationTokenException", "Missing Authentication Token")


def test_a_body_changed_on_the_way(errors):
    def other_date(headers):
        headers["X-Amz-Target"] = "AmazonEC2ContainerServiceV20141113.ListTaskDefinitions"

    # The target is among the signed headers.
    assert raw(errors, alter=other_date)[1]["__type"] == "InvalidSignatureException"


def test_malformed_requests(errors):
    assert raw(errors, target="AmazonEC2ContainerServiceV20141113.Nothing")[1]["__type"] == "UnknownOperationException"
    assert raw(errors, body=b"{")[1]["__type"] == "SerializationException"
    assert raw(errors, body=b'{"maxResults":"three"}')[1]["__type"] == "SerializationException"
