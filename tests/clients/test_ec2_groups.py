"""Security groups, network interfaces, ACLs, prefix lists and tags of EC2 by boto3, on a simulated agent."""

import botocore.exceptions
import pytest

ANYWHERE = [{"CidrIp": "0.0.0.0/0"}]


def failure(error):
    return error.value.response["Error"]["Code"], error.value.response["Error"]["Message"]


@pytest.fixture
def ec2(simulated):
    return simulated.client("ec2")


@pytest.fixture
def own_vpc(ec2):
    """A VPC with one subnet, gone afterwards with what is in it."""
    vpc = ec2.create_vpc(CidrBlock="10.77.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.77.1.0/24")["Subnet"]["SubnetId"]
    yield vpc, subnet
    here = [{"Name": "vpc-id", "Values": [vpc]}]
    for interface in ec2.describe_network_interfaces(Filters=here)["NetworkInterfaces"]:
        ec2.delete_network_interface(NetworkInterfaceId=interface["NetworkInterfaceId"])
    groups = [g for g in ec2.describe_security_groups(Filters=here)["SecurityGroups"] if g["GroupName"] != "default"]
    for group in groups:
        rules = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group["GroupId"]]}])
        for rule in rules["SecurityGroupRules"]:
            revoke = ec2.revoke_security_group_egress if rule["IsEgress"] else ec2.revoke_security_group_ingress
            revoke(GroupId=group["GroupId"], SecurityGroupRuleIds=[rule["SecurityGroupRuleId"]])
    for group in groups:
        ec2.delete_security_group(GroupId=group["GroupId"])
    ec2.delete_subnet(SubnetId=subnet)
    ec2.delete_vpc(VpcId=vpc)


def test_groups_that_name_each_other(ec2, own_vpc):
    vpc, _ = own_vpc
    web, db = (ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc)["GroupId"] for name in ("web", "db"))
    for group, peer, port in ((db, web, 5432), (web, db, 8080)):
        rules = ec2.authorize_security_group_ingress(
            GroupId=group, IpPermissions=[{"IpProtocol": "tcp", "FromPort": port, "ToPort": port,
                                           "UserIdGroupPairs": [{"GroupId": peer, "Description": "peer"}]}])["SecurityGroupRules"]
        assert [(r["GroupId"], r["ReferencedGroupInfo"]["GroupId"], r["Description"]) for r in rules] == [(group, peer, "peer")]
    with pytest.raises(botocore.exceptions.ClientError) as error:
        ec2.delete_security_group(GroupId=web)
    assert failure(error) == ("DependencyViolation", f"resource {web} has a dependent object")


def test_a_group_as_terraform_makes_it(ec2, own_vpc):
    """aws_security_group: the default rule is revoked, ::/0's refusal is tolerated, then its own rules come."""
    vpc, _ = own_vpc
    group = ec2.create_security_group(GroupName="inline", Description="Managed by Terraform", VpcId=vpc, TagSpecifications=[
        {"ResourceType": "security-group", "Tags": [{"Key": "Name", "Value": "inline"}]}])["GroupId"]
    assert ec2.get_waiter("security_group_exists").wait(GroupIds=[group]) is None
    everything = {"IpProtocol": "-1", "FromPort": 0, "ToPort": 0}
    ec2.revoke_security_group_egress(GroupId=group, IpPermissions=[everything | {"IpRanges": ANYWHERE}])
    with pytest.raises(botocore.exceptions.ClientError) as error:
        ec2.revoke_security_group_egress(GroupId=group, IpPermissions=[everything | {"Ipv6Ranges": [{"CidrIpv6": "::/0"}]}])
    assert failure(error)[0] == "InvalidPermission.NotFound"
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[
        {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "inside"}]}])
    ec2.authorize_security_group_egress(GroupId=group, IpPermissions=[everything | {"IpRanges": ANYWHERE}])
    seen = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]
    assert seen["Tags"] == [{"Key": "Name", "Value": "inline"}]
    assert seen["IpPermissions"] == [
        {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "inside"}],
         "Ipv6Ranges": [], "PrefixListIds": [], "UserIdGroupPairs": []}]
    assert seen["IpPermissionsEgress"] == [
        {"IpProtocol": "-1", "IpRanges": ANYWHERE, "Ipv6Ranges": [], "PrefixListIds": [], "UserIdGroupPairs": []}]


def test_rules_are_paged(ec2, own_vpc):
    vpc, _ = own_vpc
    group = ec2.create_security_group(GroupName="many", Description="d", VpcId=vpc)["GroupId"]
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[
        {"IpProtocol": "udp", "FromPort": port, "ToPort": port, "IpRanges": ANYWHERE} for port in range(20)])
    pages = list(ec2.get_paginator("describe_security_group_rules").paginate(
        Filters=[{"Name": "group-id", "Values": [group]}], PaginationConfig={"PageSize": 6}))
    ids = [rule["SecurityGroupRuleId"] for page in pages for rule in page["SecurityGroupRules"]]
    assert len(ids) == len(set(ids)) == 21 and len(pages) == 4 and "NextToken" not in pages[-1]


def test_interfaces_acls_lists_and_tags(ec2, own_vpc):
    vpc, subnet = own_vpc
    before = ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]["AvailableIpAddressCount"]
    interface = ec2.create_network_interface(SubnetId=subnet, Description="mine")["NetworkInterface"]["NetworkInterfaceId"]
    ec2.get_waiter("network_interface_available").wait(NetworkInterfaceIds=[interface])
    assert ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]["AvailableIpAddressCount"] == before - 1
    ec2.create_tags(Resources=[interface, vpc], Tags=[{"Key": "a", "Value": ""}])
    assert ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [interface]}])["Tags"] == [
        {"Key": "a", "ResourceId": interface, "ResourceType": "network-interface", "Value": ""}]
    ec2.delete_tags(Resources=[interface], Tags=[{"Key": "a", "Value": ""}])
    assert ec2.describe_network_interfaces(NetworkInterfaceIds=[interface])["NetworkInterfaces"][0]["TagSet"] == []

    acl = ec2.create_network_acl(VpcId=vpc)["NetworkAcl"]["NetworkAclId"]
    ec2.create_network_acl_entry(NetworkAclId=acl, RuleNumber=100, Protocol="tcp", RuleAction="allow", Egress=False,
                                 CidrBlock="10.0.0.0/8", PortRange={"From": 80, "To": 80})
    old = ec2.describe_network_acls(Filters=[{"Name": "association.subnet-id", "Values": [subnet]}])["NetworkAcls"][0]
    new = ec2.replace_network_acl_association(
        AssociationId=old["Associations"][0]["NetworkAclAssociationId"], NetworkAclId=acl)["NewAssociationId"]
    seen = ec2.describe_network_acls(NetworkAclIds=[acl])["NetworkAcls"][0]
    assert seen["Associations"] == [{"NetworkAclAssociationId": new, "NetworkAclId": acl, "SubnetId": subnet}]
    assert [e["RuleNumber"] for e in seen["Entries"]] == [100, 32767, 32767] and seen["Entries"][0]["Protocol"] == "6"
    ec2.replace_network_acl_association(AssociationId=new, NetworkAclId=old["NetworkAclId"])
    ec2.delete_network_acl(NetworkAclId=acl)

    made = ec2.create_managed_prefix_list(PrefixListName="l", MaxEntries=2, AddressFamily="IPv4",
                                          Entries=[{"Cidr": "10.0.0.0/8"}])["PrefixList"]["PrefixListId"]
    ec2.modify_managed_prefix_list(PrefixListId=made, CurrentVersion=1, AddEntries=[{"Cidr": "192.0.2.0/24"}])
    entries = ec2.get_managed_prefix_list_entries(PrefixListId=made)["Entries"]
    assert [e["Cidr"] for e in entries] == ["10.0.0.0/8", "192.0.2.0/24"]
    ec2.delete_managed_prefix_list(PrefixListId=made)
    region = ec2.meta.region_name
    assert [p["PrefixListName"] for p in ec2.describe_prefix_lists()["PrefixLists"]] == [
        f"com.amazonaws.{region}.dynamodb", f"com.amazonaws.{region}.s3"]


def test_what_an_account_may_have(ec2):
    assert ec2.meta.region_name in {region["RegionName"] for region in ec2.describe_regions()["Regions"]}
    attributes = {a["AttributeName"]: a["AttributeValues"][0]["AttributeValue"]
                  for a in ec2.describe_account_attributes()["AccountAttributes"]}
    assert attributes["supported-platforms"] == "VPC" and attributes["default-vpc"].startswith("vpc-")


def test_tasks_are_in_groups_of_their_own_vpc(ec2, ecs, cluster, simulated, own_vpc):
    vpc, subnet = own_vpc
    group = ec2.create_security_group(GroupName="tasks", Description="d", VpcId=vpc)["GroupId"]
    definition = simulated.define("grouped", {"name": "c"})
    where = {"awsvpcConfiguration": {"subnets": [subnet], "securityGroups": [group]}}
    task = ecs.run_task(cluster=cluster, taskDefinition=definition, launchType="FARGATE", networkConfiguration=where)["tasks"][0]
    ecs.get_waiter("tasks_running").wait(cluster=cluster, tasks=[task["taskArn"]], WaiterConfig={"Delay": 1})
    seen = ecs.describe_tasks(cluster=cluster, tasks=[task["taskArn"]])["tasks"][0]
    details = {d["name"]: d["value"] for d in seen["attachments"][0]["details"]}
    interface = ec2.describe_network_interfaces(Filters=[{"Name": "group-id", "Values": [group]}])["NetworkInterfaces"][0]
    assert interface["NetworkInterfaceId"] == details["networkInterfaceId"]
    assert (interface["SubnetId"], interface["VpcId"]) == (subnet, vpc) == (details["subnetId"], vpc)
    assert interface["PrivateIpAddress"].startswith("10.77.1.")
    assert interface["Description"].endswith(f":attachment/{seen['attachments'][0]['id']}")
    assert interface["RequesterManaged"] and "InstanceId" not in interface["Attachment"]
    with pytest.raises(botocore.exceptions.ClientError) as error:
        ec2.delete_security_group(GroupId=group)
    assert failure(error)[0] == "DependencyViolation"
    ecs.stop_task(cluster=cluster, task=task["taskArn"])
    ecs.get_waiter("tasks_stopped").wait(cluster=cluster, tasks=[task["taskArn"]], WaiterConfig={"Delay": 1})
    assert ec2.describe_network_interfaces(Filters=[{"Name": "group-id", "Values": [group]}])["NetworkInterfaces"] == []
