"""An event that can't be delivered to a target goes to the target's dead-letter queue, with the reason.

Source: EventBridge user guide, "Using dead-letter queues to process undelivered events". EventBridge
doesn't retry if the target doesn't exist, doesn't permit the rule or refuses the size: the event goes to the
queue at once. The emulator has no other failures, so the target's retry policy has no effect here.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from typing import Any

from ministack.core.arn import parse_arn
from ministack.services import cloudwatch, eventbridge, lambda_svc, sns, sqs

from functions.shared.json_text import compact
from functions.shared.names import EVENT_BYTES
from ops.emulator import key_use, log_target
from ops.emulator.delivery import DeliveryFailure
from ops.emulator.metrics import rule_dimensions
from ops.emulator.patching import original, replace
from ops.emulator.permissions import Policy
from ops.emulator.principals import EVENTS, by_service

logger = logging.getLogger(__name__)

Data = dict[str, Any]


def apply() -> None:
    """Check each target before delivery, and send an event that would be lost to the dead-letter queue."""
    invoke: Callable[..., None] = original(eventbridge, "_invoke_target")
    for owner, name in (
        (lambda_svc, "_get_func_record_for_ref"),
        (sqs, "_queue_by_arn"),
        (sqs, "_act_send_message"),
        (sns, "_topics"),
    ):
        original(owner, name)

    dispatch: Callable[..., None] = original(eventbridge, "_dispatch_to_sqs")
    invoke_function: Callable[[str, str], None] = original(eventbridge, "_dispatch_to_lambda")
    last = threading.local()

    def dispatch_to_sqs(spec: Any, payload: str, parameters: Data | None = None) -> None:
        # MiniStack would log the error and drop the event.
        try:
            dispatch(spec, payload, parameters)
        except sqs._Err as exc:
            last.failure = DeliveryFailure("SDK_CLIENT_ERROR", exc.message)

    def dispatch_to_lambda(arn: str, payload: str) -> None:
        if len(compact(json.loads(payload)).encode()) > EVENT_BYTES:
            last.failure = DeliveryFailure(
                "SDK_CLIENT_ERROR", f"the payload is longer than {EVENT_BYTES} bytes"
            )
        else:
            invoke_function(arn, payload)

    def invoke_target(target: Data, event: Data, rule: Data, view: Any = None) -> None:
        view = view or eventbridge._pattern_event_view(event)
        last.failure = delivery_failure(target, rule["Arn"])
        if last.failure is None:
            if parse_arn(target["Arn"]).service == "logs":
                # MiniStack delivers to no log group.
                log_target.deliver(target["Arn"], compact(view.event_with_detail()))
            else:
                invoke(target, event, rule, view)
        failure: DeliveryFailure | None = last.failure
        if failure is None:
            return
        logger.warning("rule %s, target %s: %s", rule["Arn"], target["Arn"], failure.message)
        _count("FailedInvocations", rule)
        dead_letter = (target.get("DeadLetterConfig") or {}).get("Arn")
        if dead_letter:
            body = compact(view.event_with_detail())
            sent = send_to_dead_letter(dead_letter, body, target["Arn"], rule["Arn"], failure)
            _count("InvocationsSentToDlq" if sent else "InvocationsFailedToBeSentToDlq", rule)

    replace(eventbridge, "_dispatch_to_sqs", dispatch_to_sqs)
    replace(eventbridge, "_dispatch_to_lambda", dispatch_to_lambda)
    replace(eventbridge, "_invoke_target", invoke_target)


def delivery_failure(target: Data, rule_arn: str) -> DeliveryFailure | None:
    """Return why the target refuses events of the rule, or None if it accepts them."""
    arn = target["Arn"]
    service = parse_arn(arn).service
    if service == "lambda":
        function, config, _name = lambda_svc._get_func_record_for_ref(arn)
        if not function or not config:
            return DeliveryFailure("NO_RESOURCE", f"Function not found: {arn}")
        policy = Policy(f"function {config['FunctionName']}", json.dumps(function.get("policy") or {}))
        return _policy_failure(policy, "lambda:InvokeFunction", arn, rule_arn)
    if service == "sqs":
        queue = sqs._queue_by_arn(arn)
        if queue is None:
            return DeliveryFailure("NO_RESOURCE", f"The specified queue does not exist: {arn}")
        return (
            _fifo_failure(queue, target)
            or _policy_failure(_queue_policy(queue), "sqs:SendMessage", arn, rule_arn)
            or _key_failure(arn, rule_arn)
        )
    if service == "logs":
        return log_target.failure(arn, rule_arn)
    if service == "sns" and arn not in sns._topics:
        return DeliveryFailure("NO_RESOURCE", f"Topic does not exist: {arn}")
    return None


def _fifo_failure(queue: Data, target: Data) -> DeliveryFailure | None:
    if not queue["is_fifo"]:
        return None
    if not (target.get("SqsParameters") or {}).get("MessageGroupId"):
        return DeliveryFailure("INVALID_PARAMETER", "The request must contain the parameter MessageGroupId.")
    if queue["attributes"].get("ContentBasedDeduplication") != "true":
        return DeliveryFailure(
            "INVALID_PARAMETER", "The queue should have ContentBasedDeduplication enabled."
        )
    return None


def _policy_failure(policy: Policy, action: str, arn: str, rule_arn: str) -> DeliveryFailure | None:
    if by_service(EVENTS, action, arn, policy, rule_arn):
        return None
    return DeliveryFailure(
        "NO_PERMISSIONS", f"{EVENTS} is not authorized to perform {action} on resource {arn}"
    )


def _key_failure(arn: str, rule_arn: str) -> DeliveryFailure | None:
    lacking = key_use.refused_for_service(EVENTS, key_use.of_queue(arn), key_use.WRITE, rule_arn)
    if lacking is None:
        return None
    return DeliveryFailure(
        "NO_PERMISSIONS", f"{EVENTS} is not authorized to perform {lacking} on the key of {arn}"
    )


def _queue_policy(queue: Data) -> Policy:
    return Policy(f"queue {queue['name']}", queue["attributes"].get("Policy") or "")


def _count(metric: str, rule: Data) -> None:
    cloudwatch.record_metric("AWS/Events", metric, 1, "Count", rule_dimensions(rule))


def send_to_dead_letter(
    queue_arn: str, body: str, target_arn: str, rule_arn: str, failure: DeliveryFailure
) -> bool:
    """Send an undelivered event to a dead-letter queue; return whether the queue took it."""
    queue = sqs._queue_by_arn(queue_arn)
    if (
        queue is None
        or _policy_failure(_queue_policy(queue), "sqs:SendMessage", queue_arn, rule_arn)
        or _key_failure(queue_arn, rule_arn)
    ):
        logger.error("rule %s: can't send events to the dead-letter queue %s", rule_arn, queue_arn)
        return False
    attributes = {
        "RULE_ARN": rule_arn,
        "TARGET_ARN": target_arn,
        "ERROR_CODE": failure.code,
        "ERROR_MESSAGE": failure.message,
        "RETRY_ATTEMPTS": "0",
    }
    message = {
        "MessageBody": body,
        "MessageAttributes": {
            name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
        },
    }
    try:
        sqs._act_send_message(message, sqs._queue_url(queue_arn.rpartition(":")[2]))
    except sqs._Err as exc:
        logger.warning("rule %s: the dead-letter queue %s: %s", rule_arn, queue_arn, exc.message)
        return False
    return True
