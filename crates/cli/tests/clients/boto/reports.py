"""Reports of findings and bills of materials, as they lie in the folder that stands for S3."""

import csv
import json
import time
from pathlib import Path

from service import Service, equals

U = "00000000-0000-4000-8000-000000000000"


def ended(service, get, id):
    """How a report ended, which is written after the answer to who asked for it."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        status = service.call(get, reportId=id)
        if status["status"] != "IN_PROGRESS":
            return status
        time.sleep(0.02)
    raise AssertionError(f"{get} {id}: {status} after a minute")


def cancelled(service, create, get, cancel, **parameters):
    """Some are taken back before they are written, and none afterwards."""
    for _ in range(20):
        id = service.call(create, **parameters)["reportId"]
        try:
            assert service.call(cancel, reportId=id)["reportId"] == id
        except service.client.exceptions.ValidationException as error:
            assert [field["name"] for field in error.response["fields"]] == ["reportId"], error
            assert ended(service, get, id)["status"] == "SUCCEEDED"
            continue
        assert service.call(get, reportId=id)["status"] == "CANCELLED"
        service.refused(cancel, "ValidationException", reportId=id)
        return
    raise AssertionError(f"of twenty none could be taken back by {cancel}")


def run():
    service = Service("triager")
    facts = service.facts
    folder = Path(facts["exports"])
    key = f"arn:aws:kms:{facts['region']}:{facts['account']}:key/{U}"

    def destination(prefix):
        return {"bucketName": "client-suite", "keyPrefix": prefix, "kmsKeyArn": key}

    active = {"findingStatus": equals("ACTIVE")}
    findings = service.call("ListFindings", filterCriteria=active)["findings"]
    everything = service.call("ListFindings")["findings"]
    for form, criteria, expected in [("CSV", None, findings), ("JSON", None, findings), ("JSON", {"resourceType": equals("AWS_LAMBDA_FUNCTION")}, None)]:
        parameters = {"filterCriteria": criteria} if criteria else {}
        id = service.call("CreateFindingsReport", reportFormat=form, s3Destination=destination("f"), **parameters)["reportId"]
        status = ended(service, "GetFindingsReportStatus", id)
        assert (status["status"], status["destination"]["bucketName"]) == ("SUCCEEDED", "client-suite"), status
        assert service.call("GetFindingsReportStatus")["reportId"] == id, "the latest one"
        text = (folder / f"client-suite/f/{id}.{form.lower()}").read_text()
        arns = [row["Finding ARN"] for row in csv.DictReader(text.splitlines())] if form == "CSV" else [f["findingArn"] for f in json.loads(text)["findings"]]
        of_functions = [f for f in findings if f["resources"][0]["type"] == "AWS_LAMBDA_FUNCTION"]
        expected = of_functions if expected is None else expected
        assert expected and sorted(arns) == sorted(f["findingArn"] for f in expected), (form, arns)
    assert len(everything) > len(findings)

    for form, marker in [("CYCLONEDX_1_4", ("bomFormat", "CycloneDX")), ("SPDX_2_3", ("spdxVersion", "SPDX-2.3"))]:
        id = service.call("CreateSbomExport", reportFormat=form, s3Destination=destination("s"))["reportId"]
        status = ended(service, "GetSbomExport", id)
        assert (status["status"], status["format"]) == ("SUCCEEDED", form), status
        documents = [json.loads(path.read_text()) for path in (folder / f"client-suite/s/{form}_outputs_{id}").rglob("*.json")]
        assert len(documents) >= 5 and all(document[marker[0]] == marker[1] for document in documents), form
        assert any("lodash" in json.dumps(document) for document in documents)
    cancelled(service, "CreateFindingsReport", "GetFindingsReportStatus", "CancelFindingsReport", reportFormat="JSON", s3Destination=destination("c"))
    cancelled(service, "CreateSbomExport", "GetSbomExport", "CancelSbomExport", reportFormat="SPDX_2_3", s3Destination=destination("c"))
    return "5 reports and 2 that were taken back"
