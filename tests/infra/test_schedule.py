"""The scheduled functions: who may invoke them, how often, and what they may do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from functions.dead_letters.lease import RunLease
from functions.shared import names
from tests.infra.conftest import synthesise_into
from tests.infra.terraform_json import LOG_ACTIONS, Stack, statements

REDRIVE_ACTIONS = LOG_ACTIONS | {
    "dynamodb:UpdateItem",
    "lambda:InvokeFunction",
    "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessage",
    "sqs:ReceiveMessage",
    "sqs:SendMessage",
}
AUDIT_QUEUES = ("audit-payments-dlq", "audit-billing-dlq", "audit-other-dlq", "audit-dlq")


@pytest.fixture(scope="module")
def prod(outdir: Path) -> Stack:
    return Stack.read(outdir, "huntaze-stripe-prod")


def test_outages_heal_themselves_in_prod_alone(outdir: Path) -> None:
    for environment, on in (("dev", False), ("staging", False), ("prod", True)):
        functions = (
            Stack.read(outdir, f"huntaze-stripe-{environment}").of_type("aws_lambda_function").values()
        )
        names_of = {made["function_name"] for made in functions}
        assert (f"huntaze-stripe-redrive-{environment}" in names_of) is on


def test_schedule_invokes_the_function_and_nothing_else(prod: Stack) -> None:
    schedule = prod.named("aws_scheduler_schedule", "huntaze-stripe-redrive-schedule-prod")
    function = prod.named("aws_lambda_function", "huntaze-stripe-redrive-prod")
    assert function["handler"] == "functions.redrive.handler"
    assert schedule["schedule_expression"] == "rate(5 minutes)"
    assert schedule["flexible_time_window"] == {"mode": "OFF"}
    assert schedule["target"]["arn"] == "${aws_lambda_function.redrive_function.arn}"
    assert schedule["target"]["retry_policy"]["maximum_event_age_in_seconds"] == 300
    role = prod.named("aws_iam_role_policy", "huntaze-stripe-redrive-schedule-prod")
    (statement,) = statements(role["policy"])
    assert statement["Action"] == ["lambda:InvokeFunction"]
    assert statement["Resource"] == ["${aws_lambda_function.redrive_function.arn}"]
    trust = json.loads(
        prod.named("aws_iam_role", "huntaze-stripe-redrive-schedule-prod")["assume_role_policy"]
    )
    assert trust["Statement"][0]["Principal"] == {"Service": "scheduler.amazonaws.com"}
    assert trust["Statement"][0]["Condition"] == {
        "StringEquals": {"aws:SourceAccount": "${data.aws_caller_identity.account_identity.account_id}"}
    }


def test_run_that_failed_is_left_to_the_next(prod: Stack) -> None:
    address = prod.address("aws_lambda_function", "huntaze-stripe-redrive-prod")
    (config,) = [
        found
        for found in prod.of_type("aws_lambda_function_event_invoke_config").values()
        if found["function_name"] == f"${{{address}.function_name}}"
    ]
    assert config["maximum_retry_attempts"] == 0
    assert "destination_config" not in config


@pytest.mark.parametrize(("name", "age"), [("redrive", 300), ("reconcile", 3600)])
def test_run_that_could_not_begin_by_the_next_ones_time_never_does(prod: Stack, name: str, age: int) -> None:
    address = prod.address("aws_lambda_function", f"huntaze-stripe-{name}-prod")
    (config,) = [
        found
        for found in prod.of_type("aws_lambda_function_event_invoke_config").values()
        if found["function_name"] == f"${{{address}.function_name}}"
    ]
    schedule = prod.named("aws_scheduler_schedule", f"huntaze-stripe-{name}-schedule-prod")
    assert config["maximum_event_age_in_seconds"] == age
    assert schedule["target"]["retry_policy"]["maximum_event_age_in_seconds"] == age


@pytest.mark.parametrize(("minutes", "handler"), [(5, 30), (1, 28), (10, 60)])
def test_run_may_last_until_the_next_one_begins(tmp_path: Path, minutes: int, handler: int) -> None:
    overrides = {
        "AUTO_REDRIVE": "true",
        "AUTO_REDRIVE_MINUTES": str(minutes),
        "BILLING_TIMEOUT_SECONDS": str(handler),
        "PAYMENTS_TIMEOUT_SECONDS": "28",
    }
    stack = Stack.read(synthesise_into(tmp_path, overrides), "huntaze-stripe-dev")
    function = stack.named("aws_lambda_function", "huntaze-stripe-redrive-dev")
    reserve = handler + names.REDRIVE_RESERVE_SECONDS
    # Scheduler may start the next run up to a minute late.
    assert minutes * 60 + 60 <= function["timeout"] - reserve
    assert function["timeout"] <= 900


def test_abandoned_events_and_events_that_stay_have_their_own_alarms(prod: Stack) -> None:
    own = {"service": "redrive", "environment": "prod"}
    given_up = prod.named("aws_cloudwatch_metric_alarm", "huntaze-stripe-redrive-given-up-prod")
    assert (given_up["metric_name"], given_up["dimensions"]) == (names.EVENTS_GIVEN_UP, own)
    # One minute, so that each run that gives an event up starts it again.
    assert (given_up["statistic"], given_up["period"], given_up["threshold"]) == ("Sum", 60, 1)
    left = prod.named("aws_cloudwatch_metric_alarm", "huntaze-stripe-redrive-left-prod")
    assert (left["metric_name"], left["dimensions"]) == (names.EVENTS_LEFT, own)
    assert (left["statistic"], left["period"], left["threshold"]) == ("Minimum", 3600, 1)


def test_alarms_on_a_run_do_not_mention_lost_events(prod: Stack) -> None:
    alarms = prod.of_type("aws_cloudwatch_metric_alarm").values()
    watched = {
        found["metric_name"]
        for found in alarms
        if found.get("dimensions", {}).get("FunctionName") == "huntaze-stripe-redrive-prod"
    }
    # A run that failed brings no event with it, and the next one does its work.
    assert watched == {"Errors", "Throttles", "Invocations"}


def address_of(short_name: str) -> str:
    return f"huntaze-stripe-{short_name}-prod" + (".fifo" if short_name == "audit-dlq" else "")


def test_redrive_may_do_nothing_more_than_redrive(prod: Stack) -> None:
    granted = prod.role_statements("huntaze-stripe-redrive-prod")
    assert {action for statement in granted for action in statement["Action"]} == REDRIVE_ACTIONS
    resources = {resource for statement in granted for resource in statement["Resource"]}
    assert resources == {
        "${aws_cloudwatch_log_group.redrive_function_logs.arn}:*",
        "${aws_dynamodb_table.idempotency.arn}",
        "${aws_lambda_function.payments_function.arn}",
        "${aws_lambda_function.billing_function.arn}",
        prod.queue_arn("huntaze-stripe-payments-dlq-prod"),
        prod.queue_arn("huntaze-stripe-billing-dlq-prod"),
        *(prod.queue_arn(address_of(name)) for name in AUDIT_QUEUES),
        prod.queue_arn("huntaze-stripe-events-prod.fifo"),
    }
    sids = [statement["Sid"] for statement in granted]
    assert len(sids) == len(set(sids))


class Written:
    """Stands for the idempotency table; keeps the keys that were written."""

    def __init__(self) -> None:
        self.keys: set[str] = set()

    def update(self, key: str, *_: Any, **__: Any) -> dict[str, Any]:
        self.keys.add(key)
        return {}

    def expiration(self) -> int:
        return 0


def test_redrive_may_write_its_own_item_and_no_handlers_record(prod: Stack) -> None:
    table: Any = Written()
    lease = RunLease(table, 60)
    lease.try_acquire()
    lease.until = 0.0
    lease.renew()
    lease.release()
    (own,) = [s for s in prod.role_statements("huntaze-stripe-redrive-prod") if s["Sid"] == "KeepRun"]
    assert own["Condition"] == {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [*table.keys]}}


def test_redrive_gets_the_handlers_and_their_queues(prod: Stack) -> None:
    variables = prod.named("aws_lambda_function", "huntaze-stripe-redrive-prod")["environment"]["variables"]
    assert json.loads(variables[names.HANDLER_FUNCTIONS]) == {
        family: f"huntaze-stripe-{family}-prod" for family in ("payments", "billing")
    }
    assert json.loads(variables[names.DEAD_LETTER_QUEUE_URLS]) == {
        **{f: prod.queue_url(f"huntaze-stripe-{f}-dlq-prod") for f in ("payments", "billing")},
        **{name: prod.queue_url(address_of(name)) for name in AUDIT_QUEUES},
    }
    assert variables[names.EVENTS_QUEUE_URL] == prod.queue_url("huntaze-stripe-events-prod.fifo")
    assert variables[names.HANDLER_SECONDS] == "30"
    assert (variables[names.AUTO_REDRIVE_ATTEMPTS], variables[names.AUTO_REDRIVE_PER_SECOND]) == ("10", "5")
    assert names.SECRET_IDS not in variables


@pytest.mark.parametrize(("minutes", "expression"), [("1", "rate(1 minute)"), ("10", "rate(10 minutes)")])
def test_alarm_reports_that_it_does_not_run(tmp_path: Path, minutes: str, expression: str) -> None:
    overrides = {"AUTO_REDRIVE": "true", "AUTO_REDRIVE_MINUTES": minutes}
    stack = Stack.read(synthesise_into(tmp_path, overrides), "huntaze-stripe-dev")
    assert stack.only("aws_scheduler_schedule")["schedule_expression"] == expression
    alarm = stack.named("aws_cloudwatch_metric_alarm", "huntaze-stripe-redrive-not-running-dev")
    assert alarm["metric_name"] == "Invocations"
    assert alarm["dimensions"] == {"FunctionName": "huntaze-stripe-redrive-dev"}
    assert (alarm["comparison_operator"], alarm["threshold"]) == ("LessThanThreshold", 1)
    assert (alarm["period"], alarm["treat_missing_data"]) == (3600, "breaching")
