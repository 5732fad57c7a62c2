"""What docs/security.md says about how long data is kept is what the stack keeps."""

from __future__ import annotations

import re
from typing import Any

import pytest

from functions.shared import names
from infra import settings
from infra.constructs import idempotency, ledger
from infra.settings import Settings
from ops import ROOT
from ops.rights.console import PREFIX
from tests.infra.conftest import ENVIRONMENTS
from tests.infra.terraform_json import Stack

DAY = 24 * 3600
# Rows whose days differ by environment, with the setting that changes them.
BY_SETTING = {
    "ledger bucket, `audit/`": "ledger_expiration_days",
    "ledger bucket, locked versions": "ledger_object_lock_days",
    "EventBridge archive": "archive_retention_days",
    "logs of the functions": "log_retention_days",
    "log group of the bus (`bus_logs`, for test accounts)": "log_retention_days",
    "secrets": "secret_recovery_days",
}
QUEUES = {
    "audit queue": r"events",
    "dead-letter queues of handlers": r"(payments|billing)-dlq",
    "dead-letter queues of the audit": r"audit(-(payments|billing|other))?-dlq",
    "`bus-dlq` (`create_kms_key`), `log-dlq` (`bus_logs`)": r"(bus|log)-dlq",
}


def table() -> dict[str, tuple[str, str]]:
    """How long, and what changes it, by where."""
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    _, _, found = text.partition("| Where | What of an event | How long | Changed by |\n|---|---|---|---|\n")
    cells = [line.strip("| ").split(" | ") for line in found.partition("\n\n")[0].splitlines()]
    assert len(cells) > 15
    return {where: (how_long, changed_by) for where, _, how_long, changed_by in cells}


def days(row: str, environment: str) -> int:
    """The days of a row: those of the environment if it names it, else the first number."""
    how_long, _ = table()[row]
    own = re.search(rf"\b{environment} (\d+)", how_long) or re.search(r"(\d+)", how_long)
    assert own is not None, how_long
    return int(own[1])


def test_every_store_of_the_stack_has_its_row(secured: Stack) -> None:
    stores = {
        "aws_s3_bucket": "ledger bucket",
        "aws_dynamodb_table": "DynamoDB",
        "aws_cloudwatch_log_group": "logs of the functions",
        "aws_secretsmanager_secret": "secrets",
        "aws_lambda_function": "Lambda's own queues",
    }
    for kind, row in stores.items():
        assert secured.of_type(kind)
        assert any(where.startswith(row) for where in table()), row
    assert "EventBridge archive" in table()
    for name in secured.queues():
        short = name.removeprefix("huntaze-stripe-").removesuffix(".fifo").removesuffix("-prod")
        assert [row for row, pattern in QUEUES.items() if re.fullmatch(pattern, short)], name


def test_queues_keep_messages_as_long_as_their_rows_say(secured: Stack) -> None:
    kept = {queue["MessageRetentionPeriod"] for queue in secured.queues().values()}
    assert kept == {names.QUEUE_RETENTION_SECONDS}
    for row in QUEUES:
        assert table()[row][0] == f"{names.QUEUE_RETENTION_SECONDS // DAY} days"


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("row", BY_SETTING)
def test_days_are_those_of_the_settings(row: str, environment: str) -> None:
    source = {"STRIPE_EVENT_SOURCE_NAME": "aws.partner/stripe.com/ed_x", "ALERT_EMAILS": "none"}
    loaded = settings.load(environment, environ=source)
    assert table()[row][1] == f"`{BY_SETTING[row]}`"
    assert BY_SETTING[row] in Settings.model_fields
    assert days(row, environment) == getattr(loaded, BY_SETTING[row])


def test_times_are_those_of_the_stack(stack: Stack) -> None:
    environment = stack.environment
    assert stack.archive()["RetentionDays"] == days("EventBridge archive", environment)
    groups = stack.of_type("aws_cloudwatch_log_group").values()
    assert {group["retention_in_days"] for group in groups} == {days("logs of the functions", environment)}
    secrets = stack.of_type("aws_secretsmanager_secret").values()
    assert {secret["recovery_window_in_days"] for secret in secrets} == {days("secrets", environment)}
    assert lifecycle(stack)["noncurrent_version_expiration"] == [
        {"noncurrent_days": days("ledger bucket, former versions", environment)}
    ]
    hours = re.fullmatch(r"(\d+) hours", table()["Lambda's own queues"][0])
    assert hours is not None
    invocations = stack.of_type("aws_lambda_function_event_invoke_config")
    # A scheduled function's invocations hold no event.
    ages = [
        each["maximum_event_age_in_seconds"] for each in invocations.values() if "destination_config" in each
    ]
    assert len(ages) >= len(names.HANDLERS)
    assert set(ages) == {int(hours[1]) * 3600}
    variables = stack.named("aws_lambda_function", f"huntaze-stripe-payments-{environment}")["environment"]
    expiry = int(variables["variables"][names.IDEMPOTENCY_EXPIRY_SECONDS])
    assert expiry == days("DynamoDB", environment) * DAY
    assert table()["DynamoDB"][1] == f"`archive_retention_days`, and {idempotency._MARGIN_DAYS} days more"


def lifecycle(stack: Stack) -> dict[str, Any]:
    rule: dict[str, Any] = stack.only("aws_s3_bucket_lifecycle_configuration")["rule"][0]
    return rule


def test_records_of_replays_erasures_and_the_console_never_expire(secured: Stack) -> None:
    rules = secured.only("aws_s3_bucket_lifecycle_configuration")["rule"]
    expiring = [rule for rule in rules if "days" in rule.get("expiration", [{}])[0]]
    assert [rule["filter"] for rule in expiring] == [[{"prefix": names.LEDGER_PREFIX}]]
    for prefix in (names.REPLAYS_PREFIX, names.ERASURES_PREFIX, PREFIX):
        assert not prefix.startswith(names.LEDGER_PREFIX)
    assert table()["ledger bucket, `replays/`, `erasures/` and `console/`"][0] == "for ever"


def test_the_state_and_the_plans_are_kept_as_their_rows_say(bootstrap: Stack) -> None:
    assert not bootstrap.of_type("aws_s3_bucket_lifecycle_configuration")
    assert table()["Terraform state"][0] == "every version, for ever"
    workflows = ROOT / ".github" / "workflows"
    kept = {
        name: re.findall(r"retention-days: (\d+)", (workflows / f"{name}.yml").read_text())
        for name in ("plan", "deploy", "drift")
    }
    [plan], [deploy] = kept["plan"], kept["deploy"]
    assert kept["drift"] == [deploy]
    assert table()["plans of workflows"][0] == f"{plan} days, those of a deploy and of drift {deploy}"


def test_what_no_setting_changes_is_named_where_it_is_written() -> None:
    assert f"{ledger._NONCURRENT_DAYS} days more" == table()["ledger bucket, former versions"][0]
    for _, changed_by in table().values():
        for constant, path in re.findall(r"`([A-Z_]+)` in `([\w/.]+)`", changed_by):
            assert re.search(rf"^{constant}: Final = ", (ROOT / path).read_text(), re.MULTILINE), path
        for setting in re.findall(r"`([a-z_]+)`", changed_by):
            assert setting in Settings.model_fields, setting
