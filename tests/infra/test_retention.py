"""What docs/security.md says about how long data is kept is what the stack keeps."""

from __future__ import annotations

import re

from functions.shared import names
from infra.constructs import idempotency, ledger
from ops import ROOT
from tests.infra.terraform_json import Stack

DAY = 24 * 3600


def rows() -> dict[str, str]:
    """How long, by where, as the document's table has it."""
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    _, _, table = text.partition("| Where | What of an event | How long |\n|---|---|---|\n")
    cells = [line.strip("| ").split(" | ") for line in table.partition("\n\n")[0].splitlines()]
    return {where: how_long for where, _, how_long in cells}


def test_every_store_of_the_stack_has_its_row(secured: Stack) -> None:
    stores = {
        "aws_s3_bucket": "ledger bucket",
        "aws_dynamodb_table": "DynamoDB",
        "aws_cloudwatch_log_group": "logs of the functions",
        "aws_cloudcontrolapi_resource": "EventBridge archive",
    }
    for kind, row in stores.items():
        assert secured.of_type(kind)
        assert any(where.startswith(row) for where in rows()), row


def test_times_are_those_of_the_stack(stack: Stack) -> None:
    table = rows()
    queues = table["audit queues and dead-letter queues"]
    assert queues == f"{names.QUEUE_RETENTION_SECONDS // DAY} days"
    assert f"{ledger._NONCURRENT_DAYS} days more" in table["ledger bucket, `audit/`"]
    assert f"and {idempotency._MARGIN_DAYS} days more" in table["DynamoDB"]
    assert "`ledger_expiration_days`, 0 by default" in table["ledger bucket, `audit/`"]
    retention = stack.archive()["RetentionDays"]
    default, live = map(int, re.findall(r"\d+", table["EventBridge archive"]))
    assert retention == (live if stack.environment == "prod" else default)
