"""A network in moto, described as the AWS CLI would: a file for each call, in the folder that is named."""

import json
import pathlib
import sys

import boto3
from moto import mock_aws

folder = pathlib.Path(sys.argv[1])


def describe(client, call, **arguments):
    answer = getattr(client, call)(**arguments)
    answer.pop("ResponseMetadata", None)
    (folder / f"{call}.json").write_text(json.dumps(answer, default=str))


with mock_aws():
    session = {"region_name": "eu-west-1", "aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    ec2 = boto3.client("ec2", **session)
    vpc = ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"]
    public = ec2.create_subnet(VpcId=vpc, CidrBlock="10.20.1.0/24")["Subnet"]["SubnetId"]
    private = ec2.create_subnet(VpcId=vpc, CidrBlock="10.20.2.0/24")["Subnet"]["SubnetId"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    ec2.associate_route_table(RouteTableId=table, SubnetId=public)

    # A custom ACL, whose rules moto answers in the order in which they were made.
    acl = ec2.create_network_acl(VpcId=vpc)["NetworkAcl"]["NetworkAclId"]
    for number, egress, action, first, last in [(200, False, "allow", 0, 65535), (100, False, "deny", 8000, 9000), (100, True, "allow", 0, 65535)]:
        ec2.create_network_acl_entry(
            NetworkAclId=acl, RuleNumber=number, Protocol="6", RuleAction=action, Egress=egress, CidrBlock="0.0.0.0/0", PortRange={"From": first, "To": last}
        )
    association = next(
        association["NetworkAclAssociationId"]
        for known in ec2.describe_network_acls(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["NetworkAcls"]
        for association in known["Associations"]
        if association["SubnetId"] == public
    )
    ec2.replace_network_acl_association(AssociationId=association, NetworkAclId=acl)

    def group(name, *rules):
        made = ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc)["GroupId"]
        if rules:
            ec2.authorize_security_group_ingress(GroupId=made, IpPermissions=list(rules))
        return made

    def tcp(first, last, **source):
        return {"IpProtocol": "tcp", "FromPort": first, "ToPort": last, **source}

    everybody = {"IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    web = group("web", tcp(443, 443, **everybody), tcp(7990, 8080, **everybody), tcp(22, 22, IpRanges=[{"CidrIp": "198.51.100.0/24"}]))
    database = group("database", tcp(5432, 5432, UserIdGroupPairs=[{"GroupId": web}]), tcp(6379, 6379, **everybody))

    image = ec2.describe_images()["Images"][0]["ImageId"]
    for subnet, of, is_public in [(public, web, True), (private, database, False)]:
        ec2.run_instances(
            ImageId=image,
            MinCount=1,
            MaxCount=1,
            NetworkInterfaces=[{"DeviceIndex": 0, "SubnetId": subnet, "Groups": [of], "AssociatePublicIpAddress": is_public}],
            TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "web" if is_public else "database"}]}],
        )

    for call in [
        "describe_vpcs",
        "describe_subnets",
        "describe_route_tables",
        "describe_internet_gateways",
        "describe_network_acls",
        "describe_security_groups",
        "describe_security_group_rules",
        "describe_network_interfaces",
        "describe_instances",
        "describe_vpc_peering_connections",
        "describe_transit_gateway_attachments",
    ]:
        describe(ec2, call)
