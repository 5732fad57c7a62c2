"""Queues, their policies and their redrive."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ops.dlq.queues import FIFO, NAMES, OPTIONAL
from tests.infra.conftest import SOURCE, synthesise_into
from tests.infra.terraform_json import Stack, statements

ARN_START = "arn:${data.aws_partition.account_partition.partition}"
ACCOUNT = "${data.aws_caller_identity.account_identity.account_id}"
FOURTEEN_DAYS = 14 * 24 * 3600
ONE_MIB = 1024 * 1024


def rule_arn(rule: str) -> str:
    return f"{ARN_START}:events:eu-west-1:{ACCOUNT}:rule/{SOURCE}/{rule}"


def queue_arn(name: str) -> str:
    return f"{ARN_START}:sqs:eu-west-1:{ACCOUNT}:{name}"


def test_queues_have_the_agreed_names(stack: Stack) -> None:
    env = stack.environment
    assert set(stack.queues()) == {
        f"huntaze-stripe-payments-dlq-{env}",
        f"huntaze-stripe-billing-dlq-{env}",
        f"huntaze-stripe-events-{env}.fifo",
        f"huntaze-stripe-audit-dlq-{env}.fifo",
        f"huntaze-stripe-audit-payments-dlq-{env}",
        f"huntaze-stripe-audit-billing-dlq-{env}",
        f"huntaze-stripe-audit-other-dlq-{env}",
    }


def test_only_queues_that_end_in_fifo_are_fifo(stack: Stack) -> None:
    for name, queue in stack.queues().items():
        assert queue.get("FifoQueue", False) is name.endswith(".fifo")


def test_event_queue_deduplicates_by_content(stack: Stack) -> None:
    assert (
        stack.queues()[f"huntaze-stripe-events-{stack.environment}.fifo"]["ContentBasedDeduplication"] is True
    )


def test_event_queue_keeps_what_the_ledger_does_not_take_for_twelve_hours(stack: Stack) -> None:
    queue = stack.queues()[f"huntaze-stripe-events-{stack.environment}.fifo"]
    # It need not wait for the policy, only for the queue.
    dead_letter = queue_arn("${basename(aws_cloudcontrolapi_resource.audit_dlq.id)}")
    assert queue["RedrivePolicy"]["deadLetterTargetArn"] == dead_letter
    # A message that failed is received again when it is visible again.
    assert (queue["RedrivePolicy"]["maxReceiveCount"] - 1) * queue["VisibilityTimeout"] >= 12 * 3600


@pytest.mark.parametrize(("timeout", "hours"), [("3", 12), ("60", 12), ("900", 12)])
def test_audit_of_any_timeout_outlives_an_outage(tmp_path: Path, timeout: str, hours: int) -> None:
    stack = Stack.read(synthesise_into(tmp_path, {"AUDIT_TIMEOUT_SECONDS": timeout}), "huntaze-stripe-dev")
    queue = stack.queues()["huntaze-stripe-events-dev.fifo"]
    receives = queue["RedrivePolicy"]["maxReceiveCount"]
    # SQS takes no more.
    assert receives <= 1000
    assert (receives - 1) * queue["VisibilityTimeout"] >= hours * 3600
    # The function's guide asks for six time-outs.
    assert queue["VisibilityTimeout"] >= 6 * int(timeout)


def test_only_the_event_queue_may_redrive_to_its_dead_letter_queue(stack: Stack) -> None:
    env = stack.environment
    for name, queue in stack.queues().items():
        allowed = queue["RedriveAllowPolicy"]
        if name == f"huntaze-stripe-audit-dlq-{env}.fifo":
            source = queue_arn(f"huntaze-stripe-events-{env}.fifo")
            assert allowed == {"redrivePermission": "byQueue", "sourceQueueArns": [source]}
        else:
            assert allowed == {"redrivePermission": "denyAll"}


def test_event_queue_hides_a_message_for_six_function_timeouts(stack: Stack) -> None:
    function = stack.named("aws_lambda_function", f"huntaze-stripe-audit-{stack.environment}")
    queue = stack.queues()[f"huntaze-stripe-events-{stack.environment}.fifo"]
    assert queue["VisibilityTimeout"] == 6 * function["timeout"]


def test_queues_keep_messages_as_long_as_sqs_can(stack: Stack) -> None:
    assert {queue["MessageRetentionPeriod"] for queue in stack.queues().values()} == {FOURTEEN_DAYS}


def test_queues_are_encrypted_by_sqs_itself(stack: Stack) -> None:
    for queue in stack.queues().values():
        assert queue["SqsManagedSseEnabled"] is True
        assert "KmsMasterKeyId" not in queue


def test_every_queue_allows_the_largest_event(stack: Stack, secured: Stack) -> None:
    for each in (stack, secured):
        assert {queue["MaximumMessageSize"] for queue in each.queues().values()} == {ONE_MIB}


def test_an_earlier_releases_queues_are_never_destroyed(stack: Stack, secured: Stack) -> None:
    for each in (stack, secured):
        for address, resource in each.of_type("aws_cloudcontrolapi_resource").items():
            if resource["type_name"] == "AWS::SQS::Queue":
                assert f"aws_sqs_queue.{address}" in each.forgotten


def test_queues_have_the_tags_of_the_stack(stack: Stack) -> None:
    (provider,) = stack.document["provider"]["aws"]
    for queue in stack.queues().values():
        assert {tag["Key"]: tag["Value"] for tag in queue["Tags"]} == provider["default_tags"][0]["tags"]


def test_a_queue_whose_name_or_kind_changes_is_another_queue(stack: Stack) -> None:
    for resource in stack.of_type("aws_cloudcontrolapi_resource").values():
        if resource["type_name"] == "AWS::SQS::Queue":
            schema = json.loads(resource["schema"])
            assert schema["createOnlyProperties"] == ["/properties/QueueName", "/properties/FifoQueue"]
            assert set(json.loads(resource["desired_state"])) <= set(schema["properties"])


def test_queues_refuse_plain_text(stack: Stack) -> None:
    for name in stack.queues():
        [deny] = [s for s in statements(stack.queue_policy(name)) if s["Effect"] == "Deny"]
        assert deny["Principal"] == "*"
        assert deny["Action"] == ["sqs:*"]
        assert deny["Resource"] == [queue_arn(name)]
        assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_only_the_right_rules_may_send(stack: Stack) -> None:
    env = stack.environment
    rules = [f"huntaze-stripe-audit{group}-{env}" for group in ("-billing", "-payments", "")]
    senders = {
        f"huntaze-stripe-payments-dlq-{env}": [f"huntaze-stripe-payments-{env}"],
        f"huntaze-stripe-billing-dlq-{env}": [f"huntaze-stripe-billing-{env}"],
        f"huntaze-stripe-events-{env}.fifo": rules,
        f"huntaze-stripe-audit-dlq-{env}.fifo": [],
        f"huntaze-stripe-audit-payments-dlq-{env}": [f"huntaze-stripe-audit-payments-{env}"],
        f"huntaze-stripe-audit-billing-dlq-{env}": [f"huntaze-stripe-audit-billing-{env}"],
        f"huntaze-stripe-audit-other-dlq-{env}": [f"huntaze-stripe-audit-{env}"],
    }
    for name in stack.queues():
        allowed = [s for s in statements(stack.queue_policy(name)) if s["Effect"] == "Allow"]
        if not senders[name]:
            assert allowed == []
            continue
        [allow] = allowed
        assert allow["Principal"] == {"Service": "events.amazonaws.com"}
        assert allow["Action"] == ["sqs:SendMessage"]
        assert allow["Resource"] == [queue_arn(name)]
        wanted = sorted(rule_arn(rule) for rule in senders[name])
        assert allow["Condition"] == {"ArnEquals": {"aws:SourceArn": wanted}}


def test_policies_are_compact_with_sorted_keys(stack: Stack) -> None:
    for name in stack.queues():
        policy = stack.queue_policy(name)
        assert policy == json.dumps(json.loads(policy), separators=(",", ":"), sort_keys=True)


def test_with_a_key_the_events_queue_uses_it(secured: Stack) -> None:
    queue = secured.queues()["huntaze-stripe-events-prod.fifo"]
    assert queue["KmsMasterKeyId"] == "${aws_kms_key.key.arn}"
    assert "SqsManagedSseEnabled" not in queue


@pytest.mark.parametrize("high", [True, False])
def test_throughput_per_message_group_is_a_setting(tmp_path: Path, high: bool) -> None:
    outdir = synthesise_into(tmp_path, {} if high else {"AUDIT_HIGH_THROUGHPUT": "false"})
    queues = Stack.read(outdir, "huntaze-stripe-dev").queues()
    wanted = {"DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId"}
    for name, queue in queues.items():
        is_set = {key: queue[key] for key in wanted if key in queue}
        assert is_set == (wanted if high and name == "huntaze-stripe-events-dev.fifo" else {})


def test_the_dlq_commands_know_every_dead_letter_queue(stack: Stack, secured: Stack) -> None:
    for each, optional in ((stack, set(OPTIONAL)), (secured, set())):
        deployed = {name for name in each.queues() if "dlq" in name}
        assert deployed == {dead_letter_queue(name, each.environment) for name in set(NAMES) - optional}


def dead_letter_queue(name: str, environment: str) -> str:
    fifo = FIFO if name.endswith(FIFO) else ""
    return f"huntaze-stripe-{name.removesuffix(FIFO)}-{environment}{fifo}"
