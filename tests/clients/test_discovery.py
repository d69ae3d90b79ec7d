"""AWS Cloud Map by boto3, on a simulated agent."""
import boto3
import pytest
from botocore.config import Config

from harness import wait_until


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
