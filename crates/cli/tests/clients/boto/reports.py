"""Reports of findings and bills of materials, as they lie in the folder that stands for S3."""

import csv
import json
from pathlib import Path

from service import Service, equals

U = "00000000-0000-4000-8000-000000000000"


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
        status = service.call("GetFindingsReportStatus", reportId=id)
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
        status = service.call("GetSbomExport", reportId=id)
        assert (status["status"], status["format"]) == ("SUCCEEDED", form), status
        documents = [json.loads(path.read_text()) for path in (folder / f"client-suite/s/{form}_outputs_{id}").rglob("*.json")]
        assert len(documents) >= 5 and all(document[marker[0]] == marker[1] for document in documents), form
        assert any("lodash" in json.dumps(document) for document in documents)
    return "5 reports"
