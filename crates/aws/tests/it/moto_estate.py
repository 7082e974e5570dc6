"""Starts moto with a small estate, prints what is in it as a line of JSON, and serves until its standard input ends."""

import io
import json
import sys
import zipfile

from moto_server import client, endpoint, server

ec2 = client("ec2")
vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
table = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["RouteTables"][0]["RouteTableId"]
ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
group = ec2.create_security_group(GroupName="web", Description="web", VpcId=vpc)["GroupId"]
ec2.authorize_security_group_ingress(GroupId=group, IpProtocol="tcp", FromPort=22, ToPort=22, CidrIp="0.0.0.0/0")
tags = [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "a & b <c>"}]}]
image = ec2.describe_images()["Images"][0]["ImageId"]


def launch(count):
    run = ec2.run_instances(ImageId=image, MinCount=count, MaxCount=count, SecurityGroupIds=[group], TagSpecifications=tags)
    return sorted(instance["InstanceId"] for instance in run["Instances"])


instances = sorted(launch(1) + launch(3) + launch(4))
ec2.terminate_instances(InstanceIds=launch(1))
address = ec2.allocate_address(Domain="vpc")
ec2.associate_address(AllocationId=address["AllocationId"], InstanceId=instances[0])

ecr = client("ecr")
ecr.create_repository(repositoryName="app")
config = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": "sha256:" + "0" * 64, "size": 2}
manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": []}
pushed = ecr.put_image(repositoryName="app", imageManifest=json.dumps(manifest), imageTag="one")["image"]["imageId"]["imageDigest"]

iam = client("iam")
role = iam.create_role(RoleName="run", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
packed = io.BytesIO()
with zipfile.ZipFile(packed, "w") as archive:
    archive.writestr("main.py", "def handler(event, context): return 1")
client("lambda").create_function(
    FunctionName="greet",
    Runtime="python3.12",
    Role=role,
    Handler="main.handler",
    Code={"ZipFile": packed.getvalue()},
    Tags={"team": "blue"},
    Environment={"Variables": {"TOKEN": "a secret"}},
)

ecs = client("ecs")
cluster = ecs.create_cluster(clusterName="shop")["cluster"]["clusterArn"]
ecs.create_cluster(clusterName="idle")
container = {"name": "web", "image": "r.example/web@sha256:" + "a" * 64, "memory": 64}
ecs.register_task_definition(family="web", containerDefinitions=[container])
for _ in range(11):
    ecs.run_task(cluster="shop", taskDefinition="web", launchType="FARGATE", count=10)

world = {"cluster": cluster, "endpoint": endpoint, "instances": instances, "group": group, "image": pushed}
print(json.dumps(world), flush=True)
sys.stdin.read()
server.stop()
