"""Queues, their policies and their redrive."""

from __future__ import annotations

import json
from typing import Any

from ops.dlq.queues import FIFO, NAMES, OPTIONAL
from tests.infra.conftest import SOURCE
from tests.infra.terraform_json import Stack, statements

ARN_START = "arn:${data.aws_partition.account_partition.partition}"
ACCOUNT = "${data.aws_caller_identity.account_identity.account_id}"
FOURTEEN_DAYS = 14 * 24 * 3600


def queues(stack: Stack) -> dict[str, dict[str, Any]]:
    return {queue["name"]: queue for queue in stack.of_type("aws_sqs_queue").values()}


def rule_arn(rule: str) -> str:
    return f"{ARN_START}:events:eu-west-1:{ACCOUNT}:rule/{SOURCE}/{rule}"


def queue_arn(name: str) -> str:
    return f"{ARN_START}:sqs:eu-west-1:{ACCOUNT}:{name}"


def test_queues_have_the_agreed_names(stack: Stack) -> None:
    env = stack.environment
    assert set(queues(stack)) == {
        f"huntaze-stripe-payments-dlq-{env}",
        f"huntaze-stripe-billing-dlq-{env}",
        f"huntaze-stripe-events-{env}.fifo",
        f"huntaze-stripe-audit-dlq-{env}.fifo",
        f"huntaze-stripe-audit-payments-dlq-{env}",
        f"huntaze-stripe-audit-billing-dlq-{env}",
        f"huntaze-stripe-audit-other-dlq-{env}",
    }


def test_only_queues_that_end_in_fifo_are_fifo(stack: Stack) -> None:
    for name, queue in queues(stack).items():
        assert queue.get("fifo_queue", False) is name.endswith(".fifo")


def test_event_queue_deduplicates_by_content(stack: Stack) -> None:
    assert (
        queues(stack)[f"huntaze-stripe-events-{stack.environment}.fifo"]["content_based_deduplication"]
        is True
    )


def test_event_queue_redrives_after_five_receives_to_the_fifo_dead_letter_queue(stack: Stack) -> None:
    queue = queues(stack)[f"huntaze-stripe-events-{stack.environment}.fifo"]
    dead_letter = stack.address("aws_sqs_queue", f"huntaze-stripe-audit-dlq-{stack.environment}.fifo")
    redrive = json.loads(queue["redrive_policy"])
    assert redrive == {"deadLetterTargetArn": f"${{{dead_letter}.arn}}", "maxReceiveCount": 5}


def test_only_the_event_queue_may_redrive_to_its_dead_letter_queue(stack: Stack) -> None:
    env = stack.environment
    for name, queue in queues(stack).items():
        allowed = json.loads(queue["redrive_allow_policy"])
        if name == f"huntaze-stripe-audit-dlq-{env}.fifo":
            source = queue_arn(f"huntaze-stripe-events-{env}.fifo")
            assert allowed == {"redrivePermission": "byQueue", "sourceQueueArns": [source]}
        else:
            assert allowed == {"redrivePermission": "denyAll"}


def test_event_queue_hides_a_message_for_six_function_timeouts(stack: Stack) -> None:
    function = stack.named("aws_lambda_function", f"huntaze-stripe-audit-{stack.environment}")
    queue = queues(stack)[f"huntaze-stripe-events-{stack.environment}.fifo"]
    assert queue["visibility_timeout_seconds"] == 6 * function["timeout"]


def test_queues_keep_messages_as_long_as_sqs_can(stack: Stack) -> None:
    assert {queue["message_retention_seconds"] for queue in queues(stack).values()} == {FOURTEEN_DAYS}


def test_queues_are_encrypted_by_sqs_itself(stack: Stack) -> None:
    for queue in queues(stack).values():
        assert queue["sqs_managed_sse_enabled"] is True
        assert "kms_master_key_id" not in queue


def test_policies_are_inline(stack: Stack) -> None:
    for kind in (
        "aws_sqs_queue_policy",
        "aws_sqs_queue_redrive_policy",
        "aws_sqs_queue_redrive_allow_policy",
    ):
        assert not stack.of_type(kind)


def test_queues_refuse_plain_text(stack: Stack) -> None:
    for name, queue in queues(stack).items():
        [deny] = [s for s in statements(queue["policy"]) if s["Effect"] == "Deny"]
        assert deny["Principal"] == "*"
        assert deny["Action"] == ["sqs:*"]
        assert deny["Resource"] == [queue_arn(name)]
        assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_only_the_right_rules_may_send(stack: Stack) -> None:
    env = stack.environment
    lanes = [f"huntaze-stripe-audit{lane}-{env}" for lane in ("-billing", "-payments", "")]
    senders = {
        f"huntaze-stripe-payments-dlq-{env}": [f"huntaze-stripe-payments-{env}"],
        f"huntaze-stripe-billing-dlq-{env}": [f"huntaze-stripe-billing-{env}"],
        f"huntaze-stripe-events-{env}.fifo": lanes,
        f"huntaze-stripe-audit-dlq-{env}.fifo": [],
        f"huntaze-stripe-audit-payments-dlq-{env}": [f"huntaze-stripe-audit-payments-{env}"],
        f"huntaze-stripe-audit-billing-dlq-{env}": [f"huntaze-stripe-audit-billing-{env}"],
        f"huntaze-stripe-audit-other-dlq-{env}": [f"huntaze-stripe-audit-{env}"],
    }
    for name, queue in queues(stack).items():
        allowed = [s for s in statements(queue["policy"]) if s["Effect"] == "Allow"]
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
    for queue in queues(stack).values():
        canonical = json.dumps(json.loads(queue["policy"]), separators=(",", ":"), sort_keys=True)
        assert queue["policy"] == canonical


def test_with_a_key_every_queue_but_the_buss_own_uses_it(secured: Stack) -> None:
    for name, queue in queues(secured).items():
        if name == "huntaze-stripe-bus-dlq-prod":
            assert queue["sqs_managed_sse_enabled"] is True
        else:
            assert queue["kms_master_key_id"] == "${aws_kms_key.key.arn}"
            assert "sqs_managed_sse_enabled" not in queue


def test_the_dlq_commands_know_every_dead_letter_queue(stack: Stack, secured: Stack) -> None:
    for each, optional in ((stack, set(OPTIONAL)), (secured, set())):
        deployed = {name for name in queues(each) if "dlq" in name}
        assert deployed == {dead_letter_queue(name, each.environment) for name in set(NAMES) - optional}


def dead_letter_queue(name: str, environment: str) -> str:
    fifo = FIFO if name.endswith(FIFO) else ""
    return f"huntaze-stripe-{name.removesuffix(FIFO)}-{environment}{fifo}"
