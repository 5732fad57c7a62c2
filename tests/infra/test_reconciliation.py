"""The scheduled reconciliation: where it runs, what it may do, and what wakes somebody."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from functions.shared import names
from tests.infra.conftest import SOURCE
from tests.infra.terraform_json import Stack

StackOf = Callable[[str], Stack]


def function(stack: Stack) -> dict[str, Any]:
    return stack.named("aws_lambda_function", f"huntaze-stripe-reconcile-{stack.environment}")


def variables(stack: Stack) -> dict[str, str]:
    found: dict[str, str] = function(stack)["environment"]["variables"]
    return {name: value for name, value in found.items() if not name.startswith("POWERTOOLS_")}


def actions(stack: Stack) -> dict[str, list[str]]:
    granted = stack.role_statements(f"huntaze-stripe-reconcile-{stack.environment}")
    return {action: statement["Resource"] for statement in granted for action in statement["Action"]}


def test_off_deploys_nothing_of_it(stack_of: StackOf) -> None:
    assert not [text for text in stack_of("dev").texts() if "reconcile" in text and "STRIPE" not in text]


def test_report_reads_and_may_change_nothing_but_its_checkpoint(stack_of: StackOf) -> None:
    stack = stack_of("staging")
    assert variables(stack) == {
        names.ENVIRONMENT: "staging",
        names.SECRET_IDS: "${aws_secretsmanager_secret.secret_stripe.arn}",
        names.LIVEMODE: "false",
        names.RECONCILE: "report",
        names.LEDGER_BUCKET: "${aws_s3_bucket.ledger_bucket.bucket}",
        names.IDEMPOTENCY_TABLE: "${aws_dynamodb_table.idempotency.name}",
        names.HANDLED_WITHIN_SECONDS: "21600",
    }
    assert actions(stack) == {
        "dynamodb:BatchGetItem": ["${aws_dynamodb_table.idempotency.arn}"],
        "dynamodb:DescribeTable": ["${aws_dynamodb_table.idempotency.arn}"],
        "dynamodb:GetItem": ["${aws_dynamodb_table.idempotency.arn}"],
        "dynamodb:PutItem": ["${aws_dynamodb_table.idempotency.arn}"],
        "logs:CreateLogStream": ["${aws_cloudwatch_log_group.reconcile_function_logs.arn}:*"],
        "logs:PutLogEvents": ["${aws_cloudwatch_log_group.reconcile_function_logs.arn}:*"],
        "s3:GetObject": ["${aws_s3_bucket.ledger_bucket.arn}/audit/*"],
        "s3:ListBucket": ["${aws_s3_bucket.ledger_bucket.arn}"],
        "secretsmanager:GetSecretValue": ["${aws_secretsmanager_secret.secret_stripe.arn}"],
    }
    granted = stack.role_statements("huntaze-stripe-reconcile-staging")
    (checkpoint,) = [statement for statement in granted if statement["Sid"] == "KeepCheckpoint"]
    assert checkpoint["Condition"] == {
        "ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["reconcile#checkpoint", "reconcile#handled"]}
    }


def test_heal_may_invoke_both_handlers_and_send_to_the_audit_queue(stack_of: StackOf) -> None:
    stack = stack_of("prod")
    granted = stack.role_statements("huntaze-stripe-reconcile-prod")
    invoked = [s["Resource"] for s in granted if s["Action"] == ["lambda:InvokeFunction"]]
    assert sorted(invoked) == [
        ["${aws_lambda_function.billing_function.arn}"],
        ["${aws_lambda_function.payments_function.arn}"],
    ]
    assert actions(stack)["sqs:SendMessage"] == [stack.queue_arn("huntaze-stripe-events-prod.fifo")]
    found = variables(stack)
    assert found[names.RECONCILE] == "heal"
    assert found[names.EVENT_SOURCE_NAME] == SOURCE
    assert found[names.EVENTS_QUEUE_URL] == stack.queue_url("huntaze-stripe-events-prod.fifo")
    assert json.loads(found[names.HANDLER_FUNCTIONS]) == {
        "billing": "huntaze-stripe-billing-prod",
        "payments": "huntaze-stripe-payments-prod",
    }


def test_it_runs_each_hour_with_time_for_a_day(stack_of: StackOf) -> None:
    stack = stack_of("prod")
    schedule = stack.named("aws_scheduler_schedule", "huntaze-stripe-reconcile-schedule-prod")
    assert schedule["schedule_expression"] == "rate(60 minutes)"
    assert schedule["target"]["arn"] == "${aws_lambda_function.reconcile_function.arn}"
    assert function(stack)["timeout"] == 300


def test_missing_events_and_failed_runs_wake_somebody(stack_of: StackOf) -> None:
    stack = stack_of("prod")
    missing = stack.named("aws_cloudwatch_metric_alarm", "huntaze-stripe-events-missing-prod")
    assert (missing["metric_name"], missing["statistic"], missing["threshold"]) == ("EventsMissing", "Sum", 1)
    unhandled = stack.named("aws_cloudwatch_metric_alarm", "huntaze-stripe-events-unhandled-prod")
    assert unhandled["metric_name"] == "EventsUnhandled"
    # A run an hour: the alarm stays on from one to the next.
    assert missing["period"] == unhandled["period"] == 3 * 3600
    assert missing["dimensions"] == {"service": "reconcile", "environment": "prod"}
    assert missing["treat_missing_data"] == "notBreaching"
    failing = stack.named("aws_cloudwatch_metric_alarm", "huntaze-stripe-reconcile-failing-prod")
    assert (failing["period"], failing["threshold"]) == (3 * 3600, 2)
    assert not stack_of("dev").alarms("EventsMissing")


def test_everything_of_it_is_encrypted_with_the_key(secured: Stack) -> None:
    assert function(secured)["kms_key_arn"] == "${aws_kms_key.key.arn}"
    granted = secured.role_statements("huntaze-stripe-reconcile-prod")
    assert "kms:Decrypt" in {action for statement in granted for action in statement["Action"]}


def test_connected_accounts_have_checkpoints_that_it_may_write(secured: Stack, stack_of: StackOf) -> None:
    assert variables(secured)[names.RECONCILE_ACCOUNTS] == "acct_1Secured,acct_2Secured"
    granted = secured.role_statements("huntaze-stripe-reconcile-prod")
    (checkpoint,) = [statement for statement in granted if statement["Sid"] == "KeepCheckpoint"]
    own = ["reconcile#checkpoint", "reconcile#handled"]
    assert checkpoint["Condition"] == {
        "ForAllValues:StringLike": {
            "dynamodb:LeadingKeys": sorted([*own, *(f"{key}#*" for key in own), "reconcile#accounts"])
        }
    }
    assert names.RECONCILE_ACCOUNTS not in variables(stack_of("prod"))
