"""AWS Cloud Map by boto3, and the tasks of ECS services in it, on a simulated agent."""
import zlib

import boto3
import pytest
from botocore.config import Config

from harness import container, network, register, wait_until


@pytest.fixture
def cloud_map(simulated):
    return client_of(simulated)


def client_of(world):
    return boto3.client("servicediscovery", endpoint_url=world.endpoint, region_name=world.region, **world.credentials,
                        config=Config(inject_host_prefix=False))


def finished(cloud_map, answer):
    seen = []

    def over():
        seen[:] = [cloud_map.get_operation(OperationId=answer["OperationId"])["Operation"]]
        return seen[0]["Status"] in ("SUCCESS", "FAIL")

    wait_until(over, "the operation ends")
    return seen[0]


def private_namespace(world, cloud_map, name, **more):
    vpc = world.client("ec2").describe_vpcs()["Vpcs"][0]["VpcId"]
    operation = finished(cloud_map, cloud_map.create_private_dns_namespace(Name=name, Vpc=vpc, **more))
    assert operation["Status"] == "SUCCESS", operation
    return operation["Targets"]["NAMESPACE"]


def test_a_namespace_a_service_and_an_instance(simulated, cloud_map):
    namespace = private_namespace(simulated, cloud_map, "life.local", Tags=[{"Key": "team", "Value": "x"}])
    arn = cloud_map.get_namespace(Id=namespace)["Namespace"]["Arn"]
    assert cloud_map.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "team", "Value": "x"}]
    service = cloud_map.create_service(Name="api", NamespaceId=namespace, DnsConfig={"DnsRecords": [{"Type": "A", "TTL": 10}]})["Service"]
    finished(cloud_map, cloud_map.register_instance(ServiceId=service["Id"], InstanceId="one", Attributes={"AWS_INSTANCE_IPV4": "10.0.0.1"}))
    found = cloud_map.discover_instances(NamespaceName="life.local", ServiceName="api")
    assert [i["InstanceId"] for i in found["Instances"]] == ["one"]
    revision = cloud_map.discover_instances_revision(NamespaceName="life.local", ServiceName="api")["InstancesRevision"]
    assert revision == found["InstancesRevision"]
    with pytest.raises(cloud_map.exceptions.ResourceInUse):
        cloud_map.delete_service(Id=service["Id"])
    finished(cloud_map, cloud_map.deregister_instance(ServiceId=service["Id"], InstanceId="one"))
    after = cloud_map.discover_instances_revision(NamespaceName="life.local", ServiceName="api")["InstancesRevision"]
    assert after > revision
    cloud_map.delete_service(Id=service["Id"])
    assert finished(cloud_map, cloud_map.delete_namespace(Id=namespace))["Type"] == "DELETE_NAMESPACE"
    with pytest.raises(cloud_map.exceptions.NamespaceNotFound) as error:
        cloud_map.get_namespace(Id=namespace)
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


def test_errors_carry_their_members(cloud_map):
    finished(cloud_map, cloud_map.create_http_namespace(Name="taken", CreatorRequestId="first"))
    with pytest.raises(cloud_map.exceptions.NamespaceAlreadyExists) as error:
        cloud_map.create_http_namespace(Name="taken", CreatorRequestId="second")
    assert error.value.response["NamespaceId"].startswith("ns-")
    assert error.value.response["CreatorRequestId"] == "first"


def test_what_was_made_survives_a_restart(own_simulated):
    cloud_map = client_of(own_simulated)
    namespace = private_namespace(own_simulated, cloud_map, "kept.local")
    service = cloud_map.create_service(Name="api", NamespaceId=namespace)["Service"]["Id"]
    answer = cloud_map.register_instance(ServiceId=service, InstanceId="one", Attributes={"a": "b"})
    before = cloud_map.discover_instances_revision(NamespaceName="kept.local", ServiceName="api")["InstancesRevision"]
    own_simulated.restart()  # kill -9
    cloud_map = client_of(own_simulated)
    assert finished(cloud_map, answer)["Status"] == "SUCCESS"
    found = cloud_map.discover_instances(NamespaceName="kept.local", ServiceName="api")
    assert [i["InstanceId"] for i in found["Instances"]] == ["one"]
    assert found["InstancesRevision"] >= before


def test_tasks_of_a_service_are_registered_while_they_run(simulated, cloud_map, ecs, cluster):
    namespace = private_namespace(simulated, cloud_map, f"{cluster.replace('_', '-')[:40].strip('-')}.local")
    registry = cloud_map.create_service(Name="web", NamespaceId=namespace, DnsConfig={"DnsRecords": [{"Type": "A", "TTL": 10}]},
                                        HealthCheckCustomConfig={"FailureThreshold": 1})["Service"]
    family = register(ecs, "registered", container("app"))
    service = ecs.create_service(cluster=cluster, serviceName="web", taskDefinition=family, desiredCount=2, launchType="FARGATE",
                                 serviceRegistries=[{"registryArn": registry["Arn"]}],
                                 networkConfiguration=network(simulated.client("ec2")))["service"]
    assert service["serviceRegistries"] == [{"registryArn": registry["Arn"]}]

    def instances():
        return {i["Id"]: i["Attributes"] for i in cloud_map.list_instances(ServiceId=registry["Id"])["Instances"]}

    wait_until(lambda: len(instances()) == 2, "both tasks are registered")
    tasks = {arn.rsplit("/", 1)[1] for arn in ecs.list_tasks(cluster=cluster)["taskArns"]}
    assert set(instances()) == tasks
    attributes = next(iter(instances().values()))
    assert attributes["ECS_CLUSTER_NAME"] == cluster and attributes["ECS_SERVICE_NAME"] == "web"
    assert attributes["AWS_INIT_HEALTH_STATUS"] == "HEALTHY" and attributes["AWS_INSTANCE_IPV4"].count(".") == 3
    assert attributes["AVAILABILITY_ZONE"].startswith(attributes["REGION"])
    gone = next(iter(tasks))
    ecs.stop_task(cluster=cluster, task=gone)
    wait_until(lambda: gone not in instances() and len(instances()) == 2, "another task takes its place")
    ecs.update_service(cluster=cluster, service="web", desiredCount=0)
    wait_until(lambda: not instances(), "nothing is registered any more")


@pytest.mark.parametrize("records, registry, message", [
    (["A"], {"containerPort": 80}, "do not require a value for 'containerPort'. Remove the value and retry."),
    (["SRV"], {}, "need port, or containerName and containerPort"),
    (["SRV"], {"port": 80, "containerName": "app", "containerPort": 80}, "not both"),
    (["SRV"], {"containerName": "other", "containerPort": 80}, "The container other does not exist in the task definition."),
])
def test_registries_that_are_refused(simulated, cloud_map, ecs, cluster, records, registry, message):
    namespace = private_namespace(simulated, cloud_map, f"r{zlib.crc32(message.encode())}.local")
    service = cloud_map.create_service(Name="web", NamespaceId=namespace,
                                       DnsConfig={"DnsRecords": [{"Type": t, "TTL": 10} for t in records]})["Service"]
    family = register(ecs, "refused", container("app"))
    with pytest.raises(ecs.exceptions.InvalidParameterException, match=message.replace("(", "\\(")):
        ecs.create_service(cluster=cluster, serviceName="web", taskDefinition=family, desiredCount=1, launchType="FARGATE",
                           serviceRegistries=[{"registryArn": service["Arn"]} | registry],
                           networkConfiguration=network(simulated.client("ec2")))
