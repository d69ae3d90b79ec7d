"""VPCs and what ways lead out of them by boto3, with its waiters and paginators, on a simulated agent."""
import ipaddress

import botocore.exceptions
import pytest


def failure(error):
    return error.value.response["Error"]["Code"], error.value.response["Error"]["Message"]


@pytest.fixture
def ec2(own_simulated):
    return own_simulated.client("ec2")


def tags(resource, **pairs):
    return [{"ResourceType": resource, "Tags": [{"Key": key, "Value": value} for key, value in pairs.items()]}]


def make_network(ec2):
    """A VPC with a public and a private subnet, and an internet gateway that the public one goes out by."""
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16", TagSpecifications=tags("vpc", Name="net"))["Vpc"]
    assert vpc["State"] == "pending" and vpc["Tags"] == [{"Key": "Name", "Value": "net"}]
    ec2.get_waiter("vpc_available").wait(VpcIds=[vpc["VpcId"]], WaiterConfig={"Delay": 1, "MaxAttempts": 2})
    public = ec2.create_subnet(VpcId=vpc["VpcId"], CidrBlock="10.0.0.0/24", AvailabilityZone="us-east-1a")["Subnet"]
    private = ec2.create_subnet(VpcId=vpc["VpcId"], CidrBlock="10.0.1.0/24", AvailabilityZone="us-east-1b")["Subnet"]
    ec2.get_waiter("subnet_available").wait(SubnetIds=[public["SubnetId"], private["SubnetId"]], WaiterConfig={"Delay": 1, "MaxAttempts": 2})
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc["VpcId"])
    table = ec2.create_route_table(VpcId=vpc["VpcId"])["RouteTable"]["RouteTableId"]
    assert ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)["Return"] is True
    association = ec2.associate_route_table(RouteTableId=table, SubnetId=public["SubnetId"])["AssociationId"]
    return {"vpc": vpc["VpcId"], "public": public["SubnetId"], "private": private["SubnetId"], "gateway": gateway, "table": table,
            "association": association}


def test_the_default_vpc_has_what_it_has_on_aws(ec2):
    vpc = ec2.describe_vpcs(Filters=[{"Name": "isDefault", "Values": ["true"]}])["Vpcs"][0]
    assert vpc["Tags"] == [] and vpc["Ipv6CidrBlockAssociationSet"] == [] and vpc["OwnerId"]
    of_vpc = [{"Name": "vpc-id", "Values": [vpc["VpcId"]]}]
    assert {s["AvailabilityZone"] for s in ec2.describe_subnets(Filters=of_vpc)["Subnets"]} == {"us-east-1a", "us-east-1b", "us-east-1c"}
    table = ec2.describe_route_tables(Filters=of_vpc)["RouteTables"][0]
    assert [r["DestinationCidrBlock"] for r in table["Routes"]] == [vpc["CidrBlock"], "0.0.0.0/0"]
    assert table["PropagatingVgws"] == [] and table["Associations"][0]["Main"] is True
    gateway = ec2.describe_internet_gateways(Filters=[{"Name": "attachment.vpc-id", "Values": [vpc["VpcId"]]}])["InternetGateways"][0]
    assert gateway["Attachments"] == [{"State": "available", "VpcId": vpc["VpcId"]}]
    assert table["Routes"][1]["GatewayId"] == gateway["InternetGatewayId"]
    options = ec2.describe_dhcp_options(DhcpOptionsIds=[vpc["DhcpOptionsId"]])["DhcpOptions"][0]
    assert {c["Key"]: [v["Value"] for v in c["Values"]] for c in options["DhcpConfigurations"]} == {
        "domain-name": ["ec2.internal"], "domain-name-servers": ["AmazonProvidedDNS"]}


def test_a_nat_gateway_from_its_address_to_its_end(ec2):
    net = make_network(ec2)
    address = ec2.allocate_address(Domain="vpc", TagSpecifications=tags("elastic-ip", Name="nat"))
    assert address["Domain"] == "vpc" and ipaddress.ip_address(address["PublicIp"]) in ipaddress.ip_network("198.18.0.0/15")
    gateway = ec2.create_nat_gateway(SubnetId=net["public"], AllocationId=address["AllocationId"])["NatGateway"]
    assert gateway["State"] == "pending"
    name = gateway["NatGatewayId"]
    ec2.get_waiter("nat_gateway_available").wait(NatGatewayIds=[name], WaiterConfig={"Delay": 1, "MaxAttempts": 2})
    seen = ec2.describe_nat_gateways(Filter=[{"Name": "vpc-id", "Values": [net["vpc"]]}])["NatGateways"][0]
    assert seen["NatGatewayAddresses"][0]["PublicIp"] == address["PublicIp"]
    assert seen["NatGatewayAddresses"][0]["Status"] == "succeeded" and seen["NatGatewayAddresses"][0]["IsPrimary"] is True
    assert ec2.describe_subnets(SubnetIds=[net["public"]])["Subnets"][0]["AvailableIpAddressCount"] == 250
    associated = ec2.describe_addresses(AllocationIds=[address["AllocationId"]])["Addresses"][0]
    assert associated["NetworkInterfaceId"] == seen["NatGatewayAddresses"][0]["NetworkInterfaceId"]
    main = ec2.describe_route_tables(Filters=[{"Name": "association.main", "Values": ["true"]}, {"Name": "vpc-id", "Values": [net["vpc"]]}])
    main = main["RouteTables"][0]["RouteTableId"]
    ec2.create_route(RouteTableId=main, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=name)
    with pytest.raises(botocore.exceptions.ClientError) as error:
        ec2.release_address(AllocationId=address["AllocationId"])
    assert failure(error) == ("AuthFailure", "You do not have permission to access the specified resource.")
    with pytest.raises(botocore.exceptions.ClientError) as error:
        ec2.detach_internet_gateway(InternetGatewayId=net["gateway"], VpcId=net["vpc"])
    assert failure(error)[0] == "DependencyViolation"
    ec2.delete_nat_gateway(NatGatewayId=name)
    ec2.get_waiter("nat_gateway_deleted").wait(NatGatewayIds=[name], WaiterConfig={"Delay": 1, "MaxAttempts": 2})
    assert ec2.describe_route_tables(RouteTableIds=[main])["RouteTables"][0]["Routes"][1]["State"] == "blackhole"
    ec2.release_address(AllocationId=address["AllocationId"])
    assert ec2.describe_addresses()["Addresses"] == []


def test_everything_can_be_taken_down_again(ec2):
    net = make_network(ec2)
    with pytest.raises(botocore.exceptions.ClientError) as error:
        ec2.delete_vpc(VpcId=net["vpc"])
    assert failure(error) == ("DependencyViolation", f"The vpc '{net['vpc']}' has dependencies and cannot be deleted.")
    ec2.disassociate_route_table(AssociationId=net["association"])
    ec2.delete_route_table(RouteTableId=net["table"])
    ec2.detach_internet_gateway(InternetGatewayId=net["gateway"], VpcId=net["vpc"])
    ec2.delete_internet_gateway(InternetGatewayId=net["gateway"])
    for subnet in ("public", "private"):
        ec2.delete_subnet(SubnetId=net[subnet])
    ec2.delete_vpc(VpcId=net["vpc"])
    assert len(ec2.describe_vpcs()["Vpcs"]) == 1


def test_pages_and_a_restart_between_them(own_simulated, ec2):
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    made = {ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{i}.0/24")["Subnet"]["SubnetId"] for i in range(12)}
    of_vpc = [{"Name": "vpc-id", "Values": [vpc]}]
    pages = list(ec2.get_paginator("describe_subnets").paginate(Filters=of_vpc, PaginationConfig={"PageSize": 5}))
    assert [len(page["Subnets"]) for page in pages] == [5, 5, 2] and "NextToken" not in pages[-1]
    first = ec2.describe_subnets(Filters=of_vpc, MaxResults=10)
    own_simulated.restart()
    second = ec2.describe_subnets(Filters=of_vpc, MaxResults=10, NextToken=first["NextToken"])
    assert {s["SubnetId"] for s in first["Subnets"] + second["Subnets"]} == made
    for name, key in (("describe_vpcs", "Vpcs"), ("describe_route_tables", "RouteTables"), ("describe_internet_gateways", "InternetGateways"),
                      ("describe_dhcp_options", "DhcpOptions"), ("describe_nat_gateways", "NatGateways")):
        assert [page[key] for page in ec2.get_paginator(name).paginate()] != [], name


def test_what_is_not_served_says_so(ec2):
    with pytest.raises(botocore.exceptions.ClientError) as error:
        ec2.describe_addresses_attribute()
    assert failure(error) == ("InvalidAction", "The action DescribeAddressesAttribute is not valid for this web service.")
    with pytest.raises(botocore.exceptions.ClientError) as error:
        ec2.create_vpc(CidrBlock="10.0.0.0/16", AmazonProvidedIpv6CidrBlock=True)
    assert failure(error) == ("InvalidParameterCombination", "Berth's VPCs have IPv4 addresses only.")
    for call in (lambda: ec2.create_flow_logs(ResourceIds=["vpc-1"], ResourceType="VPC", LogGroupName="x", DeliverLogsPermissionArn="x"),
                 lambda: ec2.create_vpc_peering_connection(VpcId="vpc-1", PeerVpcId="vpc-2"), lambda: ec2.create_transit_gateway()):
        with pytest.raises(botocore.exceptions.ClientError) as error:
            call()
        assert failure(error)[0] == "InvalidAction"
    with pytest.raises(botocore.exceptions.ClientError) as error:
        ec2.create_vpc(CidrBlock="10.0.0.0/16", DryRun=True)
    assert failure(error)[0] == "DryRunOperation" and error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412


def test_an_endpoint_has_its_routes_and_interfaces(ec2):
    net = make_network(ec2)
    service = "com.amazonaws.us-east-1.s3"
    assert service in ec2.describe_vpc_endpoint_services()["ServiceNames"]
    gateway = ec2.create_vpc_endpoint(VpcId=net["vpc"], ServiceName=service, RouteTableIds=[net["table"]])["VpcEndpoint"]
    assert gateway["State"] == "available" and gateway["VpcEndpointType"] == "Gateway" and gateway["NetworkInterfaceIds"] == []
    routes = ec2.describe_route_tables(RouteTableIds=[net["table"]])["RouteTables"][0]["Routes"]
    assert [r["DestinationPrefixListId"] for r in routes if r.get("GatewayId") == gateway["VpcEndpointId"]]
    made = ec2.create_vpc_endpoint(VpcId=net["vpc"], ServiceName="com.amazonaws.us-east-1.ecr.api", VpcEndpointType="Interface",
                                   SubnetIds=[net["private"]], PrivateDnsEnabled=False)["VpcEndpoint"]
    assert len(made["NetworkInterfaceIds"]) == 1 and made["Groups"][0]["GroupName"] == "default" and made["RouteTableIds"] == []
    gone = ec2.delete_vpc_endpoints(VpcEndpointIds=[gateway["VpcEndpointId"], made["VpcEndpointId"], "vpce-0"])
    assert [(u["ResourceId"], u["Error"]["Code"]) for u in gone["Unsuccessful"]] == [("vpce-0", "InvalidVpcEndpoint.NotFound")]
    assert ec2.describe_subnets(SubnetIds=[net["private"]])["Subnets"][0]["AvailableIpAddressCount"] == 251
