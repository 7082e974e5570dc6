"""Every operation of the model, with a request that is valid."""

import base64

import table
from service import Service


def run():
    service = Service()
    known = dict(service.facts)
    for row in table.rows():
        operation, parameters = row["operation"], table.filled(row["with"], known)
        for message in parameters.get("messages", []):
            message["cisRuleDetails"] = base64.b64decode(message["cisRuleDetails"])
        if "answers" in row:
            service.refused(operation, row["answers"], **parameters)
        else:
            table.keep(row, service.call(operation, **parameters), known)
    missed = set(service.model.operation_names) - {row["operation"] for row in table.rows()}
    assert not missed, f"operations of the model that nobody calls: {missed}"
    assert set(service.model.operation_names) <= service.seen.keys()
    one_is_who_one_is()
    a_bill_of_materials_is_scanned()
    return f"{len(service.model.operation_names)} operations"


def one_is_who_one_is():
    facts = Service.facts
    for role in facts["keys"]:
        who = Service(role, "sts").client.get_caller_identity()
        arn = f"arn:aws:iam::{facts['account']}:user/{role}"
        assert (who["Account"], who["Arn"], who["UserId"]) == (facts["account"], arn, role), who


def a_bill_of_materials_is_scanned():
    service = Service(service="inspector-scan")
    component = {"type": "library", "name": "lodash", "version": "4.17.20", "purl": "pkg:npm/lodash@4.17.20"}
    document = {"bomFormat": "CycloneDX", "specVersion": "1.5", "components": [component]}
    answer = service.client.scan_sbom(sbom=document, outputFormat="CYCLONE_DX_1_5")["sbom"]
    assert [found["id"] for found in answer["vulnerabilities"]] == ["CVE-2021-23337"], answer
    answer = service.client.scan_sbom(sbom=document, outputFormat="INSPECTOR")["sbom"]
    assert answer["vulnerability_count"]["high"] == 1, answer
    refused = service.refused("ScanSbom", "ValidationException", sbom={"bomFormat": "none"})
    assert refused["reason"] in ("CANNOT_PARSE", "UNSUPPORTED_SBOM_TYPE", "FIELD_VALIDATION_FAILED", "OTHER"), refused
