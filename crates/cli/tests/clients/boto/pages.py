"""Every paginator of the model, walked in the smallest pages there are and compared with one page of all."""

import botocore

import table
from service import Service, equals

U = "00000000-0000-4000-8000-000000000000"
# What is asked, and how many there are at least in the seeded server: a listing of nothing proves nothing where there is something.
ASKED = {
    "ListFindings": [({}, 9), ({"sortCriteria": {"field": "VULNERABILITY_ID", "sortOrder": "DESC"}}, 9), ({"filterCriteria": {"findingStatus": equals("ACTIVE")}}, 5)],
    "ListCoverage": [({}, 8), ({"filterCriteria": {"scanStatusCode": equals("ACTIVE")}}, 5)],
    "ListCoverageStatistics": [({"groupBy": by}, 1) for by in ("RESOURCE_TYPE", "SCAN_STATUS_CODE", "SCAN_STATUS_REASON", "ACCOUNT_ID")],
    "ListFindingAggregations": [({"aggregationType": kind}, 2) for kind in ("TITLE", "PACKAGE", "ACCOUNT")] + [({"aggregationType": "AWS_EC2_INSTANCE"}, 1)],
    "ListFilters": [({}, 3), ({"action": "SUPPRESS"}, 1)],
    "ListMembers": [({}, 2)],
    "ListAccountPermissions": [({}, 6), ({"service": "ECR"}, 2)],
    "ListDelegatedAdminAccounts": [({}, 0)],
    "ListUsageTotals": [({}, 1)],
    "SearchVulnerabilities": [({"filterCriteria": {"vulnerabilityIds": ["CVE-2021-23337"]}}, 1)],
    "GetClustersForImage": [({"filter": {"resourceId": "{image}"}}, 0)],
    "GetCisScanResultDetails": [({"scanArn": "{cis}", "targetResourceId": "i-0123456789abcdef0", "accountId": "{account}"}, 0)],
    "ListCisScanConfigurations": [({}, 0)],
    "ListCisScanResultsAggregatedByChecks": [({"scanArn": "{cis}"}, 0)],
    "ListCisScanResultsAggregatedByTargetResource": [({"scanArn": "{cis}"}, 0)],
    "ListCisScans": [({}, 0)],
    "ListConnectorScanConfigurations": [({}, 0)],
    "ListConnectors": [({}, 0)],
    "ListOnDemandScans": [({"resourceId": "i-0123456789abcdef0", "resourceType": "AMI"}, 0)],
}


def run():
    service = Service("viewer")
    session = botocore.session.get_session()
    paginators = session.get_paginator_model("inspector2")._paginator_config
    assert set(paginators) == set(ASKED), set(paginators) ^ set(ASKED)
    facts = service.facts
    known = facts | {"cis": f"arn:aws:inspector2:{facts['region']}:{facts['account']}:owner/{facts['account']}/cis-scan/{U}"}
    walked = 0
    for operation, cases in ASKED.items():
        config = paginators[operation]
        key, limit = config["result_key"], config.get("limit_key")
        for parameters, least in cases:
            walked += walk(service, operation, table.filled(parameters, known), least, key, limit)
    # With no filter the accounts are told one by one where they are named.
    named = {"accountIds": [facts["account"], facts["member"]]}
    walked += walk(service, "ListUsageTotals", named, 2, "totals", "maxResults")
    a_token_is_good_for_its_query_alone(service)
    return f"{len(ASKED)} paginators, {walked} pages"


def walk(service, operation, parameters, least, key, limit):
    paginator = service.client.get_paginator(botocore.xform_name(operation))

    def rows(size):
        config = {"PageSize": size} if limit and size else {}
        pages = [page.get(key, []) for page in paginator.paginate(**parameters, PaginationConfig=config)]
        assert not config or all(len(page) <= size for page in pages), f"{operation}: a page is larger than was asked: {[len(page) for page in pages]}"
        return pages

    [whole] = rows(None)
    assert len(whole) >= least, f"{operation} {parameters}: {len(whole)} rows, expected {least}: {whole}"
    assert all(whole.count(row) == 1 for row in whole), f"{operation}: a row comes twice"
    pages = 0
    for size in (1, 2, 3) if limit else (None,):
        small = rows(size)
        joined = [row for page in small for row in page]
        assert joined == whole, f"{operation} {parameters}: pages of {size} differ from the whole: {joined} != {whole}"
        assert not limit or len(small) >= len(whole) // size, f"{operation}: {len(small)} pages"
        pages += len(small)
    return pages


def a_token_is_good_for_its_query_alone(service):
    token = service.call("ListFindings", maxResults=1)["nextToken"]
    another = {"filterCriteria": {"severity": equals("HIGH")}}
    for parameters in ({"nextToken": token + "x"}, {"nextToken": "x"}, {"nextToken": token, **another}):
        refused = service.refused("ListFindings", "ValidationException", **parameters)
        assert [field["name"] for field in refused["fields"]] == ["nextToken"], refused
