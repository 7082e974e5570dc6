"""What is looked at, by every criterion and counted by every key, against a slow and obvious answer."""

from findings import nested
from service import Service, equals

METADATA = "resourceMetadata"
TEXTS = {
    "scanStatusCode": nested("scanStatus", "statusCode"),
    "scanStatusReason": nested("scanStatus", "reason"),
    "accountId": nested("accountId"),
    "resourceId": nested("resourceId"),
    "resourceType": nested("resourceType"),
    "scanType": nested("scanType"),
    "ecrImageTags": nested(METADATA, "ecrImage", "tags"),
    "lambdaFunctionName": nested(METADATA, "lambdaFunction", "functionName"),
    "lambdaFunctionRuntime": nested(METADATA, "lambdaFunction", "runtime"),
}
NEUTRAL = {
    "cloudProviderAccountId": "accountId",
    "cloudContainerImageTags": "ecrImageTags",
    "cloudServerlessFunctionName": "lambdaFunctionName",
    "cloudServerlessFunctionRuntime": "lambdaFunctionRuntime",
}
# What no row shows, and is known of it all the same.
HIDDEN = {"ecrRepositoryName", "cloudContainerRepositoryName", "cloudContainerRegistryName", "cloudProviderRegion"}
DATES = {"lastScannedAt": nested("lastScannedAt")}
TAGS = {"ec2InstanceTags": nested(METADATA, "ec2", "tags"), "cloudVmInstanceTags": nested(METADATA, "ec2", "tags")}
GROUPS = {
    "SCAN_STATUS_CODE": TEXTS["scanStatusCode"],
    "SCAN_STATUS_REASON": TEXTS["scanStatusReason"],
    "ACCOUNT_ID": TEXTS["accountId"],
    "PROVIDER_ACCOUNT_ID": TEXTS["accountId"],
    "RESOURCE_TYPE": TEXTS["resourceType"],
}


def run():
    service = Service("viewer")
    rows = service.call("ListCoverage")["coveredResources"]
    name_of = lambda row: (row["resourceId"], row["scanType"])
    everything = {name_of(row) for row in rows}
    assert len(everything) == len(rows) >= 10
    shape = service.model.shape_for("CoverageFilterCriteria")

    def found(**filters):
        listed = {name_of(row) for row in service.call("ListCoverage", filterCriteria=filters)["coveredResources"]}
        counted = service.call("ListCoverageStatistics", filterCriteria=filters)["totalCounts"]
        assert counted == len(listed), f"{filters}: {counted} are counted and {len(listed)} listed"
        return listed

    def expected(test):
        return {name_of(row) for row in rows if test(row)}

    tried = set()
    for name, member in shape.members.items():
        kind = member.member.name
        if kind == "CoverageStringFilter" and name not in HIDDEN:
            values_of = TEXTS.get(NEUTRAL.get(name, name), lambda _: [])
            values = sorted({value for row in rows for value in values_of(row)})
            for value in values + ["nothing has this"]:
                having = expected(lambda row: value in values_of(row))
                assert found(**{name: equals(value)}) == having, f"{name} = {value}"
                assert found(**{name: [{"comparison": "NOT_EQUALS", "value": value}]}) == everything - having, f"{name} != {value}"
            if len(values) > 1:
                either = expected(lambda row: set(values[:2]) & set(values_of(row)))
                assert found(**{name: equals(values[0]) + equals(values[1])}) == either, f"{name} of two values"
            tried |= {name} if values else set()
        elif kind == "CoverageDateFilter":
            values_of = DATES.get(name, lambda _: [])
            for value in sorted({value for row in rows for value in values_of(row)})[:3]:
                since = expected(lambda row: any(other >= value for other in values_of(row)))
                assert found(**{name: [{"startInclusive": value}]}) == since != set(), f"{name} since {value}"
                tried.add(name)
        elif kind == "CoverageMapFilter":
            tags_of = TAGS.get(name, lambda _: [])
            having = expected(lambda row: any(tags.get("team") == "blue" for tags in tags_of(row)))
            assert found(**{name: [{"comparison": "EQUALS", "key": "team", "value": "blue"}]}) == having, name
            assert found(**{name: [{"comparison": "EQUALS", "key": "team", "value": "red"}]}) == set(), name
            tried |= {name} if having else set()
    images = expected(lambda row: row["resourceType"] == "AWS_ECR_CONTAINER_IMAGE")
    assert found(ecrRepositoryName=equals("shop/web")) == found(cloudContainerRepositoryName=equals("shop/web")) == images != set()
    assert found(cloudProviderRegion=equals(service.facts["region"])) == everything
    assert tried == TEXTS.keys() | NEUTRAL.keys() | DATES.keys() | TAGS.keys(), tried ^ (TEXTS.keys() | NEUTRAL.keys())

    for group, values_of in GROUPS.items():
        keys = [key for row in rows for key in values_of(row)]
        counts = service.call("ListCoverageStatistics", groupBy=group)["countsByGroup"]
        assert {count["groupKey"]: count["count"] for count in counts} == {key: keys.count(key) for key in keys}, group
    for group in set(service.model.shape_for("GroupKey").enum) - GROUPS.keys():
        counts = service.call("ListCoverageStatistics", groupBy=group)
        assert sum(count["count"] for count in counts.get("countsByGroup", [])) <= counts["totalCounts"] == len(rows), group
    return f"{len(shape.members)} criteria and {len(service.model.shape_for('GroupKey').enum)} groups of {len(rows)} rows"
