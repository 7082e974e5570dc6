"""Drives the inspector2 front with boto3 and the AWS CLI; every parsed answer is validated against botocore's output shapes."""

import http.client
import json
import os
import re
import subprocess
import sys
import time
from datetime import datetime
from urllib.parse import urlsplit

import boto3
from botocore import UNSIGNED
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from botocore.validate import ParamValidator

ENDPOINT = sys.argv[1]
REGION = "eu-west-1"
QUIRKS = {"GroupKey", "PackageManager"}  # the service itself answers values beside these enumerations
validated = 0


def client(key, secret=None, region=REGION, **config):
    return boto3.client(
        "inspector2",
        endpoint_url=ENDPOINT,
        region_name=region,
        aws_access_key_id=key,
        aws_secret_access_key=secret or f"secret of {key}",
        config=Config(retries={"max_attempts": 1}, **config),
    )


def walk(shape, value, path):
    """What ParamValidator does not check: enumerations and patterns."""
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            if name in value:
                walk(member, value[name], f"{path}.{name}")
    elif shape.type_name == "list":
        for i, item in enumerate(value):
            walk(shape.member, item, f"{path}[{i}]")
    elif shape.type_name == "map":
        for name, item in value.items():
            walk(shape.value, item, f"{path}.{name}")
    elif shape.type_name == "string":
        assert shape.name in QUIRKS or not shape.enum or value in shape.enum, f"{path}: {value} is not in {shape.enum}"
        pattern = shape.metadata.get("pattern")
        assert not pattern or re.search(pattern, value), f"{path}: {value} does not match {pattern}"


def conforms(parsed, model, http_response, **_):
    global validated
    if http_response.status_code < 300:
        body = {name: value for name, value in parsed.items() if name != "ResponseMetadata"}
        report = ParamValidator().validate(body, model.output_shape)
        assert not report.has_errors(), f"{model.name}: {report.generate_report()}"
        walk(model.output_shape, body, model.name)
        assert parsed["ResponseMetadata"]["RequestId"], model.name
        validated += 1


def refused(code, status, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        got = (error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"])
        assert got == (code, status), error.response
        return error.response
    raise AssertionError(f"{code} was expected")


admin = client("AKIDADMIN")
admin.meta.events.register("after-call.inspector2", conforms)
equals = lambda value: [{"comparison": "EQUALS", "value": value}]

# Findings: pages of every size join to the same whole.
for size in (1, 10, 100):
    pages = admin.get_paginator("list_findings").paginate(
        filterCriteria={"findingStatus": equals("ACTIVE")},
        sortCriteria={"field": "VULNERABILITY_ID", "sortOrder": "DESC"},
        PaginationConfig={"PageSize": size},
    )
    ids = [finding["packageVulnerabilityDetails"]["vulnerabilityId"] for page in pages for finding in page["findings"]]
    assert ids == [f"CVE-2026-{i:04}" for i in range(250, 0, -1)], (size, len(ids))
finding = admin.list_findings(maxResults=1)["findings"][0]
assert isinstance(finding["firstObservedAt"], datetime) and finding["inspectorScore"] == 9.8, finding
image = finding["resources"][0]["details"]["awsEcrContainerImage"]
assert image["pushedAt"].microsecond == 500000 and image["imageTags"] == ["latest"], image
detail = admin.batch_get_finding_details(findingArns=[finding["findingArn"]])["findingDetails"][0]
assert detail["findingArn"] == finding["findingArn"]
assert admin.search_vulnerabilities(filterCriteria={"vulnerabilityIds": ["CVE-2026-0001"]})["vulnerabilities"][0]["cvss3"]["baseScore"] == 9.8

# Aggregations and coverage.
for kind in admin.meta.service_model.shape_for("AggregationType").enum:
    admin.list_finding_aggregations(aggregationType=kind)
total = admin.list_finding_aggregations(aggregationType="ACCOUNT")["responses"][0]["accountAggregation"]
assert total["severityCounts"]["critical"] == 250 and total["fixAvailableCount"] == 250, total
covered = list(admin.get_paginator("list_coverage").paginate(PaginationConfig={"PageSize": 200}))[0]["coveredResources"]
assert covered[0]["scanStatus"] == {"statusCode": "ACTIVE", "reason": "SUCCESSFUL"}, covered
for group in admin.meta.service_model.shape_for("GroupKey").enum:
    assert admin.list_coverage_statistics(groupBy=group)["totalCounts"] == 1

# Filters and tags, as Terraform goes about it.
arn = admin.create_filter(name="accepted", action="SUPPRESS", filterCriteria={"vulnerabilityId": equals("CVE-2026-0001")}, tags={"a": "1"})["arn"]
assert len(admin.list_findings(filterCriteria={"findingStatus": equals("SUPPRESSED")})["findings"]) == 1
assert admin.list_filters(arns=[arn])["filters"][0]["name"] == "accepted"
admin.tag_resource(resourceArn=arn, tags={"b": "2", "d": "3"})
admin.untag_resource(resourceArn=arn, tagKeys=["a", "d"])
assert admin.list_tags_for_resource(resourceArn=arn)["tags"] == {"b": "2"}
admin.update_filter(filterArn=arn, action="NONE")
assert admin.list_findings(filterCriteria={"findingStatus": equals("SUPPRESSED")})["findings"] == []
admin.delete_filter(arn=arn)
refused("ResourceNotFoundException", 404, admin.delete_filter, arn=arn)

# Accounts, configuration, organization, usage.
admin.enable(resourceTypes=["EC2", "ECR", "LAMBDA"])
state = admin.batch_get_account_status(accountIds=["111122223333"])["accounts"][0]
assert state["state"]["status"] == state["resourceState"]["lambda"]["status"] == "ENABLED", state
admin.disable(resourceTypes=["LAMBDA"])
admin.update_configuration(ecrConfiguration={"rescanDuration": "DAYS_30"})
assert admin.get_configuration()["ecrConfiguration"]["rescanDurationState"]["rescanDuration"] == "DAYS_30"
admin.list_account_permissions(service="EC2")
admin.describe_organization_configuration()
assert admin.list_members()["members"] == [] and admin.list_delegated_admin_accounts()["delegatedAdminAccounts"] == []
admin.update_organization_configuration(autoEnable={"ec2": True, "ecr": False})
assert admin.describe_organization_configuration()["autoEnable"] == {"ec2": True, "ecr": False}
admin.enable_delegated_admin_account(delegatedAdminAccountId="111122223333")
assert admin.get_delegated_admin_account()["delegatedAdmin"]["accountId"] == "111122223333"
assert len(admin.list_delegated_admin_accounts()["delegatedAdminAccounts"]) == 1
admin.disable_delegated_admin_account(delegatedAdminAccountId="111122223333")
admin.update_ec2_deep_inspection_configuration(activateDeepInspection=False, packagePaths=["/opt/apps"])
deep = admin.get_ec2_deep_inspection_configuration()
assert (deep["status"], deep["packagePaths"]) == ("DEACTIVATED", ["/opt/apps"]), deep
refused("ResourceNotFoundException", 404, admin.get_delegated_admin_account)
assert admin.list_usage_totals()["totals"][0]["usage"][0]["total"] == 1.0
admin.batch_get_free_trial_info(accountIds=["111122223333", "999999999999"])

# Reports and bills of materials.


def ended(status):
    """How a report ended: it is written after the call that asks for it."""
    patience = time.monotonic() + 60
    while (told := status()["status"]) == "IN_PROGRESS":
        assert time.monotonic() < patience, "the report does not end"
    return told


bucket = {"bucketName": "reports", "kmsKeyArn": "arn:aws:kms:eu-west-1:111122223333:key/00000000-0000-4000-8000-000000000000"}
report = admin.create_findings_report(reportFormat="CSV", s3Destination=bucket)["reportId"]
assert ended(lambda: admin.get_findings_report_status(reportId=report)) == "SUCCEEDED"
export = admin.create_sbom_export(reportFormat="CYCLONEDX_1_4", s3Destination=bucket)["reportId"]
assert ended(lambda: admin.get_sbom_export(reportId=export)) == "SUCCEEDED"

# Errors, as the clients name them.
error = refused("ValidationException", 400, client("AKIDADMIN", parameter_validation=False).list_findings, maxResults=101)
assert error["reason"] == "FIELD_VALIDATION_FAILED" and error["fields"][0]["name"] == "maxResults", error
refused("ValidationException", 400, admin.list_findings, nextToken="no token of ours")
refused("AccessDeniedException", 403, client("AKIDREADER").create_filter, name="x", action="NONE", filterCriteria={})
refused("InvalidSignatureException", 403, client("AKIDADMIN", "another secret").list_findings)
refused("UnrecognizedClientException", 403, client("AKIDSTRANGER").list_findings)
refused("InvalidSignatureException", 403, client("AKIDADMIN", region="us-east-1").list_findings)
refused("MissingAuthenticationTokenException", 403, client("AKIDADMIN", signature_version=UNSIGNED).list_findings)
refused("ResourceNotFoundException", 404, admin.get_encryption_key, scanType="PACKAGE", resourceType="AWS_EC2_INSTANCE")
assert validated > 300, validated

# Every other operation that this botocore knows is there, and every paginator can be walked.
ARN = f"arn:aws:inspector2:{REGION}:111122223333"
UUID = "00000000-0000-4000-8000-000000000000"


def smallest(shape, name=""):
    """A value that client-side validation lets pass; a server that does not know the thing says so, and never 500."""
    if shape.type_name == "structure":
        members = shape.required_members or (list(shape.members)[:1] if getattr(shape, "is_tagged_union", False) else [])
        return {member: smallest(shape.members[member], member) for member in members}
    if shape.type_name == "list":
        return [smallest(shape.member, name)]
    if shape.type_name == "map":
        return {"key": smallest(shape.value)}
    if shape.type_name == "string":
        if shape.enum:
            return shape.enum[0]
        return (f"{ARN}:finding/" if "Arn" in shape.name else "") + "0" * max(12, shape.metadata.get("min", 0))
    return {"boolean": True, "blob": b"x", "timestamp": datetime(2026, 1, 1)}.get(shape.type_name, 1)


ANSWERS = {"ValidationException", "ResourceNotFoundException", "AccessDeniedException", "ConflictException", "BadRequestException"}
called = 0
for operation in admin.meta.service_model.operation_names:
    model = admin.meta.service_model.operation_model(operation)
    method = next(name for name, api in admin.meta.method_to_api_mapping.items() if api == operation)
    try:
        getattr(admin, method)(**(smallest(model.input_shape) if model.input_shape else {}))
    except ClientError as error:
        assert error.response["Error"]["Code"] in ANSWERS, (operation, error.response)
        declared = {shape.name for shape in model.error_shapes}
        assert error.response["Error"]["Code"] in declared, (operation, error.response["Error"], declared)
    called += 1
    if admin.can_paginate(method) and not (model.input_shape and model.input_shape.required_members):
        for page in admin.get_paginator(method).paginate(PaginationConfig={"MaxItems": 1000}):
            pass
assert called == len(admin.meta.service_model.operation_names) >= 75, called


# Who am I? Clients ask before anything else, and read errors of this protocol as XML.
def sts(key, secret):
    return boto3.client("sts", endpoint_url=ENDPOINT, region_name=REGION, aws_access_key_id=key, aws_secret_access_key=secret)


identity = sts("AKIDADMIN", "secret of AKIDADMIN").get_caller_identity()
assert (identity["Account"], identity["Arn"]) == ("111122223333", "arn:aws:iam::111122223333:user/AKIDADMIN"), identity
refused("SignatureDoesNotMatch", 403, sts("AKIDADMIN", "another").get_caller_identity)
refused("InvalidClientTokenId", 403, sts("AKIDSTRANGER", "x").get_caller_identity)
refused("InvalidAction", 400, sts("AKIDADMIN", "secret of AKIDADMIN").get_session_token)


# Limits.
def raw(headers, length):
    request = AWSRequest(method="POST", url=f"{ENDPOINT}/findings/list", data=b"", headers=headers)
    SigV4Auth(Credentials("AKIDADMIN", "secret of AKIDADMIN"), "inspector2", REGION).add_auth(request)
    connection = http.client.HTTPConnection(urlsplit(ENDPOINT).netloc, timeout=30)
    connection.putrequest("POST", "/findings/list", skip_host=True)
    connection.putheader("Host", urlsplit(ENDPOINT).netloc)
    for name, value in request.headers.items():
        connection.putheader(name, value)
    connection.putheader("Content-Length", str(length))
    connection.endheaders()
    response = connection.getresponse()
    return response.status, response.headers["x-amzn-errortype"]


assert raw({}, 10 * 2**20 + 1) == (413, "RequestEntityTooLargeException")
assert raw({"X-Amz-Padding": "x" * 33000}, 0) == (431, "RequestHeaderSectionTooLargeException")


# The AWS CLI.
def aws(*arguments):
    environment = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": "AKIDADMIN",
        "AWS_SECRET_ACCESS_KEY": "secret of AKIDADMIN",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_PAGER": "",
    }
    command = ["aws", "inspector2", *arguments, "--endpoint-url", ENDPOINT, "--region", REGION, "--output", "json"]
    output = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert output.returncode == 0, output.stderr
    return json.loads(output.stdout or "{}")


criteria = json.dumps({"vulnerabilityId": [{"comparison": "PREFIX", "value": "CVE-2026-00"}]})
assert len(aws("list-findings", "--filter-criteria", criteria, "--page-size", "25")["findings"]) == 99
arn = aws("create-filter", "--name", "by-cli", "--action", "NONE", "--filter-criteria", criteria)["arn"]
aws("tag-resource", "--resource-arn", arn, "--tags", "team=blue")
assert aws("list-tags-for-resource", "--resource-arn", arn) == {"tags": {"team": "blue"}}
aws("untag-resource", "--resource-arn", arn, "--tag-keys", "team")
aws("delete-filter", "--arn", arn)
assert aws("list-coverage-statistics") == {"totalCounts": 1}
print("ALL CLIENTS WORK")
