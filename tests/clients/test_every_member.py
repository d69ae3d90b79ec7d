"""Every member that the manifest does not refuse is sent, described as it was sent, and described the same after a restart."""

import pytest

from berth_world import World, eventually
from every_member import LEFT_OUT, Service, differences, filled_members, leaves, members_of
from harness import Berth

ROLE = "arn:aws:iam::000000000000:role/role"
NAME = "every"
TAGS = [{"key": "k", "value": "v"}]
STRATEGY = [{"capacityProvider": "FARGATE", "weight": 1, "base": 1}]
READ_ONLY = ("List", "Describe", "Get", "Filter")

COMMON = {"tags": TAGS, "taskRoleArn": ROLE, "executionRoleArn": ROLE, "nextToken": LEFT_OUT, "clientToken": "token-1",
          "family": NAME, "clusterName": NAME, "cluster": NAME, "serviceName": NAME, "service": NAME,
          "capacityProviderStrategy": STRATEGY, "defaultCapacityProviderStrategy": STRATEGY, "capacityProviders": ["FARGATE", "FARGATE_SPOT"],
          "settings": [{"name": "containerInsights", "value": "enhanced"}]}

CONTAINER = {
    "containerDefinitions[].name": "first", "image": "busybox", "cpu": 128, "memory": 256, "memoryReservation": 128,
    "portMappings": [{"containerPort": 80, "hostPort": 80, "protocol": "tcp", "name": "web", "appProtocol": "http"}],
    "links": LEFT_OUT, "hostname": LEFT_OUT, "extraHosts": LEFT_OUT, "restartPolicy.restartAttemptPeriod": 60,
    "environmentFiles": [{"value": "arn:aws:s3:::bucket/file.env", "type": "s3"}],
    "mountPoints": [{"sourceVolume": "plain", "containerPath": "/data", "readOnly": True}],
    "volumesFrom": [{"sourceContainer": "second", "readOnly": True}], "dependsOn": [{"containerName": "second", "condition": "START"}],
    "secrets": [{"name": "SECRET", "valueFrom": "arn:aws:ssm:us-east-1:000000000000:parameter/p"}],
    "startTimeout": 30, "stopTimeout": 30, "user": "root", "workingDirectory": "/", "privileged": False,
    "ulimits": [{"name": "nofile", "softLimit": 1024, "hardLimit": 2048}], "devices": LEFT_OUT, "sharedMemorySize": LEFT_OUT, "maxSwap": LEFT_OUT,
    "swappiness": LEFT_OUT, "capabilities": {"add": ["SYS_PTRACE"], "drop": ["CHOWN"]},
    "tmpfs": [{"containerPath": "/tmp", "size": 16, "mountOptions": ["noexec"]}],
    "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "g", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "p"},
                         "secretOptions": [{"name": "o", "valueFrom": "arn:aws:ssm:us-east-1:000000000000:parameter/p"}]},
    "healthCheck": {"command": ["CMD-SHELL", "true"], "interval": 10, "timeout": 5, "retries": 2, "startPeriod": 10},
    "systemControls": [{"namespace": "net.core.somaxconn", "value": "1024"}], "resourceRequirements": LEFT_OUT,
    "firelensConfiguration": LEFT_OUT, "credentialSpecs": LEFT_OUT, "dockerSecurityOptions": LEFT_OUT, "versionConsistency": "enabled",
    "repositoryCredentials": {"credentialsParameter": "arn:aws:secretsmanager:us-east-1:000000000000:secret:s-AbCdEf"},
    "disableNetworking": LEFT_OUT, "dnsServers": LEFT_OUT, "dnsSearchDomains": LEFT_OUT, "interactive": False, "pseudoTerminal": False,
}
FARGATE = COMMON | CONTAINER | {
    "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "RegisterTaskDefinition.cpu": "256", "RegisterTaskDefinition.memory": "512",
    "pidMode": "task", "ipcMode": LEFT_OUT, "placementConstraints": LEFT_OUT, "inferenceAccelerators": LEFT_OUT,
    "proxyConfiguration": {"type": "APPMESH", "containerName": "second", "properties": [{"name": "AppPorts", "value": "80"}]},
    "ephemeralStorage": {"sizeInGiB": 30}, "runtimePlatform": {"cpuArchitecture": "X86_64", "operatingSystemFamily": "LINUX"},
    "volumes": [{"name": "plain", "host": {}, "configuredAtLaunch": False}],
}
# What Fargate or awsvpc exclude.
EC2 = FARGATE | {
    "networkMode": "bridge", "requiresCompatibilities": ["EC2"], "links": ["second:alias"], "hostname": "host",
    "extraHosts": [{"hostname": "other", "ipAddress": "10.0.0.1"}], "dnsServers": ["10.0.0.2"], "dnsSearchDomains": ["example.com"],
    "devices": [{"hostPath": "/dev/null", "containerPath": "/dev/nothing", "permissions": ["read"]}], "sharedMemorySize": 64, "maxSwap": 128,
    "swappiness": 10, "dockerSecurityOptions": ["no-new-privileges"], "privileged": True, "interactive": True, "pseudoTerminal": True,
    "disableNetworking": True, "ipcMode": "none", "pidMode": "task", "ephemeralStorage": LEFT_OUT, "proxyConfiguration": LEFT_OUT,
    "placementConstraints": [{"type": "memberOf", "expression": "attribute:ecs.os-type == linux"}],
    "resourceRequirements": [{"type": "GPU", "value": "1", "sharingStrategy": {"nvidiaMps": {"memory": 1, "maxComputePercent": 50}}}],
    "credentialSpecs": ["credentialspecdomainless:arn:aws:s3:::bucket/spec"],
    "firelensConfiguration": {"type": "fluentbit", "options": {"enable-ecs-log-metadata": "true"}},
    "inferenceAccelerators": [{"deviceName": "device", "deviceType": "eia1.medium"}],
    "portMappings": [{"containerPortRange": "8000-8010", "protocol": "udp"}, {"containerPort": 81, "hostPort": 8081}],
    "volumes": [
        {"name": "plain", "host": {"sourcePath": "/srv"}},
        {"name": "docker", "dockerVolumeConfiguration": {"scope": "shared", "autoprovision": True, "driver": "local", "driverOpts": {"a": "b"},
                                                          "labels": {"c": "d"}}},
        {"name": "efs", "efsVolumeConfiguration": {
            "fileSystemId": "fs-1", "rootDirectory": "/", "transitEncryption": "ENABLED", "transitEncryptionPort": 2049,
            "authorizationConfig": {"accessPointId": "fsap-1", "iam": "ENABLED"}}},
        {"name": "s3", "s3filesVolumeConfiguration": {
            "fileSystemArn": "arn:aws:s3files:us-east-1:000000000000:file-system/fs-1", "rootDirectory": "/", "transitEncryptionPort": 2049,
            "accessPointArn": "arn:aws:s3files:us-east-1:000000000000:file-system/fs-1/access-point/a"}},
        {"name": "fsx", "fsxWindowsFileServerVolumeConfiguration": {
            "fileSystemId": "fs-2", "rootDirectory": "d", "authorizationConfig": {
                "credentialsParameter": "arn:aws:secretsmanager:us-east-1:000000000000:secret:s", "domain": "example.com"}}}],
}


@pytest.fixture(scope="module")
def world():
    with Berth("--memory-overcommit", "1000", agent="simulated") as berth:
        berth.client("ecs").create_cluster(clusterName="default")
        yield berth


@pytest.fixture(scope="module")
def sent():
    """(structure, member) of everything that a served call carried and that was answered."""
    return {"ecs": set(), "logs": set()}


@pytest.fixture
def ecs(world, sent):
    world.ecs = recording(world, "ecs", sent)  # it goes on after a restart: the port stays
    return world.ecs


def recording(world, name, sent):
    client = world.client(name)

    def answered(http_response, parsed, model, context, **_):
        if http_response.status_code == 200:
            sent[name].update(filled_members(model.input_shape, context["every_member_sent"]))

    def keep(params, model, context, **_):
        context["every_member_sent"] = params

    client.meta.events.register("provide-client-params.*.*", lambda params, model, context, **_: keep(params, model, context))
    client.meta.events.register("after-call.*.*", answered)
    return client


def filled(operation, hints):
    service = Service("ecs")
    return service.fill(service.model.operation_model(operation).input_shape, hints, operation)


def same_after_restart(world, describe):
    before = describe(world.ecs)
    world.restart()
    after = describe(world.ecs)
    assert after == before
    return after


def second_container():
    return {"name": "second", "image": "busybox", "cpu": 64, "memory": 128, "memoryReservation": 64}


@pytest.mark.parametrize("hints", [FARGATE, EC2], ids=["fargate", "ec2"])
def test_task_definitions(world, ecs, hints):
    arguments = filled("RegisterTaskDefinition", hints)
    arguments["containerDefinitions"].append(second_container())
    if hints is EC2:
        arguments["containerDefinitions"][0]["dependsOn"] = [{"containerName": "second", "condition": "START"}]
    answer = ecs.register_task_definition(**arguments)
    name = f"{NAME}:{answer['taskDefinition']['revision']}"

    def describe(client):
        answer = client.describe_task_definition(taskDefinition=name, include=["TAGS"])
        return answer["taskDefinition"], answer["tags"]

    definition, tags = same_after_restart(world, describe)
    arguments.pop("tags")
    assert not differences(arguments, definition)
    assert tags == TAGS


def test_clusters(world, ecs):
    logging = {"cloudWatchLogGroupName": "g", "cloudWatchEncryptionEnabled": True, "s3BucketName": "b", "s3EncryptionEnabled": True,
               "s3KeyPrefix": "p"}
    hints = COMMON | {"executeCommandConfiguration": {"kmsKeyId": "key", "logging": "OVERRIDE", "logConfiguration": logging},
                      "namespace": "arn:aws:servicediscovery:us-east-1:000000000000:namespace/ns-1"}
    arguments = filled("CreateCluster", hints)
    ecs.create_cluster(**arguments)

    def describe(client):
        return client.describe_clusters(clusters=[NAME], include=["TAGS", "SETTINGS", "CONFIGURATIONS", "ATTACHMENTS", "STATISTICS"])["clusters"][0]

    seen = same_after_restart(world, describe)
    arguments.pop("serviceConnectDefaults")
    assert not differences(arguments, seen)
    assert seen["serviceConnectDefaults"]["namespace"] == hints["namespace"]
    updated = filled("UpdateCluster", hints | {"settings": [{"name": "containerInsights", "value": "disabled"}], "logging": "NONE",
                                                "executeCommandConfiguration": {"logging": "NONE"},
                                                "namespace": "arn:aws:servicediscovery:us-east-1:000000000000:namespace/ns-2"})
    ecs.update_cluster(**updated)
    seen = same_after_restart(world, describe)
    updated.pop("cluster")
    assert not differences(updated, seen)
    ecs.update_cluster_settings(cluster=NAME, settings=COMMON["settings"])
    assert describe(ecs)["settings"] == COMMON["settings"]
    described = ecs.describe_capacity_providers(capacityProviders=["FARGATE"], cluster=NAME, include=["TAGS"], maxResults=10)
    assert [p["name"] for p in described["capacityProviders"]] == ["FARGATE"]
    assert ecs.list_container_instances(cluster=NAME, filter="attribute:ecs.os-type == linux", status="ACTIVE",
                                        maxResults=10)["containerInstanceArns"] == []
    providers = filled("PutClusterCapacityProviders", COMMON | {
        "capacityProviders": ["FARGATE_SPOT", "FARGATE"],
        "defaultCapacityProviderStrategy": [{"capacityProvider": "FARGATE_SPOT", "weight": 2, "base": 3}]})
    ecs.put_cluster_capacity_providers(**providers)
    providers.pop("cluster")
    assert not differences(providers, same_after_restart(world, describe))


CONNECT = {
    "enabled": True, "namespace": "ns", "services": [{
        "portName": "web", "discoveryName": "web", "ingressPortOverride": 8080,
        "clientAliases": [{"port": 80, "dnsName": "web", "testTrafficRules": {"header": {"name": "h", "value": {"exact": "v"}}}}],
        "timeout": {"idleTimeoutSeconds": 10, "perRequestTimeoutSeconds": 5},
        "tls": {"issuerCertificateAuthority": {"awsPcaAuthorityArn": "arn:aws:acm-pca:us-east-1:000000000000:certificate-authority/a"},
                "kmsKey": "key", "roleArn": ROLE}}],
    "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "g", "awslogs-region": "us-east-1"},
                         "secretOptions": [{"name": "o", "valueFrom": "arn:aws:ssm:us-east-1:000000000000:parameter/p"}]},
    "accessLogConfiguration": {"format": "TEXT", "includeQueryParameters": "ENABLED"},
    "containerConfigurations": [{"logLevel": "info"}],
}
EBS = {"encrypted": True, "kmsKeyId": "key", "volumeType": "gp3", "sizeInGiB": 10, "snapshotId": "snap-1", "volumeInitializationRate": 100,
       "iops": 3000, "throughput": 125, "tagSpecifications": [{"resourceType": "volume", "tags": TAGS, "propagateTags": "SERVICE"}],
       "roleArn": ROLE, "filesystemType": "ext4"}


def network(world):
    group = world.client("ec2").describe_security_groups()["SecurityGroups"][0]["GroupId"]
    return {"awsvpcConfiguration": {"subnets": [world.subnet()], "securityGroups": [group], "assignPublicIp": "ENABLED"}}


def other_network(world):
    subnets = [subnet["SubnetId"] for subnet in world.client("ec2").describe_subnets()["Subnets"]]
    return {"awsvpcConfiguration": {"subnets": subnets[1:], "securityGroups": [], "assignPublicIp": "DISABLED"}}


def registries(world, name, container, port):
    """A service registry of its own: an HTTP service of Cloud Map."""
    client = world.client("servicediscovery")
    operation = client.create_http_namespace(Name=name)["OperationId"]
    eventually(lambda: client.get_operation(OperationId=operation)["Operation"]["Status"] == "SUCCESS", "the namespace is made")
    namespace = client.get_operation(OperationId=operation)["Operation"]["Targets"]["NAMESPACE"]
    arn = client.create_service(Name=name, NamespaceId=namespace)["Service"]["Arn"]
    return [{"registryArn": arn, "containerName": container, "containerPort": port}]


# What an update changes: nothing that it sends is what the service had, or a member that does nothing would not be seen.
def other_service_hints(world):
    return {
        "serviceRegistries": registries(world, "second", "d", 81),
        "taskDefinition": f"{NAME}-second", "networkConfiguration": other_network(world), "desiredCount": 2, "platformVersion": "1.3.0",
        "serviceConnectConfiguration": CONNECT | {"namespace": "other"}, "propagateTags": "TASK_DEFINITION", "healthCheckGracePeriodSeconds": 7,
        "availabilityZoneRebalancing": "DISABLED", "minimumHealthyPercent": 100, "maximumPercent": 200, "enableExecuteCommand": False,
        "enableECSManagedTags": False, "deploymentCircuitBreaker.enable": False, "deploymentCircuitBreaker.rollback": False,
        "capacityProviderStrategy": [{"capacityProvider": "FARGATE_SPOT", "weight": 3, "base": 2}]}


# Members of which one value is served.
OF_ONE_VALUE = {".cluster", ".deploymentController.type", ".deploymentConfiguration.strategy",
                ".deploymentConfiguration.deploymentCircuitBreaker.resetOnHealthyTask",
                ".deploymentConfiguration.bakeTimeInMinutes", ".deploymentConfiguration.alarms.alarmNames", ".deploymentConfiguration.alarms.enable",
                ".deploymentConfiguration.alarms.rollback"}


def service_hints(world):
    return COMMON | {
        "serviceRegistries": registries(world, "first", "c", 80),
        "taskDefinition": f"{NAME}-plain", "networkConfiguration": network(world), "desiredCount": 1, "platformVersion": "1.4.0",
        "CreateService.launchType": LEFT_OUT, "schedulingStrategy": "REPLICA", "serviceConnectConfiguration": CONNECT, "role": LEFT_OUT,
        "placementConstraints": LEFT_OUT, "placementStrategy": LEFT_OUT, "propagateTags": "SERVICE", "healthCheckGracePeriodSeconds": 5,
        "availabilityZoneRebalancing": "ENABLED", "monitoring": {"metricConfigurations": [{"metricNames": ["CPUUtilization"], "resolutionSeconds": 20}]},
        "minimumHealthyPercent": 50, "maximumPercent": 150, "volumeConfigurations": LEFT_OUT,
        "alarms": {"alarmNames": [], "enable": False, "rollback": False}}


def describe_service(name):
    def describe(client):
        seen = client.describe_services(cluster=NAME, services=[name], include=["TAGS"])["services"][0]
        return {k: v for k, v in seen.items() if k not in ("events", "deployments", "runningCount", "pendingCount")}
    return describe


def as_described(arguments):
    """Without what Describe calls otherwise, or shows in the deployment."""
    return {k: v for k, v in arguments.items()
           if k not in ("cluster", "service", "clientToken", "taskDefinition", "serviceConnectConfiguration", "role", "volumeConfigurations",
                        "monitoring", "forceNewDeployment")}


def primary_deployment(client, name):
    return client.describe_services(cluster=NAME, services=[name])["services"][0]["deployments"][0]


def test_services(world, ecs):
    for family, name, port in ((f"{NAME}-plain", "c", 80), (f"{NAME}-second", "d", 81)):
        ecs.register_task_definition(family=family, networkMode="awsvpc", requiresCompatibilities=["FARGATE"], cpu="256", memory="512",
                                     taskRoleArn=ROLE,
                                     containerDefinitions=[{"name": name, "image": "busybox", "portMappings": [{"containerPort": port, "name": "web"}]}])
    hints = service_hints(world)
    arguments = filled("CreateService", hints)
    ecs.create_service(**arguments)
    ecs.get_waiter("services_stable").wait(cluster=NAME, services=[NAME], WaiterConfig={"Delay": 1, "MaxAttempts": 20})
    seen = same_after_restart(world, describe_service(NAME))
    assert not differences(as_described(arguments), seen)
    assert not differences(CONNECT, primary_deployment(ecs, NAME)["serviceConnectConfiguration"])
    updated = filled("UpdateService", hints | other_service_hints(world))
    before = dict(leaves(arguments))
    assert {path for path, value in leaves(as_described(updated)) if before.get(path) == value} <= OF_ONE_VALUE
    ecs.update_service(**updated)
    seen = same_after_restart(world, describe_service(NAME))
    assert not differences(as_described(updated), seen)
    assert seen["taskDefinition"].endswith(f":task-definition/{NAME}-second:1")
    assert primary_deployment(ecs, NAME)["serviceConnectConfiguration"]["namespace"] == "other"


def test_what_services_exclude(world, ecs):
    """A launch type, a role, constraints and volumes."""
    ecs.register_task_definition(family=f"{NAME}-volume", networkMode="awsvpc", requiresCompatibilities=["FARGATE"], cpu="256", memory="512",
                                 containerDefinitions=[{"name": "c", "image": "busybox"}], volumes=[{"name": "v", "configuredAtLaunch": True}])
    volumes = [{"name": "v", "managedEBSVolume": EBS}]
    ecs.create_service(cluster=NAME, serviceName="other", taskDefinition=f"{NAME}-volume", launchType="FARGATE", desiredCount=0,
                       networkConfiguration=network(world), volumeConfigurations=volumes)
    assert same_after_restart(world, describe_service("other"))["launchType"] == "FARGATE"
    assert not differences(volumes, primary_deployment(ecs, "other")["volumeConfigurations"])
    volumes = [{"name": "v", "managedEBSVolume": EBS | {"sizeInGiB": 20}}]
    ecs.update_service(cluster=NAME, service="other", volumeConfigurations=volumes)
    same_after_restart(world, describe_service("other"))
    assert not differences(volumes, primary_deployment(ecs, "other")["volumeConfigurations"])
    ecs.register_task_definition(family=f"{NAME}-bridge", containerDefinitions=[{"name": "c", "image": "i", "memory": 16}])
    placed = {"placementConstraints": [{"type": "memberOf", "expression": "attribute:a == b"}], "placementStrategy": [{"type": "spread", "field": "host"}]}
    ecs.create_service(cluster=NAME, serviceName="placed", taskDefinition=f"{NAME}-bridge", desiredCount=0, launchType="EC2", role=ROLE, **placed)
    assert not differences(placed | {"roleArn": ROLE}, same_after_restart(world, describe_service("placed")))
    placed = {"placementConstraints": [{"type": "distinctInstance"}], "placementStrategy": [{"type": "binpack", "field": "memory"}]}
    ecs.update_service(cluster=NAME, service="placed", **placed)
    assert not differences(placed, same_after_restart(world, describe_service("placed")))
    assert ecs.list_services(cluster=NAME, launchType="EC2", schedulingStrategy="REPLICA", resourceManagementType="CUSTOMER",
                             maxResults=1)["serviceArns"]


def test_tasks(world, ecs):
    ecs.register_task_definition(family=f"{NAME}-task", networkMode="awsvpc", requiresCompatibilities=["FARGATE"], cpu="512", memory="1024",
                                 containerDefinitions=[{"name": "c", "image": "busybox"}])
    hints = COMMON | {
        "taskDefinition": f"{NAME}-task", "networkConfiguration": network(world), "RunTask.launchType": LEFT_OUT, "platformVersion": "1.4.0",
        "volumeConfigurations": LEFT_OUT, "placementConstraints": LEFT_OUT, "placementStrategy": LEFT_OUT, "startedBy": "somebody", "group": "some-group",
        "containerOverrides[].name": "c", "overrides.cpu": "256", "overrides.memory": "512", "ephemeralStorage": {"sizeInGiB": 40},
        "inferenceAcceleratorOverrides": LEFT_OUT, "propagateTags": "TASK_DEFINITION", "count": 1, "containerOverrides[].cpu": 10,
        "containerOverrides[].memory": 100, "containerOverrides[].memoryReservation": 50}
    arguments = filled("RunTask", hints)
    arn = ecs.run_task(**arguments)["tasks"][0]["taskArn"]
    ecs.get_waiter("tasks_running").wait(cluster=NAME, tasks=[arn], WaiterConfig={"Delay": 1, "MaxAttempts": 20})

    def describe(client):
        # A simulated machine ends with its daemon, so what it saw is not the same; what was asked is.
        seen = client.describe_tasks(cluster=NAME, tasks=[arn], include=["TAGS"])["tasks"][0]
        return {k: seen[k] for k in ("taskArn", "overrides", "group", "startedBy", "enableExecuteCommand", "platformVersion", "tags",
                                     "capacityProviderName", "cpu", "memory", "ephemeralStorage", "createdAt", "taskDefinitionArn")}

    seen = same_after_restart(world, describe)
    assert not differences({k: arguments[k] for k in ("overrides", "group", "startedBy", "enableExecuteCommand", "platformVersion")}, seen)
    assert {"key": "k", "value": "v"} in seen["tags"]
    again = ecs.run_task(**arguments)["tasks"][0]["taskArn"]
    assert again == arn, "the same client token is the same task, after a restart too"
    arn = ecs.run_task(
        cluster=NAME, taskDefinition=f"{NAME}-task", launchType="FARGATE", networkConfiguration=network(world),
        placementConstraints=[{"type": "memberOf", "expression": "attribute:a == b"}],
        placementStrategy=[{"type": "random", "field": "x"}])["tasks"][0]["taskArn"]
    ecs.stop_task(cluster=NAME, task=arn, reason="enough")
    ecs.get_waiter("tasks_stopped").wait(cluster=NAME, tasks=[arn], WaiterConfig={"Delay": 1, "MaxAttempts": 20})
    world.restart()
    assert ecs.describe_tasks(cluster=NAME, tasks=[arn])["tasks"][0]["stoppedReason"] == "enough"
    ecs.list_tasks(cluster=NAME, family=f"{NAME}-task", desiredStatus="STOPPED", launchType="FARGATE", maxResults=1)


def test_tokens_survive_a_restart(world, ecs):
    """Every paginated list of the service, a page a time, with a restart between the pages."""
    for number in range(3):
        ecs.create_cluster(clusterName=f"page-{number}")
        ecs.register_task_definition(family=f"page-{number}", containerDefinitions=[{"name": "c", "image": "i", "memory": 16}])
        ecs.create_service(cluster="page-0", serviceName=f"page-{number}", taskDefinition="page-0", desiredCount=0)
    calls = {"list_clusters": {}, "list_task_definitions": {"familyPrefix": "page-0", "status": "ACTIVE", "sort": "DESC"},
             "list_task_definition_families": {"familyPrefix": "page", "status": "ACTIVE"}, "list_services": {"cluster": "page-0"},
             "list_account_settings": {"effectiveSettings": True}}
    ecs.register_task_definition(family="page-0", containerDefinitions=[{"name": "c", "image": "i", "memory": 16}])
    firsts = {name: getattr(ecs, name)(maxResults=1, **more) for name, more in calls.items()}
    world.restart()
    for name, first in firsts.items():
        assert first.get("nextToken"), name
        key = next(k for k in first if k not in ("nextToken", "ResponseMetadata"))
        second = getattr(ecs, name)(maxResults=1, nextToken=first["nextToken"], **calls[name])
        assert second[key] and second[key] != first[key], name
        whole = [x for page in ecs.get_paginator(name).paginate(**calls[name]) for x in page[key]]
        assert whole[:2] == first[key] + second[key], name


def test_tags_and_account_settings(world, ecs):
    arn = ecs.describe_clusters(clusters=["default"])["clusters"][0]["clusterArn"]
    ecs.tag_resource(resourceArn=arn, tags=TAGS + [{"key": "gone", "value": "x"}])
    ecs.untag_resource(resourceArn=arn, tagKeys=["gone", "never"])
    ecs.put_account_setting_default(name="containerInsights", value="enabled")
    ecs.put_account_setting(name="defaultLogDriverMode", value="blocking", principalArn="arn:aws:iam::000000000000:root")
    world.restart()
    assert ecs.list_tags_for_resource(resourceArn=arn)["tags"] == TAGS
    seen = ecs.list_account_settings(name="defaultLogDriverMode", value="blocking", principalArn="arn:aws:iam::000000000000:root",
                                     effectiveSettings=True, maxResults=5)["settings"]
    assert [s["value"] for s in seen] == ["blocking"]


def test_ends(world, ecs):
    """Members of what deletes."""
    ecs.delete_service(cluster=NAME, service=NAME, force=True)
    arn = ecs.describe_task_definition(taskDefinition="page-1")["taskDefinition"]["taskDefinitionArn"]
    ecs.deregister_task_definition(taskDefinition=arn)
    assert not ecs.delete_task_definitions(taskDefinitions=[arn])["failures"]
    ecs.create_cluster(clusterName="last")
    ecs.delete_cluster(cluster="last")
    world.restart()
    assert ecs.describe_clusters(clusters=["last"])["clusters"][0]["status"] == "INACTIVE"


# Members that only make sense for what is not served, or that no request can hold beside what it needs.
NOT_SENT = {
    ("ListTasksRequest", "containerInstance"): "there are no container instances, so every value is refused as not found",
    ("ListTasksRequest", "startedBy"): "excludes the other filters; sent by the kill tests",
    ("ListTasksRequest", "serviceName"): "excludes the other filters; sent by the tests of services",
    ("ListTasksRequest", "nextToken"): "sent by the tests of tasks",
    ("ServiceRegistry", "port"): "excludes containerName and containerPort; sent by the tests of Cloud Map",
    ("DescribeCapacityProvidersRequest", "nextToken"): "there are two providers, and a page holds ten",
    ("ListContainerInstancesRequest", "nextToken"): "there are no instances, and so no second page",
}


def test_no_member_was_forgotten(sent):
    service = Service("ecs")
    wanted = set()
    for operation in service.operations():
        # What a task cannot have is kept with its definition; RunTask is where it is refused.
        refused = ("refused", "refused_at_run") if operation == "RunTask" else ("refused",)
        wanted.update(members_of(service, service.model.operation_model(operation).input_shape, refused=refused))
    forgotten = wanted - sent["ecs"] - set(NOT_SENT)
    assert not forgotten, "\n" + "\n".join(f"{shape}.{member}" for shape, member in sorted(forgotten))
    assert not set(NOT_SENT) & sent["ecs"]
