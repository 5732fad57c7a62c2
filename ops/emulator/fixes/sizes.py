"""AWS's size limits apply: to entries, messages with their attributes, payloads, responses and batches.

Sources: EventBridge quotas ("PutEvents entry size") and user guide ("Calculating PutEvents event entry
size"); SQS quotas ("Message quotas") and API reference (SendMessageBatch); Lambda quotas ("Invocation
payload").
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from ministack.core import responses
from ministack.services import eventbridge, lambda_svc, sqs

from ops.emulator import limits, queue_index
from ops.emulator.patching import original, replace, replace_operation

Data = dict[str, Any]
Answer = tuple[int, dict[str, str], bytes]

# PutEvents counts 14 bytes for a time.
TIME_BYTES: Final = 14
# The size of a batch record without its body.
RECORD_BYTES: Final = 1024
TOO_LARGE: Final = "Total size of the entries in the request is over the limit."
INVOCATIONS: Final = "/invocations"


def apply() -> None:
    """Check the size before each operation."""
    replace_operation(sqs, "_act_send_message", _measured_message)
    replace_operation(sqs, "_act_send_message_batch", _measured_batch)
    for name in ("_put_events", "_put_partner_events"):
        replace(eventbridge, name, _measured_entries(original(eventbridge, name)))
    replace(lambda_svc, "handle_request", _measured_payload(original(lambda_svc, "handle_request")))
    execute = original(lambda_svc, "_execute_function_warm")
    replace(lambda_svc, "_execute_function_warm", _measured_response(execute))
    receive = original(sqs, "_receive_messages_for_esm")
    replace(sqs, "_receive_messages_for_esm", _within_a_payload(receive, original(sqs, "_queues_lock")))


def message_bytes(message: Mapping[str, Any]) -> int:
    """Return the size of a message as SQS counts it: its body, and name, type and value of each attribute."""
    size = _length(message.get("MessageBody") or "")
    for name, attribute in (message.get("MessageAttributes") or {}).items():
        value = attribute.get("StringValue") or attribute.get("BinaryValue") or ""
        size += _length(name) + _length(attribute.get("DataType", "")) + _length(value)
    return size


def entry_bytes(entry: Mapping[str, Any]) -> int:
    """Return the size of an entry as PutEvents counts it."""
    texts = [str(entry.get(name) or "") for name in ("Source", "DetailType", "Detail")]
    size = sum(map(_length, (*texts, *(entry.get("Resources") or []))))
    return size + TIME_BYTES if entry.get("Time") else size


def _length(text: str | bytes) -> int:
    return len(text.encode() if isinstance(text, str) else text)


def _measured_message(send: Callable[[Data, str], Data]) -> Callable[[Data, str], Data]:
    def act_send_message(data: Data, url: str) -> Data:
        most = int(sqs._get_q(data.get("QueueUrl", url))["attributes"]["MaximumMessageSize"])
        if message_bytes(data) > most:
            reason = f"Message must be shorter than {most} bytes."
            raise sqs._Err("InvalidParameterValue", f"One or more parameters are invalid. Reason: {reason}")
        return send(data, url)

    return act_send_message


def _measured_batch(send: Callable[[Data, str], Data]) -> Callable[[Data, str], Data]:
    def act_send_message_batch(data: Data, url: str) -> Data:
        size = sum(map(message_bytes, data.get("Entries", [])))
        most = limits.BATCH.value
        if size > most:
            message = f"Batch requests cannot be longer than {most} bytes. You have sent {size} bytes."
            raise sqs._Err(limits.BATCH.error, message)
        return send(data, url)

    return act_send_message_batch


def _measured_entries(put: Callable[..., Answer]) -> Callable[..., Answer]:
    def put_events(data: Data, *arguments: Any, **options: Any) -> Answer:
        if sum(map(entry_bytes, data.get("Entries", []))) > limits.ENTRY.value:
            answer: Answer = responses.error_response_json(limits.ENTRY.error, TOO_LARGE, 400)
            return answer
        return put(data, *arguments, **options)

    return put_events


def _measured_payload(handle: Callable[..., Awaitable[Answer]]) -> Callable[..., Awaitable[Answer]]:
    async def handle_request(method: str, path: str, headers: Data, body: bytes, query: Data) -> Answer:
        kind = headers.get("x-amz-invocation-type", "RequestResponse")
        limit = limits.ASYNCHRONOUS if kind == "Event" else limits.SYNCHRONOUS
        most = limit.value
        if path.endswith(INVOCATIONS) and len(body) > most:
            message = (
                f"{len(body)} byte payload is too large for the {kind} invocation type (limit {most} bytes)"
            )
            answer: Answer = responses.error_response_json(limit.error, message, 413)
            return answer
        return await handle(method, path, headers, body, query)

    return handle_request


def _measured_response(execute: Callable[[Data, Any, str], Data]) -> Callable[[Data, Any, str], Data]:
    def execute_function_warm(function: Data, event: Any, request_id: str) -> Data:
        result = execute(function, event, request_id)
        size, most = _response_bytes(result), limits.RESPONSE.value
        if size <= most:
            return result
        message = (
            f"Response payload size ({size} bytes) exceeded maximum allowed payload size ({most} bytes)."
        )
        failure = {"errorMessage": message, "errorType": limits.RESPONSE.error}
        return result | {"body": failure, "error": True, "function_error": "Unhandled", "raw_payload": False}

    return execute_function_warm


def _response_bytes(result: Data) -> int:
    """Return the size of a function's response in JSON."""
    body = result.get("body")
    if isinstance(body, bytes) or (isinstance(body, str) and result.get("raw_payload")):
        return _length(body)
    return _length(json.dumps(body, ensure_ascii=False))


def _within_a_payload(
    receive: Callable[[str, int], list[Data]], lock: threading.RLock
) -> Callable[[str, int], list[Data]]:
    def receive_messages_for_esm(url: str, most: int) -> list[Data]:
        with lock:
            batch = receive(url, most)
            taken = _fitting(batch)
            for message in batch[taken:]:
                # It is not delivered now: the next batch starts with it.
                message |= {"visible_at": time.time(), "receive_count": message["receive_count"] - 1}
            if taken < len(batch):
                queue_index.forget(sqs._get_q(url))
        return batch[:taken]

    return receive_messages_for_esm


def _fitting(batch: Sequence[Data]) -> int:
    """Return how many messages fit into one synchronous payload, in which each body is a JSON string."""
    size = 0
    for number, message in enumerate(batch):
        size += len(json.dumps(message["body"], ensure_ascii=False).encode()) + RECORD_BYTES
        if size > limits.SYNCHRONOUS.value:
            return number
    return len(batch)
