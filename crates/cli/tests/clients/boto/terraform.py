"""The calls that the Terraform provider makes, in its order: `aws_inspector2_enabler`, `_organization_configuration`, `_filter`,
`_delegated_admin_account`, `_member_association`. Each is created, read until it is as wanted, read again without a difference,
updated, and destroyed."""

import time

from service import Service, equals


def until(what, ask):
    """The provider polls; the server may take a moment, not minutes."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if (answer := ask()) is not None:
            return answer
        time.sleep(0.05)
    raise AssertionError(f"not within a minute: {what}")


def run():
    service = Service("admin")
    who = Service("admin", "sts").client.get_caller_identity()
    enabler(service, who["Account"])
    organization(service)
    delegated_admin(service, who["Account"])
    member(service, service.facts["member"])
    filters(service)
    return "5 resources"


def enabler(service, account):
    types = ["EC2", "ECR", "LAMBDA", "LAMBDA_CODE"]

    def status(wanted):
        answer = service.call("BatchGetAccountStatus", accountIds=[account])
        assert not answer["failedAccounts"], answer
        [state] = answer["accounts"]
        kinds = {"EC2": "ec2", "ECR": "ecr", "LAMBDA": "lambda", "LAMBDA_CODE": "lambdaCode"}
        states = {kind: state["resourceState"][name]["status"] for kind, name in kinds.items()}
        return state if all(states[kind] == wanted for kind in types) else None

    enabled = service.call("Enable", accountIds=[account], resourceTypes=types, clientToken="a-token")
    assert not enabled["failedAccounts"] and enabled["accounts"][0]["accountId"] == account
    state = until("everything is enabled", lambda: status("ENABLED"))
    assert state["state"]["status"] == "ENABLED", state
    assert service.call("Enable", accountIds=[account], resourceTypes=types)["accounts"], "and again does no harm"
    service.call("Disable", accountIds=[account], resourceTypes=types)
    state = until("everything is disabled", lambda: status("DISABLED"))
    assert state["state"]["status"] == "DISABLED", state
    service.call("Enable", accountIds=[account], resourceTypes=["EC2", "ECR"])


def organization(service):
    before = service.call("DescribeOrganizationConfiguration")
    assert not before["maxAccountLimitReached"]
    wanted = {"ec2": True, "ecr": False, "lambda": True, "lambdaCode": False, "codeRepository": False}
    assert service.call("UpdateOrganizationConfiguration", autoEnable=wanted)["autoEnable"] == wanted
    read = service.call("DescribeOrganizationConfiguration")["autoEnable"]
    assert {name: read[name] for name in wanted} == wanted, read
    # Destroyed, it is all off.
    service.call("UpdateOrganizationConfiguration", autoEnable=dict.fromkeys(wanted, False))
    assert not any(service.call("DescribeOrganizationConfiguration")["autoEnable"].values())


def delegated_admin(service, account):
    def listed():
        pages = service.client.get_paginator("list_delegated_admin_accounts").paginate()
        return [admin["status"] for page in pages for admin in page["delegatedAdminAccounts"] if admin["accountId"] == account]

    assert service.call("EnableDelegatedAdminAccount", delegatedAdminAccountId=account, clientToken="a-token")
    assert until("it is listed", lambda: listed() or None) == ["ENABLED"]
    service.call("DisableDelegatedAdminAccount", delegatedAdminAccountId=account)
    until("it is not listed", lambda: True if not listed() else None)


def member(service, account):
    service.call("AssociateMember", accountId=account)
    read = until("it is enabled", lambda: service.call("GetMember", accountId=account)["member"])
    assert (read["accountId"], read["relationshipStatus"]) == (account, "ENABLED"), read


def filters(service):
    def read(arn):
        answer = service.call("ListFilters", arns=[arn])["filters"]
        return answer[0] if answer else None

    criteria = {"awsAccountId": equals("111122223333"), "ecrImagePushedAt": [{"startInclusive": 1_700_000_000, "endInclusive": 1_800_000_000}]}
    created = service.call("CreateFilter", name="of-terraform", action="NONE", filterCriteria=criteria, tags={"made-by": "terraform"})
    first = read(created["arn"])
    assert (first["name"], first["action"], first["tags"]) == ("of-terraform", "NONE", {"made-by": "terraform"}), first
    assert first["criteria"]["awsAccountId"] == criteria["awsAccountId"], "read again, there is no difference"
    assert [r["startInclusive"].timestamp() for r in first["criteria"]["ecrImagePushedAt"]] == [1_700_000_000]
    assert service.call("ListTagsForResource", resourceArn=first["arn"])["tags"] == first["tags"]

    changed = {"severity": equals("LOW")}
    updated = service.call("UpdateFilter", filterArn=first["arn"], name="renamed", description="why", action="SUPPRESS", filterCriteria=changed)
    assert updated["arn"] == first["arn"]
    second = read(first["arn"])
    assert (second["name"], second["description"], second["action"], second["criteria"]) == ("renamed", "why", "SUPPRESS", changed), second
    assert second["createdAt"] == first["createdAt"] and second["updatedAt"] >= first["updatedAt"]

    service.call("UntagResource", resourceArn=first["arn"], tagKeys=["made-by"])
    service.call("TagResource", resourceArn=first["arn"], tags={"team": "blue"})
    assert service.call("ListTagsForResource", resourceArn=first["arn"])["tags"] == {"team": "blue"}
    service.call("DeleteFilter", arn=first["arn"])
    assert read(first["arn"]) is None
    service.refused("DeleteFilter", "ResourceNotFoundException", arn=first["arn"])
