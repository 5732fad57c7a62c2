"""The bus, its archive, the rules and their targets."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from functions.pipeline import routing_table
from functions.shared import names
from infra.patterns import MAX_PATTERN_LENGTH, stripe_event_types
from tests.infra.conftest import SOURCE, synthesise_into
from tests.infra.terraform_json import Stack, statements

GROUPS = ("payments", "billing", "other")
# The first digits of the SHA-256 of SOURCE.
SOURCE_HASH = "311c7397"
RETENTION_DAYS = {"dev": 30, "staging": 30, "prod": 90}


def audit_rule(group: str, environment: str) -> str:
    return (
        f"huntaze-stripe-audit-{environment}"
        if group == "other"
        else f"huntaze-stripe-audit-{group}-{environment}"
    )


def stack_bus_arn() -> str:
    """The ARN of the bus, of which nothing is unknown at plan but the account."""
    account = "${data.aws_caller_identity.account_identity.account_id}"
    partition = "${data.aws_partition.account_partition.partition}"
    return f"arn:{partition}:events:eu-west-1:{account}:event-bus/{SOURCE}"


def pattern(stack: Stack, rule: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(stack.named("aws_cloudwatch_event_rule", rule)["event_pattern"])
    return found


def takes(event_pattern: dict[str, Any], event_type: str) -> bool:
    """What EventBridge says of an event of that type from our source."""
    for wanted in event_pattern["detail-type"]:
        if wanted == event_type or (isinstance(wanted, dict) and event_type not in wanted["anything-but"]):
            return SOURCE in event_pattern["source"]
    return False


def test_bus_has_the_name_of_its_event_source(stack: Stack) -> None:
    bus = stack.only("aws_cloudwatch_event_bus")
    assert bus["name"] == bus["event_source_name"] == SOURCE


def test_bus_needs_no_policy(stack: Stack) -> None:
    assert not stack.of_type("aws_cloudwatch_event_bus_policy")


def test_archive_keeps_every_event_for_the_days_of_the_environment(stack: Stack) -> None:
    assert stack.archive() == {
        "ArchiveName": f"huntaze-stripe-archive-{stack.environment}-{SOURCE_HASH}",
        "Description": f"Every Stripe event of {stack.environment}",
        "RetentionDays": RETENTION_DAYS[stack.environment],
        "SourceArn": stack_bus_arn(),
    }
    # While a new bus's ARN is not known, a plan would show a change in place where it must replace.
    resource = stack.of_type("aws_cloudcontrolapi_resource")["events_archive"]
    assert resource["depends_on"] == ["aws_cloudwatch_event_bus.bus"]


def test_a_key_comes_and_goes_in_place(stack_of: Callable[[str], Stack], secured: Stack) -> None:
    key = {"KmsKeyIdentifier": "${aws_kms_key.key.arn}"}
    assert secured.archive() == stack_of("prod").archive() | key
    schema = json.loads(secured.of_type("aws_cloudcontrolapi_resource")["events_archive"]["schema"])
    assert "/properties/KmsKeyIdentifier" not in schema["createOnlyProperties"]


def test_another_event_source_has_another_archive(stack: Stack, tmp_path: Path) -> None:
    other = synthesise_into(tmp_path, {"STRIPE_EVENT_SOURCE_NAME": f"{SOURCE}2"})
    changed = Stack.read(other, stack.name)
    assert changed.archive()["ArchiveName"] != stack.archive()["ArchiveName"]


def test_archives_of_earlier_releases_are_forgotten_and_not_deleted(stack: Stack) -> None:
    assert stack.forgotten >= {
        "aws_cloudwatch_event_archive.archive",
        "aws_cloudcontrolapi_resource.archive",
    }


def test_a_key_that_was_turned_off_is_forgotten_and_not_deleted(stack: Stack, secured: Stack) -> None:
    former = {"aws_kms_key.key", "aws_cloudcontrolapi_resource.bus_dlq"}
    assert stack.forgotten >= former
    assert secured.forgotten.isdisjoint(former)
    for address in former:
        kind, name = address.split(".")
        assert name in secured.of_type(kind)


def test_bus_is_made_after_all_that_its_events_need(stack: Stack) -> None:
    families = ("payments", "billing", "audit")
    queues = [f"aws_sqs_queue_policy.{address}_policy" for address in stack.queue_addresses()]
    functions = [f"aws_lambda_function.{family}_function" for family in families]
    retries = [f"aws_lambda_function_event_invoke_config.{family}_function_async" for family in families]
    assert {*queues, *functions, *retries} <= set(stack.only("aws_cloudwatch_event_bus")["depends_on"])


def test_every_rule_is_on_the_partner_bus(stack: Stack) -> None:
    rules = stack.of_type("aws_cloudwatch_event_rule").values()
    assert {rule["event_bus_name"] for rule in rules} == {"${aws_cloudwatch_event_bus.bus.name}"}
    targets = stack.of_type("aws_cloudwatch_event_target").values()
    assert {target["event_bus_name"] for target in targets} == {"${aws_cloudwatch_event_bus.bus.name}"}


@pytest.mark.parametrize("family", names.HANDLERS)
def test_rule_matches_exactly_the_types_of_the_routing_table(stack: Stack, family: str) -> None:
    taken = pattern(stack, f"huntaze-stripe-{family}-{stack.environment}")
    types = routing_table.event_types(family)
    assert taken["detail-type"] == [*types, *(f"v1.{event_type}" for event_type in types)]
    assert taken["source"] == [SOURCE]


def test_every_event_type_enters_the_audit_in_exactly_one_message_group(stack: Stack) -> None:
    patterns = [pattern(stack, audit_rule(group, stack.environment)) for group in GROUPS]
    unheard_of = {"v2.core.event_destination.ping", "some.type.of.tomorrow"}
    thin = {f"v1.{event_type}" for event_type in stripe_event_types()}
    for event_type in stripe_event_types() | thin | unheard_of:
        assert [takes(each, event_type) for each in patterns].count(True) == 1, event_type


def test_message_group_of_a_family_has_the_events_of_its_handler(stack: Stack) -> None:
    for family in names.HANDLERS:
        handler = pattern(stack, f"huntaze-stripe-{family}-{stack.environment}")
        assert pattern(stack, audit_rule(family, stack.environment)) == handler


def test_patterns_fit_into_eventbridge(stack: Stack) -> None:
    for rule in stack.of_type("aws_cloudwatch_event_rule").values():
        assert len(rule["event_pattern"]) <= MAX_PATTERN_LENGTH


def test_every_target_retries_for_a_day_and_then_parks_the_event(stack: Stack) -> None:
    targets = stack.of_type("aws_cloudwatch_event_target").values()
    assert len(targets) == 5
    for target in targets:
        assert target["retry_policy"] == {
            "maximum_event_age_in_seconds": 86_400,
            "maximum_retry_attempts": 185,
        }
        assert target["dead_letter_config"]["arn"] in [stack.queue_arn(name) for name in stack.queues()]


def test_targets_of_the_secured_stack_keep_their_exits_too(secured: Stack) -> None:
    for target in secured.of_type("aws_cloudwatch_event_target").values():
        assert target["retry_policy"]["maximum_retry_attempts"] == 185
        assert target["dead_letter_config"]["arn"] in [secured.queue_arn(name) for name in secured.queues()]


@pytest.mark.parametrize("family", names.HANDLERS)
def test_handler_rule_invokes_its_function(stack: Stack, family: str) -> None:
    name = f"huntaze-stripe-{family}-{stack.environment}"
    target = stack.target(name)
    assert target["arn"] == f"${{{stack.address('aws_lambda_function', name)}.arn}}"
    dead_letter = stack.queue_arn(f"huntaze-stripe-{family}-dlq-{stack.environment}")
    assert target["dead_letter_config"]["arn"] == dead_letter


@pytest.mark.parametrize("family", names.HANDLERS)
def test_function_may_be_invoked_by_its_rule_alone(stack: Stack, family: str) -> None:
    name = f"huntaze-stripe-{family}-{stack.environment}"
    function = f"${{{stack.address('aws_lambda_function', name)}.function_name}}"
    permissions = [
        p for p in stack.of_type("aws_lambda_permission").values() if p["function_name"] == function
    ]
    assert len(permissions) == 1
    assert permissions[0]["principal"] == "events.amazonaws.com"
    assert permissions[0]["action"] == "lambda:InvokeFunction"
    assert permissions[0]["source_arn"] == f"${{{stack.address('aws_cloudwatch_event_rule', name)}.arn}}"


def test_each_audit_rule_sends_to_its_own_message_group(stack: Stack) -> None:
    queue = stack.queue_arn(f"huntaze-stripe-events-{stack.environment}.fifo")
    targets = [stack.target(audit_rule(group, stack.environment)) for group in GROUPS]
    assert {target["arn"] for target in targets} == {queue}
    assert len({target["sqs_target"]["message_group_id"] for target in targets}) == len(GROUPS)
    assert len({target["dead_letter_config"]["arn"] for target in targets}) == len(GROUPS)


def test_no_audit_rule_shares_a_dead_letter_queue_with_a_handler(stack: Stack) -> None:
    targets = stack.of_type("aws_cloudwatch_event_target").values()
    assert len({target["dead_letter_config"]["arn"] for target in targets}) == len(targets)


def test_bus_is_logged_where_set(stack: Stack, secured: Stack) -> None:
    assert not stack.of_type("aws_cloudwatch_log_resource_policy")
    group = secured.address("aws_cloudwatch_log_group", "/aws/events/huntaze-stripe-prod")
    assert pattern(secured, "huntaze-stripe-log-prod") == {"source": [SOURCE]}
    assert secured.target("huntaze-stripe-log-prod")["arn"] == f"${{{group}.arn}}"
    policy = statements(secured.only("aws_cloudwatch_log_resource_policy")["policy_document"])
    for allow in policy:
        assert "events.amazonaws.com" in allow["Principal"]["Service"]
        [resource] = allow["Resource"]
        assert resource.endswith(":log-group:/aws/events/huntaze-stripe-prod:*")
    # EventBridge names no rule when it makes the stream: under the condition it could write nothing.
    make, write = policy
    assert (make["Action"], "Condition" in make) == (["logs:CreateLogStream"], False)
    assert write["Action"] == ["logs:PutLogEvents"]
    assert write["Condition"]["ArnEquals"]["aws:SourceArn"].endswith("/huntaze-stripe-log-prod")


def test_environments_differ_in_retention(stack_of: Callable[[str], Stack]) -> None:
    days = {name: stack_of(name).archive()["RetentionDays"] for name in RETENTION_DAYS}
    assert days == RETENTION_DAYS


def test_each_rule_says_that_it_is_on_so_that_a_deploy_ends_a_pause(stack: Stack, secured: Stack) -> None:
    for each in (stack, secured):
        assert {rule["state"] for rule in each.of_type("aws_cloudwatch_event_rule").values()} == {"ENABLED"}
