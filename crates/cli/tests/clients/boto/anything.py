"""Whatever the model admits: requests that are generated from its input shapes are answered as it says, and never by a fault."""

import base64
import random

from botocore.exceptions import ClientError

from service import Service
from shapes import violations

EACH = 25
CHANCE = random.Random(20261129)
# What the seeded server has, and what has a pattern of its own; the rest is any text.
TEXTS = [
    *("CVE-2021-23337", "HIGH", "ACTIVE", "shop/web", "lodash", "team", "blue", "AWS_EC2_INSTANCE", "latest", "000000000000", "222222222222"),
    *("project-00000000-0000-4000-8000-000000000000", "00000000-0000-4000-8000-000000000000", "12345678", "0123456789abcdef", "06:00", "/opt/apps"),
    *("https://gitlab.example", "ami-0123456789abcdef0", "i-0123456789abcdef0", "1.2.3", "x", "SELF", "abcdef"),
]
ODD = ["ä \U0001f600", "'\"\\", "a" * 300, "%2F..%00", "<b>&amp;", "{\"a\": 1}"]


def texts(facts, finding):
    arn = f"arn:aws:inspector2:{facts['region']}:{facts['account']}"
    id = "00000000-0000-4000-8000-000000000000"
    return TEXTS + [
        finding,
        facts["image"],
        f"{arn}:owner/{facts['account']}/filter/0123456789abcdef",
        f"{arn}:owner/{facts['account']}/cis-configuration/{id}",
        f"{arn}:owner/{facts['account']}/cis-scan/{id}",
        f"{arn}:owner/{facts['account']}/codesecurity-configuration/{id}",
        f"{arn}:codesecurity-integration/{id}",
        f"{arn}:connector/{id}",
        f"arn:aws:config:{facts['region']}:{facts['account']}:connector/azure/estate/{id}",
        f"arn:aws:kms:{facts['region']}:{facts['account']}:key/{id}",
    ]


def value(shape, pool, likely, depth=0):
    """Any value of a shape that the model admits; of members with some names likely one that there is."""
    kind, limits = shape.type_name, shape.metadata
    if kind == "structure":
        members = list(shape.members)
        if getattr(shape, "is_tagged_union", False):
            members = [CHANCE.choice(members)]
        else:
            chance = 0.4 if depth == 0 else 0.3 / max(len(members), 1) + 0.05
            members = [name for name in members if name in shape.required_members or CHANCE.random() < chance]
        there_is = lambda name: name in likely and CHANCE.random() < 0.7
        return {name: likely[name] if there_is(name) else value(shape.members[name], pool, likely, depth + 1) for name in members}
    if kind == "list":
        least, most = limits.get("min", 0), limits.get("max", 3)
        return [value(shape.member, pool, likely, depth + 1) for _ in range(CHANCE.randint(least, max(least, min(most, 3))))]
    if kind == "map":
        return {value(shape.key, pool, likely, depth + 1): value(shape.value, pool, likely, depth + 1) for _ in range(CHANCE.randint(0, 3))}
    if kind == "string":
        if shape.enum:
            return CHANCE.choice(shape.enum)
        fit = [text for text in pool if not violations(shape, text, "")]
        return CHANCE.choice(fit or ["x" * limits.get("min", 1)])
    if kind in ("integer", "long"):
        least = limits.get("min", -(2**31))
        return CHANCE.choice([least, limits.get("max", 2**31 - 1), CHANCE.randint(max(least, 0), min(limits.get("max", 200), 200))])
    if kind in ("double", "float"):
        return CHANCE.choice([0.0, -1.5, 9.8, 1e300])
    if kind == "boolean":
        return CHANCE.random() < 0.5
    if kind == "timestamp":
        return CHANCE.choice([1_000_000_000.5, 1_700_000_000, 4_000_000_000])
    if kind == "blob":
        return base64.b64decode("eA==")
    raise AssertionError(f"a kind of shape that is not known here: {kind}")


def outcome(service, name, parameters):
    """The error that a request is refused with; none when it is answered."""
    while True:
        try:
            service.call(name, **parameters)
            return None
        except service.client.exceptions.ThrottlingException:
            # This goes faster than a key may ask.
            continue
        except ClientError as error:
            code = error.response["Error"]["Code"]
            assert code != "InternalServerException", f"{name}: {error}"
            return code


def run():
    service = Service("admin")
    finding = service.call("ListFindings")["findings"][0]["findingArn"]
    pool = texts(service.facts, finding) + ODD
    kept = service.call("CreateFilter", name="whatever", action="NONE", filterCriteria={})["arn"]
    likely = {"filterArn": kept, "resourceArn": kept, "accountId": service.facts["member"], "bucketName": "reports", "keyPrefix": "anything"}
    answered, refused, wrong = 0, 0, {}
    for name in service.model.operation_names:
        shape = service.model.operation_model(name).input_shape
        for _ in range(EACH):
            parameters = value(shape, pool, likely) if shape else {}
            # A token that nobody gave out is refused, and nothing else would be tried.
            parameters.pop("nextToken", None)
            try:
                code = outcome(service, name, parameters)
            except AssertionError as error:
                wrong[name] = f"{error}, asked with {parameters}"
                continue
            answered, refused = answered + (code is None), refused + (code is not None)
    for left in service.client.get_paginator("list_filters").paginate().build_full_result()["filters"]:
        if left["name"] not in ("accepted", "severe", "high"):
            service.call("DeleteFilter", arn=left["arn"])
    # All at once: what is wrong of one operation often is of others.
    assert not wrong, "\n".join(wrong.values())
    assert answered > 500 and refused > 100, (answered, refused)
    return f"{answered} requests were answered and {refused} refused"
