"""docs/permissions.md shows the statements of the stack as it is synthesised now."""

from __future__ import annotations

import json

import pytest

from ops.dev import command_rights, permissions
from tests.infra.terraform_json import Stack


def test_page_is_what_the_stack_grants_now() -> None:
    assert permissions.FILE.read_text(encoding="utf-8") == permissions.text(), "stale: run `make docs`"


def test_no_environment_grants_what_the_page_does_not_have(stack: Stack, secured: Stack) -> None:
    page = permissions.FILE.read_text(encoding="utf-8")
    for each in (*permissions.granted(stack.document), *permissions.granted(secured.document)):
        kind, _, name = each.place.rpartition(" ")
        assert kind
        assert f"`{name.replace(f'-{stack.environment}', '-ENV').replace('-prod', '-ENV')}`" in page
        assert f"`{each.sid}`" in page
        assert each.purpose


def test_every_statement_has_a_name_and_every_purpose_a_statement(secured: Stack) -> None:
    assert all(each.sid and each.actions for each in permissions.granted(secured.document))
    used = {row.split("`")[1].rstrip("0123456789") for row in _rows()}
    used |= {row.split("`")[3].rstrip("0123456789") for row in _rows() if row.count("`") > 3}
    assert set(permissions.PURPOSES) - used == {"ReadWithFormerKeys"}, "only former_kms_key_arns adds it"


def _rows() -> list[str]:
    text = permissions.FILE.read_text(encoding="utf-8").partition(command_rights.TITLE)[0]
    return [line for line in text.splitlines() if line.startswith("| `")]


@pytest.mark.parametrize("kind", ["aws_iam_role_policy", "aws_sqs_queue_policy"])
def test_no_statement_of_the_stack_is_left_out(secured: Stack, kind: str) -> None:
    declared = sum(len(json.loads(each["policy"])["Statement"]) for each in secured.of_type(kind).values())
    prefix = {"aws_iam_role_policy": "role ", "aws_sqs_queue_policy": "queue "}[kind]
    shown = [each for each in permissions.granted(secured.document) if each.place.startswith(prefix)]
    assert len(shown) == declared > 0
