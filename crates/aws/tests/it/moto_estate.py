"""Starts moto with a small estate, prints what is in it as a line of JSON, and serves until its standard input ends."""

import contextlib
import json
import logging
import sys

import boto3
from moto.server import ThreadedMotoServer

logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
with contextlib.redirect_stdout(sys.stderr):  # it announces itself
    server.start()
host, port = server.get_host_and_port()
endpoint = f"http://{host}:{port}"

ec2 = boto3.client(
    "ec2", endpoint_url=endpoint, region_name="eu-west-1", aws_access_key_id="AKIDEXAMPLE", aws_secret_access_key="secret"
)
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
