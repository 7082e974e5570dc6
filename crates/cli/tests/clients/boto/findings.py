"""Findings by every criterion, in every order, counted by everything; each answer against a slow and obvious one."""

import functools

from service import Service, equals
from shapes import violations


def nested(*path):
    """Reads the values at a path of a finding; lists on the way are walked."""

    def read(finding):
        values = [finding]
        for step in path:
            values = [inner[step] for value in values for inner in (value if isinstance(value, list) else [value]) if step in inner]
        return [one for value in values for one in (value if isinstance(value, list) else [value])]

    return read


image = functools.partial(nested, "resources", "details", "awsEcrContainerImage")
instance = functools.partial(nested, "resources", "details", "awsEc2Instance")
function = functools.partial(nested, "resources", "details", "awsLambdaFunction")
package = functools.partial(nested, "packageVulnerabilityDetails")
network = functools.partial(nested, "networkReachabilityDetails")

# Where in a finding the values of a criterion are.
TEXTS = {
    "findingArn": nested("findingArn"),
    "awsAccountId": nested("awsAccountId"),
    "findingType": nested("type"),
    "severity": nested("severity"),
    "findingStatus": nested("status"),
    "title": nested("title"),
    "resourceType": nested("resources", "type"),
    "resourceId": nested("resources", "id"),
    "fixAvailable": nested("fixAvailable"),
    "exploitAvailable": nested("exploitAvailable"),
    "vulnerabilityId": package("vulnerabilityId"),
    "vulnerabilitySource": package("source"),
    "vendorSeverity": package("vendorSeverity"),
    "relatedVulnerabilities": package("relatedVulnerabilities"),
    "ecrImageRepositoryName": image("repositoryName"),
    "ecrImageRegistry": image("registry"),
    "ecrImageHash": image("imageHash"),
    "ecrImageTags": image("imageTags"),
    "ecrImageArchitecture": image("architecture"),
    "ec2InstanceImageId": instance("imageId"),
    "ec2InstanceVpcId": instance("vpcId"),
    "ec2InstanceSubnetId": instance("subnetId"),
    "lambdaFunctionName": function("functionName"),
    "lambdaFunctionRuntime": function("runtime"),
    "lambdaFunctionExecutionRoleArn": function("executionRoleArn"),
    "networkProtocol": network("protocol"),
    "componentId": network("networkPath", "steps", "componentId"),
    "componentType": network("networkPath", "steps", "componentType"),
}
NEUTRAL = {
    "cloudProviderAccountId": "awsAccountId",
    "cloudImageRepositoryName": "ecrImageRepositoryName",
    "cloudImageRegistry": "ecrImageRegistry",
    "cloudImageDigest": "ecrImageHash",
    "cloudImageTags": "ecrImageTags",
    "cloudImageArchitecture": "ecrImageArchitecture",
}
NUMBERS = {"inspectorScore": nested("inspectorScore"), "epssScore": nested("epss", "score")}
DATES = {"firstObservedAt": nested("firstObservedAt"), "lastObservedAt": nested("lastObservedAt"), "updatedAt": nested("updatedAt"), "ecrImagePushedAt": image("pushedAt")}
# What the seeded findings must have for the criteria to have been tried at all.
TRIED = {
    *("findingArn", "awsAccountId", "findingType", "severity", "findingStatus", "title", "resourceType", "resourceId", "fixAvailable"),
    *("vulnerabilityId", "vulnerabilitySource", "ecrImageRepositoryName", "ecrImageRegistry", "ecrImageHash", "ecrImageTags"),
    *("ec2InstanceImageId", "ec2InstanceVpcId", "ec2InstanceSubnetId", "lambdaFunctionName", "lambdaFunctionRuntime"),
    *("networkProtocol", "componentId", "componentType"),
}
SEVERITIES = ["INFORMATIONAL", "LOW", "MEDIUM", "HIGH", "CRITICAL", "UNTRIAGED"]
SORTED_BY = {
    "AWS_ACCOUNT_ID": TEXTS["awsAccountId"],
    "FINDING_TYPE": TEXTS["findingType"],
    "FINDING_STATUS": TEXTS["findingStatus"],
    "FIRST_OBSERVED_AT": DATES["firstObservedAt"],
    "LAST_OBSERVED_AT": DATES["lastObservedAt"],
    "RESOURCE_TYPE": TEXTS["resourceType"],
    "VULNERABILITY_ID": TEXTS["vulnerabilityId"],
    "VULNERABILITY_SOURCE": TEXTS["vulnerabilitySource"],
    "ECR_IMAGE_REPOSITORY_NAME": TEXTS["ecrImageRepositoryName"],
    "ECR_IMAGE_REGISTRY": TEXTS["ecrImageRegistry"],
    "ECR_IMAGE_PUSHED_AT": DATES["ecrImagePushedAt"],
    "INSPECTOR_SCORE": NUMBERS["inspectorScore"],
    "EPSS_SCORE": NUMBERS["epssScore"],
    "NETWORK_PROTOCOL": TEXTS["networkProtocol"],
    "VENDOR_SEVERITY": TEXTS["vendorSeverity"],
    "SEVERITY": lambda finding: [SEVERITIES.index(finding["severity"])],
    # Along a path there are several kinds of components.
    "COMPONENT_TYPE": None,
}


def run():
    service = Service("viewer")
    findings = service.call("ListFindings")["findings"]
    assert {finding["status"] for finding in findings} == {"ACTIVE", "SUPPRESSED", "CLOSED"}
    assert {"AWS_EC2_INSTANCE", "AWS_ECR_CONTAINER_IMAGE", "AWS_LAMBDA_FUNCTION"} <= {f["resources"][0]["type"] for f in findings}
    assert {finding["type"] for finding in findings} == {"PACKAGE_VULNERABILITY", "NETWORK_REACHABILITY"}
    what_is_wrong_is_seen(service)
    asked = criteria(service, findings)
    orders = sorts(service, findings)
    kinds = aggregations(service, findings)
    details(service, findings)
    vulnerabilities(service, findings)
    return f"{asked} criteria, {orders} orders, {kinds} aggregations of {len(findings)} findings"


def what_is_wrong_is_seen(service):
    """An answer that is damaged in any one way is not let pass: the tests of all others rest on it."""
    shape = service.model.operation_model("ListFindings").output_shape

    def seen(change):
        _, body = service.raw("ListFindings", b"{}")
        change(body["findings"][0])
        return {what for _, what, _ in violations(shape, body, "ListFindings")}

    assert seen(lambda finding: None) == set()
    for what, change in [
        ("required", lambda finding: finding.pop("severity")),
        ("unknown", lambda finding: finding.update(color="red")),
        ("enum", lambda finding: finding.update(severity="GRAVE")),
        ("type", lambda finding: finding.update(title=1)),
        ("type", lambda finding: finding.update(inspectorScore="9.8")),
        ("min", lambda finding: finding.update(resources=[])),
        ("max", lambda finding: finding.update(description="x" * 1025)),
        ("pattern", lambda finding: finding.update(findingArn="arn:aws:inspector2:x")),
        ("timestamp", lambda finding: finding.update(updatedAt=finding["updatedAt"] * 1000)),
        ("timestamp", lambda finding: finding.update(updatedAt="2026-01-01T00:00:00Z")),
    ]:
        assert seen(change) == {what}, f"{what}: {seen(change)}"


def criteria(service, findings):
    shape = service.model.shape_for("FilterCriteria")

    def found(**filters):
        return {f["findingArn"] for f in service.call("ListFindings", filterCriteria=filters)["findings"]}

    def expected(test):
        return {f["findingArn"] for f in findings if test(f)}

    everything, tried = expected(lambda _: True), set()
    for name, member in shape.members.items():
        kind = member.member.name
        if kind == "StringFilter":
            values_of = TEXTS.get(NEUTRAL.get(name, name), lambda _: [])
            values = sorted({value for finding in findings for value in values_of(finding)})
            for value in values[:2] + ["nothing has this"]:
                having = expected(lambda f: value in values_of(f))
                assert having or value not in values
                assert found(**{name: equals(value)}) == having, f"{name} = {value}"
                assert found(**{name: [{"comparison": "NOT_EQUALS", "value": value}]}) == everything - having, f"{name} != {value}"
                begins = value[: max(1, len(value) // 2)]
                beginning = expected(lambda f: any(v.startswith(begins) for v in values_of(f)))
                assert found(**{name: [{"comparison": "PREFIX", "value": begins}]}) == beginning, f"{name} ^ {begins}"
            if len(values) > 1:
                either = expected(lambda f: {values[0], values[1]} & set(values_of(f)))
                assert found(**{name: equals(values[0]) + equals(values[1])}) == either, f"{name} of two values"
            tried |= {name} if values else set()
        elif kind in ("NumberFilter", "DateFilter"):
            bounds = ("lowerInclusive", "upperInclusive") if kind == "NumberFilter" else ("startInclusive", "endInclusive")
            values_of = NUMBERS.get(name) or DATES.get(NEUTRAL.get(name, name)) or (lambda _: [])
            values = sorted({value for finding in findings for value in values_of(finding)})
            if not values:
                continue
            middle = values[len(values) // 2]
            above, below = ({bounds[0]: middle}, lambda v: v >= middle), ({bounds[1]: middle}, lambda v: v <= middle)
            for test, holds in (above, below):
                assert found(**{name: [test]}) == expected(lambda f: any(map(holds, values_of(f)))), f"{name} {test}"
            tried.add(name)
        elif kind == "MapFilter":
            having = expected(lambda f: f["resources"][0].get("tags", {}).get("team") == "blue")
            assert having, "nothing is tagged"
            assert found(**{name: [{"comparison": "EQUALS", "key": "team", "value": "blue"}]}) == having
            assert found(**{name: [{"comparison": "EQUALS", "key": "team", "value": "red"}]}) == set()
            tried.add(name)
        elif kind == "PortRangeFilter":
            ports = lambda f: f.get("networkReachabilityDetails", {}).get("openPortRange", {}).get("begin")
            assert found(**{name: [{"beginInclusive": 22, "endInclusive": 22}]}) == expected(lambda f: ports(f) == 22) != set()
            assert found(**{name: [{"beginInclusive": 23, "endInclusive": 23}]}) == set()
            tried.add(name)
        elif kind == "PackageFilter":
            having = lambda key, value: expected(lambda f: value in package("vulnerablePackages", key)(f))
            for key, value in (("name", "lodash"), ("version", "4.17.20"), ("release", "27.el9")):
                assert found(**{name: [{key: equals(value)[0]}]}) == having(key, value) != set(), f"{name}.{key}"
            both = [{"name": equals("lodash")[0], "version": equals("0.0.0")[0]}]
            assert found(**{name: both}) == set()
            tried.add(name)
        else:
            raise AssertionError(f"a kind of criterion that is not known here: {kind}")
    assert TRIED <= tried, f"no finding has {TRIED - tried}"
    both = found(severity=equals("HIGH"), findingStatus=equals("ACTIVE"))
    assert both == expected(lambda f: (f["severity"], f["status"]) == ("HIGH", "ACTIVE")) != set()
    return len(shape.members)


def sorts(service, findings):
    fields = service.model.shape_for("SortField").enum
    assert set(fields) == set(SORTED_BY)
    everything = sorted(finding["findingArn"] for finding in findings)
    for field in fields:
        for order in ("ASC", "DESC"):
            criteria = {"field": field, "sortOrder": order}
            listed = service.call("ListFindings", sortCriteria=criteria)["findings"]
            assert sorted(finding["findingArn"] for finding in listed) == everything, f"{field} {order}"
            pages = service.client.get_paginator("list_findings").paginate(sortCriteria=criteria, PaginationConfig={"PageSize": 3})
            assert [f["findingArn"] for page in pages for f in page["findings"]] == [f["findingArn"] for f in listed], f"{field} {order}"
            if read := SORTED_BY[field]:
                keys = [key[0] for finding in listed if (key := read(finding))]
                assert keys == sorted(keys, reverse=order == "DESC"), f"{field} {order}: {keys}"
    return 2 * len(fields)


def aggregations(service, findings):
    kinds = service.model.shape_for("AggregationType").enum
    active = [finding for finding in findings if finding["status"] == "ACTIVE"]
    answers = service.model.shape_for("AggregationResponse").members
    filled = set()
    for kind in kinds:
        answer = service.call("ListFindingAggregations", aggregationType=kind)
        assert answer["aggregationType"] == kind
        for row in answer["responses"]:
            [(name, group)] = row.items()
            assert name in answers and group["severityCounts"]["all"] > 0, row
            counts = group["severityCounts"]
            assert counts["all"] == sum(count for severity, count in counts.items() if severity != "all"), row
            filled.add(kind)

    def counted(kind, name, key):
        rows = service.call("ListFindingAggregations", aggregationType=kind)["responses"]
        return {row[name][key]: row[name]["severityCounts"]["all"] for row in rows}

    def expected(read):
        keys = [key for finding in active for key in set(read(finding))]
        return {key: keys.count(key) for key in keys}

    assert counted("TITLE", "titleAggregation", "title") == expected(TEXTS["title"])
    assert counted("ACCOUNT", "accountAggregation", "accountId") == expected(TEXTS["awsAccountId"])
    assert counted("PACKAGE", "packageAggregation", "packageName") == expected(package("vulnerablePackages", "name"))
    assert counted("REPOSITORY", "repositoryAggregation", "repository") == expected(TEXTS["ecrImageRepositoryName"])
    of_instances = lambda f: TEXTS["resourceId"](f) if f["resources"][0]["type"] == "AWS_EC2_INSTANCE" else []
    assert counted("AWS_EC2_INSTANCE", "ec2InstanceAggregation", "instanceId") == expected(of_instances)
    needed = {"FINDING_TYPE", "AMI", "AWS_ECR_CONTAINER", "IMAGE_LAYER", "AWS_LAMBDA_FUNCTION"}
    assert needed <= filled, f"nothing is counted by {needed - filled}"
    asked = sum(narrowed(service, kind) for kind in kinds)
    assert asked > 40, asked
    return len(kinds)


# Where in a group the values of a criterion for groups are, where it is not under the name in the singular.
SHOWN_AS = {
    "amis": "ami",
    "imageShas": "imageSha",
    "imageTags": "imageTags",
    "repositories": "repository",
    "architectures": "architecture",
    "layerHashes": "layerHash",
    "runtimes": "runtime",
    "vulnerabilityIds": "vulnerabilityId",
}
COUNTED_BY = {"NETWORK_FINDINGS": "networkFindings", "AFFECTED_INSTANCES": "affectedInstances", "AFFECTED_IMAGES": "affectedImages"}


def narrowed(service, kind):
    """One kind of groups by each order and by each criterion that it has; how many were asked."""
    members = service.model.shape_for("AggregationRequest").members
    whole = [next(iter(row.items())) for row in service.call("ListFindingAggregations", aggregationType=kind)["responses"]]
    # A kind that has no groups here does not say which member of the request is its own.
    if not whole:
        return 0
    name = whole[0][0]
    groups = [group for _, group in whole]

    def asked(**request):
        rows = service.call("ListFindingAggregations", aggregationType=kind, aggregationRequest={name: request})["responses"]
        return [row[name] for row in rows]

    same = lambda some, others: sorted(map(str, some)) == sorted(map(str, others))
    shape, times = members[name], 0
    for by in shape.members["sortBy"].enum:
        for order in ("ASC", "DESC"):
            rows = asked(sortBy=by, sortOrder=order)
            counts = [row[COUNTED_BY[by]] if by in COUNTED_BY else row["severityCounts"][by.lower()] for row in rows]
            assert same(rows, groups) and counts == sorted(counts, reverse=order == "DESC"), f"{kind} by {by} {order}: {counts}"
            times += 1
    if "scanSources" in shape.members:
        assert same(asked(scanSources=["INSTANCE_SCAN"]), groups) and asked(scanSources=["MACHINE_IMAGE_SCAN"]) == []
        times += 2
    for criterion, member in shape.members.items():
        shown = SHOWN_AS.get(criterion, criterion.removesuffix("s"))
        if member.type_name != "list" or member.member.name != "StringFilter":
            continue
        values_of = nested(shown)
        for value in sorted({value for group in groups for value in values_of(group)})[:2] + ["nothing has this"]:
            having = [group for group in groups if value in values_of(group)]
            assert same(asked(**{criterion: equals(value)}), having), f"{kind}: {criterion} = {value}"
            others = [group for group in groups if value not in values_of(group)]
            assert same(asked(**{criterion: [{"comparison": "NOT_EQUALS", "value": value}]}), others), f"{kind}: {criterion} != {value}"
            times += 1
    return times


def details(service, findings):
    arns = [finding["findingArn"] for finding in findings]
    unknown = arns[0][:-32] + "0" * 32
    for at in range(0, len(arns), 9):
        some = arns[at : at + 9]
        answer = service.call("BatchGetFindingDetails", findingArns=some + [unknown])
        assert [detail["findingArn"] for detail in answer["findingDetails"]] == some
        assert [(error["findingArn"], error["errorCode"]) for error in answer["errors"]] == [(unknown, "FINDING_DETAILS_NOT_FOUND")]


def vulnerabilities(service, findings):
    for name in {name for finding in findings for name in TEXTS["vulnerabilityId"](finding)}:
        [known] = service.call("SearchVulnerabilities", filterCriteria={"vulnerabilityIds": [name]})["vulnerabilities"]
        assert known["id"] == name, known
    assert service.call("SearchVulnerabilities", filterCriteria={"vulnerabilityIds": ["CVE-1999-0001"]})["vulnerabilities"] == []
