"""Which plans are refused because they would lose events, and which leave a window to reconcile."""

from __future__ import annotations

from typing import Any

import pytest

from infra.names import BOOTSTRAP
from ops import protection
from ops.errors import OperatorError

BUS = "aws_cloudwatch_event_bus.bus"
ARCHIVE = "aws_cloudcontrolapi_resource.events_archive"
QUEUES = tuple(f"aws_sqs_queue.{name}_dlq" for name in ("audit", "billing", "bus", "payments"))


def plan(*addresses: str, actions: tuple[str, ...] = ("delete",), **sides: Any) -> dict[str, Any]:
    return {
        "resource_changes": [
            {
                "address": address,
                "type": address.split(".")[0],
                "change": {"actions": list(actions), "before": {}, "after": {}, **sides},
            }
            for address in addresses
        ]
    }


def refusal(found: dict[str, Any], *, protected: bool) -> str:
    with pytest.raises(OperatorError) as raised:
        protection.refuse_losses(found, "prod", protected=protected)
    message = str(raised.value)
    assert "\n" not in message
    return message


def test_what_terraform_kept_is_reported_in_one_line_with_the_next_step() -> None:
    message = str(protection.kept([BUS, *QUEUES], "huntaze-stripe-prod", "prod"))
    assert message == (
        "deletion_protection = true refuses this plan of prod, which would delete "
        "aws_cloudwatch_event_bus.bus, aws_sqs_queue.audit_dlq, aws_sqs_queue.billing_dlq and 2 more: "
        'see docs/operations.md, "What deletion_protection keeps"; nothing was changed'
    )


def test_kept_state_bucket_is_reported_with_its_own_next_step() -> None:
    message = str(protection.kept(["aws_s3_bucket.state_bucket"], BOOTSTRAP, "bootstrap"))
    assert "restore state_bucket in environments/bootstrap.toml" in message


@pytest.mark.parametrize("actions", [("delete",), ("delete", "create"), ("create", "delete")])
def test_what_left_the_configuration_is_kept_too_where_protected(actions: tuple[str, ...]) -> None:
    found = plan("aws_kms_key.key", *QUEUES, actions=actions)
    assert "would delete aws_kms_key.key, " in refusal(found, protected=True)
    protection.refuse_losses(found, "prod", protected=False)


def test_an_archive_is_deleted_by_no_deploy() -> None:
    assert "A new event source" in refusal(plan(BUS, ARCHIVE, actions=("delete", "create")), protected=False)


@pytest.mark.parametrize("protected", [True, False])
def test_queues_of_an_earlier_release_are_adopted_first(protected: bool) -> None:
    message = refusal(plan(*QUEUES, actions=("forget",)), protected=protected)
    assert "aws_sqs_queue.payments_dlq" not in message
    assert "aws_sqs_queue.audit_dlq" in message
    assert "run `huntaze-stripe adopt --env prod` first" in message


@pytest.mark.parametrize("protected", [True, False])
def test_other_plans_go_on(protected: bool) -> None:
    for found in (
        {},
        plan(BUS, ARCHIVE, *QUEUES, actions=("create",)),
        plan("aws_kms_key.key", "aws_cloudwatch_event_archive.archive", actions=("forget",)),
        plan("aws_lambda_function.payments", "aws_cloudcontrolapi_resource.log_dlq"),
    ):
        protection.refuse_losses(found, "prod", protected=protected)


@pytest.mark.parametrize(
    ("address", "before"),
    [
        ("aws_dynamodb_table.idempotency", {"deletion_protection_enabled": True}),
        ("aws_s3_bucket.ledger_bucket", {"bucket": "b", "force_destroy": False}),
    ],
)
def test_a_destroy_that_aws_would_stop_half_way_is_refused(address: str, before: dict[str, Any]) -> None:
    with pytest.raises(OperatorError, match=f"{address}.*deploy prod with false first, then destroy"):
        protection.refuse_half_a_destroy(plan(address, before=before), "prod")


def test_a_destroy_after_that_deploy_goes_on() -> None:
    for address, before in (
        ("aws_dynamodb_table.idempotency", {"deletion_protection_enabled": False}),
        ("aws_s3_bucket.ledger_bucket", {"bucket": "b", "force_destroy": True}),
        ("aws_s3_bucket_versioning.ledger_bucket_versioning", {"bucket": "b"}),
    ):
        protection.refuse_half_a_destroy(plan(address, before=before), "prod")


RULE = "aws_cloudwatch_event_rule.payments_rule"
TARGET = "aws_cloudwatch_event_target.payments_rule_target"


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({}, False),
        (plan(BUS, actions=("create",)), True),
        (plan(RULE, actions=("delete", "create")), True),
        (plan(RULE, actions=("update",), before={"event_pattern": "a"}, after={"event_pattern": "b"}), True),
        (plan(RULE, actions=("update",), before={"event_pattern": "a"}, after={"event_pattern": "a"}), False),
        (plan(TARGET, actions=("update",)), True),
        (plan(BUS, actions=("update",)), False),
        (plan(BUS, RULE, TARGET, actions=("no-op",)), False),
        (plan("aws_lambda_function.payments", actions=("update",)), False),
    ],
)
def test_a_window_is_left_where_the_way_of_events_changes(found: dict[str, Any], expected: bool) -> None:
    assert protection.reroutes(found) is expected
