"""The AWS CLI against a seeded server: every `aws inspector2` subcommand that it knows, in the ways that people call them.

The program's own entry point is called in one process, since starting Python a hundred times over tries nothing of the server.
"""

import contextlib
import io
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import table
from awscli.clidriver import create_clidriver

# With credentials and a region from the environment, as in a shell.
DRIVER = create_clidriver()
SUBCOMMANDS = DRIVER._get_command_table()["inspector2"]._get_command_table()
MODEL = DRIVER.session.get_service_model("inspector2")
COMMAND_OF = {command._operation_model.name: name for name, command in SUBCOMMANDS.items() if hasattr(command, "_operation_model")}


def aws(*arguments):
    """`aws inspector2 …`: the exit code, what it printed, what it said of errors."""
    out, errors = io.StringIO(), io.StringIO()
    # Some of its formatters write bytes.
    out.buffer = io.BytesIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        try:
            code = DRIVER.main(["inspector2", *arguments])
        except SystemExit as left:
            code = left.code
    return code, out.getvalue() + out.buffer.getvalue().decode(), errors.getvalue()


def answered(*arguments):
    code, out, errors = aws(*arguments)
    assert code == 0, f"{arguments}: {errors}"
    return out


def told(*arguments):
    """The same as JSON; of an answer without members nothing is printed."""
    return json.loads(answered(*arguments, "--output", "json") or "{}")


def every_subcommand(known):
    rows = table.rows()
    asked = set()
    for row in rows:
        command = COMMAND_OF.get(row["operation"])
        if command is None:
            continue
        asked.add(command)
        arguments = [command, "--output", "json", "--cli-input-json", json.dumps(table.filled(row["with"], known))]
        if "answers" in row:
            code, _, errors = aws(*arguments)
            assert code == 254 or code == 255, f"{command}: {code}"
            assert f"({row['answers']}) when calling the {row['operation']} operation" in errors, f"{command}: {errors}"
            continue
        out = answered(*arguments)
        answer = json.loads(out) if out else {}
        output = MODEL.operation_model(row["operation"]).output_shape
        members = set(output.members) if output else set()
        assert set(answer) <= members, f"{command}: {answer.keys()}"
        assert not output or set(output.required_members) <= set(answer), f"{command}: {answer.keys()}"
        table.keep(row, answer, known)
        if row["operation"].startswith(("Get", "List", "BatchGet", "Describe", "Search")) and answer:
            drawn = answered(*arguments, "--output", "table")
            assert drawn.startswith("---") and row["operation"] in drawn, f"{command}: {drawn}"
            answered(*arguments, "--output", "text")
    assert asked == set(COMMAND_OF.values()), f"subcommands that nobody calls: {set(COMMAND_OF.values()) - asked}"
    return len(asked)


def listings(known):
    """Pages that the CLI joins itself, one page, the service's own pages; tables, texts and queries."""
    paginated = 0
    paginators = DRIVER.session.get_paginator_model("inspector2")._paginator_config
    for operation, command in COMMAND_OF.items():
        if operation not in paginators:
            continue
        row = next(row for row in table.rows() if row["operation"] == operation)
        needed = MODEL.operation_model(operation).input_shape.required_members
        asked = {name: table.filled(value, known) for name, value in row["with"].items() if name in needed}
        command = [command, "--cli-input-json", json.dumps(asked)]
        key = paginators[operation]["result_key"]
        whole = told(*command).get(key, [])
        if "limit_key" in paginators[operation]:
            joined = told(*command, "--page-size", "1").get(key, [])
            assert joined == whole, f"{command}: pages of one differ from the whole"
        first = told(*command, "--no-paginate")
        assert first.get(key, []) == whole and "nextToken" not in first, f"{command}: more than one page"
        counted = answered(*command, "--output", "text", "--query", f"length({key} || `[]`)")
        assert counted.split() == [str(len(whole))], f"{command}: {counted}"
        paginated += 1
    return paginated


def findings():
    active = "findingStatus=[{comparison=EQUALS,value=ACTIVE}]"
    all_of_them = told("list-findings")["findings"]
    of_active = [finding["findingArn"] for finding in all_of_them if finding["status"] == "ACTIVE"]
    assert len(of_active) >= 5
    arns = answered("list-findings", "--filter-criteria", active, "--query", "findings[].findingArn", "--output", "text")
    assert sorted(arns.split()) == sorted(of_active), arns
    some = told("list-findings", "--max-items", "2")
    assert len(some["findings"]) == 2 and some["NextToken"]
    rest = told("list-findings", "--starting-token", some["NextToken"])
    assert some["findings"] + rest["findings"] == all_of_them
    by_hand, token = [], []
    while True:
        page = told("list-findings", "--no-paginate", "--max-results", "3", *token)
        by_hand += page["findings"]
        if not page.get("nextToken"):
            break
        token = ["--next-token", page["nextToken"]]
    assert by_hand == all_of_them
    drawn = answered("list-findings", "--filter-criteria", active, "--query", "findings[].[severity,title]", "--output", "table")
    assert "ListFindings" in drawn and "HIGH" in drawn and "+--" in drawn, drawn
    # It shows times as they came.
    assert all(1.5e9 < finding["firstObservedAt"] < 4e9 for finding in all_of_them)


def main():
    known = table.facts()
    subcommands = every_subcommand(known)
    paginated = listings(known)
    findings()
    print(f"aws-cli: {subcommands} subcommands, {paginated} listings")


main()
