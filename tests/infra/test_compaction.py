"""The scheduled compaction of the ledger: where it runs, and what it may do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from functions.compaction.run import RESERVE_MILLISECONDS
from functions.shared import names
from infra.settings.function import COMPACTION_RESERVE_SECONDS
from tests.infra.conftest import synthesise_into
from tests.infra.terraform_json import Stack

NAME = "huntaze-stripe-compact-dev"
BUCKET = "${aws_s3_bucket.ledger_bucket.arn}"


@pytest.fixture(scope="module")
def on(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """dev with the compaction."""
    folder = synthesise_into(tmp_path_factory.mktemp("compaction"), {"LEDGER_COMPACTION": "true"})
    return Stack.read(folder, "huntaze-stripe-dev")


def function(stack: Stack) -> dict[str, Any]:
    return stack.named("aws_lambda_function", NAME)


def test_it_is_off_where_nobody_turns_it_on(stack_of: Callable[[str], Stack]) -> None:
    for environment in ("dev", "staging", "prod"):
        assert not [text for text in stack_of(environment).texts() if "functions.compact.handler" in text]


def test_it_runs_each_hour_with_all_the_time_that_lambda_has(on: Stack) -> None:
    assert function(on)["handler"] == "functions.compact.handler"
    assert (function(on)["timeout"], function(on)["memory_size"]) == (900, 512)
    schedule = on.named("aws_scheduler_schedule", "huntaze-stripe-compact-schedule-dev")
    assert schedule["schedule_expression"] == "rate(60 minutes)"
    assert COMPACTION_RESERVE_SECONDS * 1000 == RESERVE_MILLISECONDS


def test_it_gets_the_bucket_and_the_table_and_no_secret(on: Stack) -> None:
    variables = function(on)["environment"]["variables"]
    own = {name: value for name, value in variables.items() if not name.startswith("POWERTOOLS_")}
    assert own == {
        names.ENVIRONMENT: "dev",
        names.LEDGER_BUCKET: "${aws_s3_bucket.ledger_bucket.bucket}",
        names.IDEMPOTENCY_TABLE: "${aws_dynamodb_table.idempotency.name}",
    }


def test_it_may_write_compacted_objects_alone_and_delete_nothing_for_ever(on: Stack) -> None:
    granted = on.role_statements(NAME)
    logs = "${aws_cloudwatch_log_group.compact_function_logs.arn}:*"
    assert {action: statement["Resource"] for statement in granted for action in statement["Action"]} == {
        "dynamodb:UpdateItem": ["${aws_dynamodb_table.idempotency.arn}"],
        "logs:CreateLogStream": [logs],
        "logs:PutLogEvents": [logs],
        "s3:DeleteObject": [f"{BUCKET}/audit/*"],
        "s3:GetObject": [f"{BUCKET}/audit/*"],
        "s3:ListBucket": [BUCKET],
        "s3:PutObject": [f"{BUCKET}/audit/*-compacted.jsonl.gz"],
    }
    (lease,) = [statement for statement in granted if statement["Sid"] == "HoldLedger"]
    assert lease["Condition"] == {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["ledger#rewrite"]}}


def test_failed_and_missing_runs_wake_somebody(on: Stack) -> None:
    failing = on.named("aws_cloudwatch_metric_alarm", "huntaze-stripe-compact-failing-dev")
    assert (failing["period"], failing["threshold"]) == (3 * 3600, 2)
    assert on.named("aws_cloudwatch_composite_alarm", "huntaze-stripe-compact-stopped-dev")


def test_with_a_key_it_may_decrypt_and_encrypt(secured: Stack) -> None:
    granted = secured.role_statements("huntaze-stripe-compact-prod")
    actions = {action for statement in granted for action in statement["Action"]}
    assert {"kms:Decrypt", "kms:GenerateDataKey"} <= actions
