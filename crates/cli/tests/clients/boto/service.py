"""A client whose every answer is held against the model, and requests that no client would send."""

import collections
import json
import urllib.error
import urllib.request

import boto3
import botocore
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

import table
from shapes import violations

# Errors that the front answers for every service, which no model declares.
OF_THE_FRONT = {
    "AccessDeniedException": 403,
    "InvalidSignatureException": 403,
    "UnrecognizedClientException": 403,
    "IncompleteSignatureException": 403,
    "MissingAuthenticationTokenException": 403,
}
STATUS = {
    "ValidationException": 400,
    "BadRequestException": 400,
    "ServiceQuotaExceededException": 402,
    "AccessDeniedException": 403,
    "ResourceNotFoundException": 404,
    "ConflictException": 409,
    "ThrottlingException": 429,
    "InternalServerException": 500,
}


class Service:
    """The seeded server as one holder of a key meets it."""

    facts = table.facts()
    # What was answered so far, of all holders: operation to outcomes, with how often.
    seen = collections.defaultdict(collections.Counter)

    def __init__(self, role="admin", service="inspector2"):
        self.key = self.facts["keys"][role]
        self.client = boto3.client(
            service,
            region_name=self.facts["region"],
            endpoint_url=self.facts["endpoint"],
            aws_access_key_id=self.key[0],
            aws_secret_access_key=self.key[1],
            config=Config(retries={"total_max_attempts": 1}, max_pool_connections=16),
        )
        self.service = service
        self.model = self.client.meta.service_model
        # STS speaks XML, in which nothing is dropped.
        if self.model.metadata["protocol"] == "rest-json":
            self.client.meta.events.register(f"before-parse.{self.model.service_id.hyphenize()}", self.look_at)

    def look_at(self, operation_model, response_dict, **_):
        """Called with each answer before botocore drops what it does not know."""
        name, status, headers = operation_model.name, response_dict["status_code"], response_dict["headers"]
        assert headers.get("x-amzn-requestid"), f"{name}: an answer has no id"
        assert headers.get("content-type") == "application/json", f"{name}: {headers}"
        body = json.loads(response_dict["body"])
        if status == 200:
            self.seen[name]["ok"] += 1
            found = violations(operation_model.output_shape, body, name) if operation_model.output_shape else []
            assert not found, f"{name}: {found}"
            # Command lines take what begins so for an option.
            assert not (body.get("nextToken") or "").startswith("-"), f"{name}: {body['nextToken']}"
            return
        code = headers["x-amzn-errortype"]
        self.seen[name][code] += 1
        self.look_at_error(operation_model, code, status, headers, body)

    @staticmethod
    def look_at_error(operation_model, code, status, headers, body):
        name = operation_model.name
        declared = {shape.name: shape for shape in operation_model.error_shapes}
        assert code in declared or code in OF_THE_FRONT, f"{name} does not declare {code}"
        assert status == STATUS.get(code, OF_THE_FRONT.get(code)), f"{name}: {code} with {status}"
        assert isinstance(body.get("message"), str) and body["message"], f"{name}: {body}"
        shape = declared.get(code)
        if shape is None:
            return
        assert status == shape.metadata["error"]["httpStatusCode"], f"{name}: {code} with {status}"
        # What is bound to a header is not in the body.
        bound = {member for member, inner in shape.members.items() if inner.serialization.get("location") == "header"}
        assert not bound & body.keys(), f"{name}: {body}"
        if code in ("ThrottlingException", "InternalServerException"):
            assert int(headers["retry-after"]) >= 1, f"{name}: {headers}"
        extra = body.keys() - shape.members.keys() - {"__type"}
        found = violations(shape, {k: v for k, v in body.items() if k not in extra}, f"{name}.{code}")
        assert not found and not extra, f"{name}: {found} {extra}"
        if code == "ValidationException" and body["reason"] == "FIELD_VALIDATION_FAILED":
            assert body["fields"] and all(field["name"] and field["message"] for field in body["fields"]), f"{name}: {body}"

    def call(self, operation, **parameters):
        return getattr(self.client, botocore.xform_name(operation))(**parameters)

    def refused(self, operation, code, **parameters):
        """Calls an operation that must be refused with this error; what botocore made of it."""
        try:
            answer = self.call(operation, **parameters)
        except ClientError as error:
            got = error.response["Error"]["Code"]
            assert got == code, f"{operation} {parameters}: {got} instead of {code}: {error}"
            if code in {shape.name for shape in self.model.operation_model(operation).error_shapes}:
                assert isinstance(error, getattr(self.client.exceptions, code)), f"{operation}: {type(error)}"
            return error.response
        raise AssertionError(f"{operation} {parameters} was not refused: {answer}")

    def raw(self, operation, body, secret=None, path=None):
        """Signs and sends a body that botocore would not let pass: the code of the answer, the body."""
        model = self.model.operation_model(operation)
        url = self.facts["endpoint"] + (path or model.http["requestUri"].replace("{resourceArn}", "arn"))
        request = AWSRequest(model.http["method"], url, data=body, headers={"content-type": "application/json"})
        credentials = Credentials(self.key[0], secret or self.key[1])
        SigV4Auth(credentials, self.model.signing_name, self.facts["region"]).add_auth(request)
        sent = urllib.request.Request(url, body or None, dict(request.headers.items()), method=request.method)
        try:
            with urllib.request.urlopen(sent) as answer:
                return "ok", json.load(answer)
        except urllib.error.HTTPError as error:
            code, answer = error.headers["x-amzn-errortype"], json.load(error)
            self.seen[operation][code] += 1
            headers = {name.lower(): value for name, value in error.headers.items()}
            self.look_at_error(model, code, error.code, headers, answer)
            return code, answer


def equals(value):
    return [{"comparison": "EQUALS", "value": value}]
