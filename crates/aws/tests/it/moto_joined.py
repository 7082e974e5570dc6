"""Starts moto with two VPCs that a transit gateway joins, a rule that names a group over it, and two classic load balancers; prints what is
in it as a line of JSON. Each line that it is asked forbids groups over the transit gateway."""

import json
import sys

from moto_server import client, endpoint, server

ec2 = client("ec2")
vpcs = [ec2.create_vpc(CidrBlock=f"10.{number}.0.0/16")["Vpc"]["VpcId"] for number in (1, 2)]
subnets = [ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.{number}.1.0/24")["Subnet"]["SubnetId"] for number, vpc in enumerate(vpcs, 1)]
groups = [ec2.create_security_group(GroupName=f"of-{vpc}", Description="one", VpcId=vpc)["GroupId"] for vpc in vpcs]
ec2.authorize_security_group_ingress(
    GroupId=groups[0],
    IpPermissions=[{"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "UserIdGroupPairs": [{"GroupId": groups[1]}]}],
)
options = {"SecurityGroupReferencingSupport": "enable"}
gateway = ec2.create_transit_gateway(Options=options)["TransitGateway"]["TransitGatewayId"]
for vpc, subnet in zip(vpcs, subnets):
    ec2.create_transit_gateway_vpc_attachment(TransitGatewayId=gateway, VpcId=vpc, SubnetIds=[subnet], Options=options)
elb = client("elb")
for name in ("keeps-to-its-zone", "crosses-zones"):
    listener = {"Protocol": "tcp", "LoadBalancerPort": 80, "InstancePort": 80}
    elb.create_load_balancer(LoadBalancerName=name, Listeners=[listener], Subnets=[subnets[0]])
elb.modify_load_balancer_attributes(
    LoadBalancerName="crosses-zones", LoadBalancerAttributes={"CrossZoneLoadBalancing": {"Enabled": True}}
)

world = {"endpoint": endpoint, "gateway": gateway}
print(json.dumps(world), flush=True)
for _ in sys.stdin:
    ec2.modify_transit_gateway(TransitGatewayId=gateway, Options={"SecurityGroupReferencingSupport": "disable"})
    print(json.dumps(ec2.describe_transit_gateways()["TransitGateways"][0]["Options"]), flush=True)
server.stop()
