"""Starts moto with a small estate, prints what is in it as a line of JSON, and serves until its standard input ends."""

import json
import sys

from moto_server import client, endpoint, server

ec2 = client("ec2")
vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
group = ec2.create_security_group(GroupName="web", Description="web", VpcId=vpc)["GroupId"]
ec2.authorize_security_group_ingress(GroupId=group, IpProtocol="tcp", FromPort=22, ToPort=22, CidrIp="0.0.0.0/0")
tags = [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "a & b <c>"}]}]
image = ec2.describe_images()["Images"][0]["ImageId"]


def launch(count):
    run = ec2.run_instances(ImageId=image, MinCount=count, MaxCount=count, SecurityGroupIds=[group], TagSpecifications=tags)
    return sorted(instance["InstanceId"] for instance in run["Instances"])


# More than a page of five, and one that is gone.
instances = sorted(launch(1) + launch(3) + launch(4))
ec2.terminate_instances(InstanceIds=launch(1))

print(json.dumps({"endpoint": endpoint, "instances": instances, "group": group}), flush=True)
sys.stdin.read()
server.stop()
