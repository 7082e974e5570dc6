"""Starts moto with receivers of events, prints where they are, and for each line of input what they have received."""

import json
import re
import sys

from botocore.validate import ParamValidator
from moto_server import client, endpoint, server

sqs, sns, events, hub, secrets = (client(name) for name in ("sqs", "sns", "events", "securityhub", "secretsmanager"))


def queue(name, **attributes):
    url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


plain, _ = queue("plain")
fifo, _ = queue("ordered.fifo", FifoQueue="true")
of_topic, of_topic_arn = queue("of-topic")
of_bus, of_bus_arn = queue("of-bus")
topic = sns.create_topic(Name="findings")["TopicArn"]
sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=of_topic_arn)
events.put_rule(Name="all", EventPattern=json.dumps({"source": ["lestrade.inspector2"], "detail": {"severity": ["CRITICAL"]}}))
events.put_targets(Rule="all", Targets=[{"Id": "1", "Arn": of_bus_arn}])
hub.enable_security_hub()
secrets.create_secret(Name="slack-url", SecretString="https://hooks.example/T0")

print(json.dumps({"endpoint": endpoint, "plain": plain, "fifo": fifo, "topic": topic}), flush=True)


def bodies(url):
    found = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]).get("Messages"):
        for message in messages:
            found.append({"body": json.loads(message["Body"]), "attributes": message.get("MessageAttributes", {})})
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return found


def wrong(value, shape, path):
    """What the model's validator leaves unchecked: enumerations and patterns."""
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            if name in value:
                yield from wrong(value[name], member, f"{path}.{name}")
    elif shape.type_name == "list":
        for index, item in enumerate(value):
            yield from wrong(item, shape.member, f"{path}[{index}]")
    elif shape.type_name == "string":
        if getattr(shape, "enum", None) and value not in shape.enum:
            yield f"{path}: {value} is none of {shape.enum}"
        pattern = shape.metadata.get("pattern")
        if pattern and not re.search(pattern, value):
            yield f"{path}: {value!r} does not match {pattern}"


def findings():
    shape = hub.meta.service_model.operation_model("BatchImportFindings").input_shape
    kept = hub.get_findings()["Findings"]
    sent = [{k: v for k, v in finding.items() if k in shape.members["Findings"].member.members} for finding in kept]
    report = ParamValidator().validate({"Findings": sent}, shape)
    return kept, ([report.generate_report()] if report.has_errors() else []) + list(wrong({"Findings": sent}, shape, "input"))


for _ in sys.stdin:
    kept, mistakes = findings()
    answer = {"plain": bodies(plain), "fifo": bodies(fifo), "topic": bodies(of_topic), "bus": bodies(of_bus), "findings": kept, "mistakes": mistakes}
    print(json.dumps(answer, default=str), flush=True)
server.stop()
