"""Runs moto on a free port of loopback and does in it what its standard input says: a line of JSON for each call of boto3.

{"service": "ec2", "call": "run_instances", "with": {...}, "account": "222222222222"} is answered with the call's answer as a line.
"""

import base64
import contextlib
import json
import logging
import sys

import boto3
from moto.server import ThreadedMotoServer

logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
with contextlib.redirect_stdout(sys.stderr):  # it announces itself
    server.start()
host, port = server.get_host_and_port()
endpoint = f"http://{host}:{port}"
print(json.dumps({"endpoint": endpoint}), flush=True)


def client(service, account, region):
    keys = {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "secret"}
    made = {"endpoint_url": endpoint, "region_name": region or "eu-west-1"}
    if account:
        sts = boto3.client("sts", **made, **keys)
        role = sts.assume_role(RoleArn=f"arn:aws:iam::{account}:role/LestradeRead", RoleSessionName="test")["Credentials"]
        keys = {
            "aws_access_key_id": role["AccessKeyId"],
            "aws_secret_access_key": role["SecretAccessKey"],
            "aws_session_token": role["SessionToken"],
        }
    return boto3.client(service, **made, **keys)


def unpacked(value):
    """Bytes are written as {"base64": "..."}."""
    if isinstance(value, dict):
        if set(value) == {"base64"}:
            return base64.b64decode(value["base64"])
        return {key: unpacked(item) for key, item in value.items()}
    if isinstance(value, list):
        return [unpacked(item) for item in value]
    return value


for line in sys.stdin:
    asked = json.loads(line)
    try:
        made = client(asked["service"], asked.get("account"), asked.get("region"))
        answer = getattr(made, asked["call"])(**unpacked(asked["with"]))
        answer.pop("ResponseMetadata", None)
    except Exception as error:  # whatever it is, the test is told
        answer = {"error": str(error)}
    print(json.dumps(answer, default=str), flush=True)
server.stop()
