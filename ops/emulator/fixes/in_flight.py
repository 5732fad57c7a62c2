"""Queues limit messages in flight, and refuse times, names and attributes that AWS refuses.

Sources: SQS developer guide, "Amazon SQS standard queue quotas", "Amazon SQS FIFO queue quotas", "Amazon SQS
policy quotas" and "Amazon SQS visibility timeout"; API reference, SendMessage, ReceiveMessage and
ChangeMessageVisibility.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from ministack.services import sqs

from ops.emulator import limits
from ops.emulator.limits import Limit
from ops.emulator.patching import original, replace, replace_operation

Data = dict[str, Any]
Action = Callable[[Data, str], Data]

FORBIDDEN: Final = 403
QUEUE_NAME: Final = re.compile(r"[A-Za-z0-9_-]+(\.fifo)?")
OVER_LIMIT: Final = (
    "Too many messages have been received without being deleted. Please delete your received messages or "
    "let them timeout before receiving more."
)


def apply() -> None:
    """Check each call, and take no more messages than may be in flight."""
    replace(sqs, "_collect_msgs", _bounded(original(sqs, "_collect_msgs")))
    replace_operation(sqs, "_act_create_queue", _named)
    replace_operation(sqs, "_act_set_queue_attributes", _with_policy)
    replace_operation(sqs, "_act_send_message", _valid_message)
    replace_operation(sqs, "_act_receive_message", _valid_receipt)
    replace_operation(sqs, "_act_change_visibility", _valid_visibility)
    replace_operation(sqs, "_act_change_visibility_batch", _valid_batch)


def _named(create: Action) -> Action:
    def act_create_queue(data: Data, url: str) -> Data:
        name = data.get("QueueName", "")
        if name and (len(name) > limits.QUEUE_NAME.value or not QUEUE_NAME.fullmatch(name)):
            message = (
                "Can only include alphanumeric characters, hyphens, or underscores. "
                f"1 to {limits.QUEUE_NAME.value} in length"
            )
            raise sqs._Err(limits.SQS_INVALID, message)
        _check_policy(data)
        return create(data, url)

    return act_create_queue


def _with_policy(change: Action) -> Action:
    def act_set_queue_attributes(data: Data, url: str) -> Data:
        _check_policy(data)
        return change(data, url)

    return act_set_queue_attributes


def _check_policy(data: Data) -> None:
    policy = str((data.get("Attributes") or {}).get("Policy", ""))
    if len(policy.encode()) > limits.QUEUE_POLICY.value:
        raise sqs._Err(limits.QUEUE_POLICY.error, "Invalid value for the parameter Policy.")


def _valid_message(send: Action) -> Action:
    def act_send_message(data: Data, url: str) -> Data:
        _in_range(data, "DelaySeconds", limits.DELAY, "DelaySeconds must be >= 0 and <= {}.")
        number = len(data.get("MessageAttributes") or {})
        if number > limits.ATTRIBUTES.value:
            message = (
                f"Number of message attributes [{number}] exceeds the allowed maximum "
                f"[{limits.ATTRIBUTES.value}]."
            )
            raise sqs._Err(limits.SQS_INVALID, message)
        return send(data, url)

    return act_send_message


def _valid_receipt(receive: Callable[[Data, str], Awaitable[Data]]) -> Callable[[Data, str], Awaitable[Data]]:
    async def act_receive_message(data: Data, url: str) -> Data:
        _in_range(data, "VisibilityTimeout", limits.VISIBILITY, "Must be >= 0 and <= {}, if provided.")
        _in_range(data, "WaitTimeSeconds", limits.WAIT, "Must be >= 0 and <= {}, if provided.")
        queue = sqs._get_q(data.get("QueueUrl", url))
        wait = data.get("WaitTimeSeconds")
        if wait is None:
            wait = queue["attributes"].get("ReceiveMessageWaitTimeSeconds", 0)
        if not queue["is_fifo"] and int(wait) == 0 and _room(queue) <= 0:
            raise sqs._Err(limits.IN_FLIGHT.error, OVER_LIMIT, FORBIDDEN)
        return await receive(data, url)

    return act_receive_message


def _valid_visibility(change: Action) -> Action:
    def act_change_visibility(data: Data, url: str) -> Data:
        _check_visibility(sqs._get_q(data.get("QueueUrl", url)), data)
        return change(data, url)

    return act_change_visibility


def _valid_batch(change: Action) -> Action:
    def act_change_visibility_batch(data: Data, url: str) -> Data:
        queue = sqs._get_q(data.get("QueueUrl", url))
        failed, valid = [], []
        for entry in data.get("Entries", []):
            try:
                _check_visibility(queue, entry)
                valid.append(entry)
            except sqs._Err as error:
                details = {"Code": error.code, "Message": error.message, "SenderFault": True}
                failed.append({"Id": entry.get("Id", ""), **details})
        if failed and not valid:
            return {"Successful": [], "Failed": failed}
        answer = change({**data, "Entries": valid}, url)
        return answer | {"Failed": [*answer["Failed"], *failed]}

    return act_change_visibility_batch


def _check_visibility(queue: Data, data: Data) -> None:
    """Refuse a timeout that is out of range, or ends too long after the message was received."""
    seconds = _in_range(data, "VisibilityTimeout", limits.VISIBILITY, "Must be >= 0 and <= {}, if provided.")
    most, now = limits.VISIBILITY.value, time.time()
    message = held(queue, data.get("ReceiptHandle"))
    if message is not None and seconds and now + seconds - message.get("received_at", now) > most:
        reason = f"Total VisibilityTimeout for the message is beyond the limit [{most} seconds]"
        raise _invalid("VisibilityTimeout", seconds, reason)


def held(queue: Data, receipt: str | None) -> Data | None:
    """Return the message of a receipt."""
    messages = list(queue["messages"])
    return next((each for each in messages if receipt and each.get("receipt_handle") == receipt), None)


def _in_range(data: Data, name: str, limit: Limit, reason: str) -> int:
    """Return a number of seconds, 0 if there is none; the reason has a place for the upper bound."""
    seconds = int(data.get(name) or 0)
    if not 0 <= seconds <= limit.value:
        raise _invalid(name, seconds, reason.format(limit.value))
    return seconds


def _invalid(name: str, value: int, reason: str) -> Exception:
    error: Exception = sqs._Err(
        limits.SQS_INVALID, f"Value {value} for parameter {name} is invalid. Reason: {reason}"
    )
    return error


def _room(queue: Data) -> int:
    """Return how many more messages of a queue may be in flight: approximately, as AWS states its quota."""
    most = limits.FIFO_IN_FLIGHT if queue["is_fifo"] else limits.IN_FLIGHT
    return most.value - count(queue)


def count(queue: Data) -> int:
    """Return how many messages of a queue are in flight."""
    now = time.time()
    return sum(each["receive_count"] > 0 and each["visible_at"] > now for each in list(queue["messages"]))


def _bounded(collect: Callable[[Data, int, int], list[Data]]) -> Callable[[Data, int, int], list[Data]]:
    def collect_msgs(queue: Data, most: int, timeout: int) -> list[Data]:
        taken = collect(queue, max(0, min(most, _room(queue))), timeout)
        for message in taken:
            message["received_at"] = time.time()
        return taken

    return collect_msgs
