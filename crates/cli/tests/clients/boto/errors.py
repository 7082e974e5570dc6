"""Every error that the model declares of an operation, provoked from outside, or the reason why it cannot be."""

import contextlib
import sqlite3
import threading

import operations
import table
from service import Service, equals

U = "00000000-0000-4000-8000-000000000000"

# What cannot be provoked from outside: the error, why, and of which operations.
NOT_FROM_OUTSIDE = [
    ("ValidationException", "there is nothing in a request that could be wrong", {"DescribeOrganizationConfiguration", "GetDelegatedAdminAccount"}),
    ("AccessDeniedException", "whoever has a key may read", {
        "BatchGetAccountStatus", "BatchGetCodeSnippet", "BatchGetFindingDetails", "BatchGetFreeTrialInfo",
        "BatchGetMemberEc2DeepInspectionStatus", "DescribeOrganizationConfiguration", "GetCisScanReport", "GetCisScanResultDetails",
        "GetClustersForImage", "GetCodeSecurityIntegration", "GetCodeSecurityScan", "GetCodeSecurityScanConfiguration",
        "GetConfiguration", "GetDelegatedAdminAccount", "GetEc2DeepInspectionConfiguration", "GetEncryptionKey",
        "GetFindingsReportStatus", "GetMember", "GetOnDemandScanStatus", "GetSbomExport", "ListAccountPermissions",
        "ListCisScanConfigurations", "ListCisScanResultsAggregatedByChecks", "ListCisScanResultsAggregatedByTargetResource",
        "ListCisScans", "ListCodeSecurityIntegrations", "ListCodeSecurityScanConfigurationAssociations",
        "ListCodeSecurityScanConfigurations", "ListConnectorScanConfigurations", "ListConnectors", "ListDelegatedAdminAccounts",
        "ListFilters", "ListMembers", "ListOnDemandScans", "ListUsageTotals", "SearchVulnerabilities",
    }),
    ("ResourceNotFoundException", "accounts that are not seen are told one by one", {"BatchGetAccountStatus", "Enable", "Disable"}),
    ("ResourceNotFoundException", "an account that is not seen is no valid value", {"GetConfiguration"}),
    ("ResourceNotFoundException", "an account that is not seen is one that the key was not issued for", {"EnableDelegatedAdminAccount"}),
    ("ResourceNotFoundException", "what is not found is told one by one", {
        "BatchAssociateCodeSecurityScanConfiguration", "BatchDisassociateCodeSecurityScanConfiguration",
    }),
    ("ResourceNotFoundException", "reports are written later: their status tells that there is no such bucket", {"CreateFindingsReport", "CreateSbomExport"}),
    ("ResourceNotFoundException", "there is always one", {"GetEc2DeepInspectionConfiguration"}),
    ("ResourceNotFoundException", "that there is none is an answer", {"ListCodeSecurityScanConfigurations", "ResetEncryptionKey"}),
    ("ResourceNotFoundException", "it is refused whatever it names", {"GetOnDemandScanStatus", "StartCodeSecurityScan", "UpdateEncryptionKey"}),
    ("ConflictException", "there is nothing of the kind that could stand in the way", {
        "BatchAssociateCodeSecurityScanConfiguration", "BatchDisassociateCodeSecurityScanConfiguration", "DeleteConnector",
        "GetCodeSecurityScan", "UpdateCodeSecurityIntegration", "UpdateCodeSecurityScanConfiguration", "UpdateConnector",
        "UpdateConnectorScanConfiguration",
    }),
    ("ConflictException", "it is refused whatever there is", {
        "CreateCodeSecurityIntegration", "CreateCodeSecurityScanConfiguration", "CreateConnector", "SendCisSessionHealth",
        "SendCisSessionTelemetry", "StartCisSession", "StartCodeSecurityScan", "StartOnDemandScan", "StopCisSession",
    }),
    ("ConflictException", "requests that change something are done one after the other", {"DisableDelegatedAdminAccount", "UpdateConfiguration"}),
    ("ServiceQuotaExceededException", "there are as many members as keys name", {"AssociateMember"}),
    ("ServiceQuotaExceededException", "it is refused whatever there is", {
        "CreateCodeSecurityIntegration", "CreateCodeSecurityScanConfiguration", "CreateConnector",
    }),
    ("InternalServerException", "it is answered from memory, or without looking at anything", {
        "AssociateMember", "BatchAssociateCodeSecurityScanConfiguration", "BatchDisassociateCodeSecurityScanConfiguration",
        "BatchGetCodeSnippet", "BatchGetFindingDetails", "BatchGetFreeTrialInfo", "CreateCisScanConfiguration",
        "CreateCodeSecurityIntegration", "CreateCodeSecurityScanConfiguration", "CreateConnector", "DeleteCisScanConfiguration",
        "DeleteCodeSecurityIntegration", "DeleteCodeSecurityScanConfiguration", "DeleteConnector", "DisassociateMember",
        "GetCisScanReport", "GetCisScanResultDetails", "GetClustersForImage", "GetCodeSecurityIntegration", "GetCodeSecurityScan",
        "GetCodeSecurityScanConfiguration", "GetEncryptionKey", "GetMember", "GetOnDemandScanStatus", "ListAccountPermissions",
        "ListCisScanConfigurations", "ListCisScanResultsAggregatedByChecks", "ListCisScanResultsAggregatedByTargetResource",
        "ListCisScans", "ListCodeSecurityIntegrations", "ListCodeSecurityScanConfigurationAssociations",
        "ListCodeSecurityScanConfigurations", "ListConnectorScanConfigurations", "ListConnectors", "ListCoverage",
        "ListCoverageStatistics", "ListFindingAggregations", "ListFindings", "ListMembers", "ListOnDemandScans", "ListUsageTotals",
        "ResetEncryptionKey", "SearchVulnerabilities", "SendCisSessionHealth", "SendCisSessionTelemetry", "StartCisSession",
        "StartCodeSecurityScan", "StartOnDemandScan", "StopCisSession", "UpdateCisScanConfiguration",
        "UpdateCodeSecurityIntegration", "UpdateCodeSecurityScanConfiguration", "UpdateConnector", "UpdateConnectorScanConfiguration",
        "UpdateEncryptionKey",
    }),
]


def run():
    service = Service("admin")
    # What is answered to valid requests counts too.
    if not Service.seen:
        operations.run()
    declared = {(name, shape.name) for name in service.model.operation_names for shape in service.model.operation_model(name).error_shapes}
    invalid(service)
    denied(service)
    absent(service)
    in_the_way(service)
    too_much(service)
    damaged(service)
    provoked = {(name, code) for name, outcomes in Service.seen.items() for code in outcomes}
    excused = {(name, code) for code, _, names in NOT_FROM_OUTSIDE for name in names}
    assert excused <= declared, f"not declared at all: {sorted(excused - declared)}"
    assert declared <= provoked | excused, f"neither provoked nor excused: {sorted(declared - provoked - excused)}"
    assert not excused & provoked, f"excused, and yet provoked: {sorted(excused & provoked)}"
    return f"{len(declared & provoked)} of {len(declared)} declared errors"


def wrong(shape):
    """What no value of a shape is."""
    return [] if shape.type_name in ("string", "integer", "boolean", "structure", "map") else "x"


def invalid(service):
    """Bodies that are no JSON, and members that are something else than they should be."""
    for name in service.model.operation_names:
        model = service.model.operation_model(name)
        if "ValidationException" not in {shape.name for shape in model.error_shapes}:
            continue
        members = model.input_shape.members if model.input_shape else {}
        in_body = [(key, shape) for key, shape in members.items() if not shape.serialization.get("location")]
        if in_body:
            code, body = service.raw(name, b"{")
            assert (code, body.get("reason")) == ("ValidationException", "CANNOT_PARSE"), f"{name}: {code} {body}"
        for key, shape in in_body:
            text = table.json.dumps({key: wrong(shape)}).encode()
            code, body = service.raw(name, text)
            assert code == "ValidationException", f"{name} {text}: {code} {body}"
        required = [key for key, shape in in_body if model.input_shape and key in model.input_shape.required_members]
        if required:
            code, body = service.raw(name, b"{}")
            assert (code, body.get("reason")) == ("ValidationException", "FIELD_VALIDATION_FAILED"), f"{name}: {code} {body}"
            assert set(required) <= {field["name"] for field in body["fields"]}, f"{name}: {body}"
    # What is not in a body.
    for name, path in [
        ("GetEncryptionKey", "/encryptionkey/get"),
        ("GetEncryptionKey", "/encryptionkey/get?scanType=NONE&resourceType=AWS_LAMBDA_FUNCTION"),
        ("ListTagsForResource", "/tags/" + "x" * 1012),
        ("UntagResource", "/tags/arn"),
        ("ListCodeSecurityIntegrations", "/codesecurity/integration/list?maxResults=0"),
        ("ListCodeSecurityScanConfigurations", "/codesecurity/scan-configuration/list?maxResults=101"),
    ]:
        code, body = service.raw(name, b"", path=path)
        assert (code, body.get("reason")) == ("ValidationException", "FIELD_VALIDATION_FAILED"), f"{name}: {code} {body}"


def denied(service):
    """A role that may not, and signatures that are not right."""
    viewer, known = Service("viewer"), dict(service.facts) | {"filter": "arn", "finding": "arn", "report": U, "export": U, "vulnerability": "CVE-2021-23337"}
    reading = ("Get", "List", "Describe", "Search", "BatchGet")
    for row in table.rows():
        name = row["operation"]
        if not name.startswith(reading):
            # What is asked does not matter: it is not looked at.
            code, body = viewer.raw(name, b"{}")
            assert code == "AccessDeniedException" and f"inspector2:{name}" in body["message"], f"{name}: {code} {body}"
        code, _ = service.raw(name, b"{}", secret="not the secret")
        assert code == "InvalidSignatureException", f"{name}: {code}"
    for role, name, parameters in [
        ("triager", "Disable", {}),
        ("operator", "UpdateOrganizationConfiguration", {"autoEnable": {"ec2": True, "ecr": True}}),
        ("operator", "EnableDelegatedAdminAccount", {"delegatedAdminAccountId": known["account"]}),
    ]:
        Service(role).refused(name, "AccessDeniedException", **parameters)
    for name in ("AssociateMember", "EnableDelegatedAdminAccount"):
        key = "accountId" if name == "AssociateMember" else "delegatedAdminAccountId"
        service.refused(name, "AccessDeniedException", **{key: "999999999999"})
    stranger = Service("viewer")
    stranger.key = ["AKIANOBODYKNOWSTHIS0", "a secret"]
    assert stranger.raw("ListFindings", b"{}")[0] == "UnrecognizedClientException"


def absent(service):
    facts = service.facts
    arn = f"arn:aws:inspector2:{facts['region']}:{facts['account']}:owner/{facts['account']}/filter/{'0' * 16}"
    for name, parameters in [
        ("DeleteFilter", {"arn": arn}),
        ("UpdateFilter", {"filterArn": arn, "action": "NONE"}),
        ("ListTagsForResource", {"resourceArn": arn}),
        ("TagResource", {"resourceArn": arn, "tags": {"a": "b"}}),
        ("UntagResource", {"resourceArn": arn, "tagKeys": ["a"]}),
        ("GetFindingsReportStatus", {"reportId": U}),
        ("CancelFindingsReport", {"reportId": U}),
        ("GetSbomExport", {"reportId": U}),
        ("CancelSbomExport", {"reportId": U}),
        ("GetMember", {"accountId": "999999999999"}),
        ("GetDelegatedAdminAccount", {}),
        ("DisableDelegatedAdminAccount", {"delegatedAdminAccountId": facts["account"]}),
    ]:
        service.refused(name, "ResourceNotFoundException", **parameters)


def in_the_way(service):
    facts = service.facts
    service.call("EnableDelegatedAdminAccount", delegatedAdminAccountId=facts["account"])
    refused = service.refused("EnableDelegatedAdminAccount", "ConflictException", delegatedAdminAccountId=facts["member"])
    assert (refused["resourceId"], refused["resourceType"]) == (facts["account"], "DelegatedAdminAccount"), refused
    service.call("DisableDelegatedAdminAccount", delegatedAdminAccountId=facts["account"])

    criteria = {"vulnerabilityId": equals("CVE-1999-0001")}
    arn = service.call("CreateFilter", name="once", action="NONE", filterCriteria=criteria)["arn"]
    service.refused("CreateFilter", "BadRequestException", name="once", action="NONE", filterCriteria=criteria)
    service.refused("TagResource", "BadRequestException", resourceArn=arn, tags={f"key{n}": "" for n in range(51)})
    service.call("DeleteFilter", arn=arn)


def too_much(service):
    """More filters than an account may have, and more requests than a key may send."""
    criteria = {"vulnerabilityId": equals("CVE-1999-0001")}
    filters = service.client.get_paginator("list_filters")
    before = len(filters.paginate().build_full_result()["filters"])
    made = [service.call("CreateFilter", name=f"of many {n}", action="NONE", filterCriteria=criteria)["arn"] for n in range(500 - before)]
    refused = service.refused("CreateFilter", "ServiceQuotaExceededException", name="one more", action="NONE", filterCriteria=criteria)
    assert refused["resourceId"] == service.facts["account"], refused
    assert len({f["arn"] for f in filters.paginate(PaginationConfig={"PageSize": 100}).build_full_result()["filters"]}) == 500
    for arn in made:
        service.call("DeleteFilter", arn=arn)

    # Others keep the key busy meanwhile; each operation is asked for until it is its turn to be refused.
    hasty, done = Service("hasty"), threading.Event()

    def keep_busy():
        while not done.is_set():
            hasty.raw("ListFilters", b"{")

    others = [threading.Thread(target=keep_busy) for _ in range(3)]
    [thread.start() for thread in others]
    try:
        for name in hasty.model.operation_names:
            assert any(hasty.raw(name, b"{")[0] == "ThrottlingException" for _ in range(2000)), f"{name} was never refused"
    finally:
        done.set()
        [thread.join() for thread in others]
    # What botocore makes of it.
    while True:
        try:
            hasty.call("ListFilters")
        except hasty.client.exceptions.ThrottlingException as error:
            assert error.response["retryAfterSeconds"] == 1, error.response
            break
    service.call("ListFilters")


@contextlib.contextmanager
def damage(path, kinds):
    """Documents of these kinds cannot be read meanwhile, as after a fault of the disk."""
    store = sqlite3.connect(path, timeout=30)
    marks = ", ".join("?" * len(kinds))
    whole = store.execute(f"SELECT body, scope, kind, key FROM documents WHERE kind IN ({marks})", kinds).fetchall()
    scopes = {scope for _, scope, kind, _ in whole if kind == "inspector2-filter"}
    # Of what there is none now there is one that is damaged.
    added = [("{", scope, kind, "damaged") for scope in scopes for kind in set(kinds) - {row[2] for row in whole}]
    with store:
        store.execute(f"UPDATE documents SET body = '{{' WHERE kind IN ({marks})", kinds)
        store.executemany("INSERT INTO documents (body, scope, kind, key) VALUES (?, ?, ?, ?)", added)
    try:
        yield
    finally:
        with store:
            store.executemany("UPDATE documents SET body = ? WHERE scope = ? AND kind = ? AND key = ?", whole)
            store.executemany("DELETE FROM documents WHERE body = ? AND scope = ? AND kind = ? AND key = ?", added)
        store.close()


def damaged(service):
    """What is kept cannot be read: a fault, and not that there is nothing."""
    facts = service.facts
    criteria = {"vulnerabilityId": equals("CVE-1999-0001")}
    arn = service.call("CreateFilter", name="damaged", action="NONE", filterCriteria=criteria)["arn"]
    [another, third] = [service.call("CreateFilter", name=n, action="NONE", filterCriteria=criteria)["arn"] for n in ("second", "third")]
    destination = {"bucketName": "reports", "kmsKeyArn": f"arn:aws:kms:{facts['region']}:{facts['account']}:key/{U}"}
    by_kind = {
        "inspector2-filter": [
            ("CreateFilter", {"name": "new", "action": "NONE", "filterCriteria": criteria}),
            ("UpdateFilter", {"filterArn": arn, "action": "NONE"}),
            ("ListFilters", {}),
            ("ListTagsForResource", {"resourceArn": arn}),
            ("TagResource", {"resourceArn": arn, "tags": {"a": "b"}}),
            ("UntagResource", {"resourceArn": arn, "tagKeys": ["a"]}),
            ("DeleteFilter", {"arn": third}),
        ],
        "inspector2-account": [("BatchGetAccountStatus", {}), ("Enable", {"resourceTypes": ["EC2"]}), ("Disable", {"resourceTypes": ["LAMBDA"]})],
        "inspector2-organization": [
            ("DescribeOrganizationConfiguration", {}),
            ("UpdateOrganizationConfiguration", {"autoEnable": {"ec2": True, "ecr": True}}),
            ("GetDelegatedAdminAccount", {}),
            ("ListDelegatedAdminAccounts", {}),
            ("EnableDelegatedAdminAccount", {"delegatedAdminAccountId": facts["account"]}),
            ("DisableDelegatedAdminAccount", {"delegatedAdminAccountId": facts["account"]}),
        ],
        "inspector2-deep-inspection": [
            ("GetEc2DeepInspectionConfiguration", {}),
            ("UpdateEc2DeepInspectionConfiguration", {"activateDeepInspection": True}),
            ("UpdateOrgEc2DeepInspectionConfiguration", {"orgPackagePaths": []}),
            ("BatchGetMemberEc2DeepInspectionStatus", {"accountIds": [facts["account"]]}),
            ("BatchUpdateMemberEc2DeepInspectionStatus", {"accountIds": [{"accountId": facts["account"], "activateDeepInspection": True}]}),
        ],
        "inspector2-configuration": [("GetConfiguration", {}), ("UpdateConfiguration", {"ec2Configuration": {"scanMode": "EC2_HYBRID"}})],
        "inspector2-report-waiting": [
            ("CreateSbomExport", {"reportFormat": "SPDX_2_3", "s3Destination": destination}),
            ("CreateFindingsReport", {"reportFormat": "JSON", "s3Destination": destination}),
            ("GetFindingsReportStatus", {}),
            ("CancelFindingsReport", {"reportId": U}),
            ("GetSbomExport", {"reportId": U}),
            ("CancelSbomExport", {"reportId": U}),
        ],
    }
    with damage(facts["store"], list(by_kind)):
        for name, parameters in [call for calls in by_kind.values() for call in calls]:
            refused = service.refused(name, "InternalServerException", **parameters)
            assert refused["Error"]["Message"] == "Internal server error.", refused
    for left in (arn, another):
        service.call("DeleteFilter", arn=left)
