"""A function's dead-letter queue receives the event, an on-failure destination a complete record.

Source: Lambda developer guide, "Capturing records of Lambda asynchronous invocations": a dead-letter queue
gets the unchanged event with the error in attributes, a destination gets a record that contains it. An event
that the queue refuses is lost and counted ("Asynchronous invocation metrics").
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from ministack.core import responses
from ministack.services import cloudwatch, lambda_svc, sqs

from functions.shared.json_text import compact
from ops.emulator.patching import original, replace

logger = logging.getLogger(__name__)

Data = dict[str, Any]
DEFAULT_ATTEMPTS: Final = 3
# The attribute has the first kibibyte of the error message.
ERROR_MESSAGE_LIMIT: Final = 1024


def apply() -> None:
    """Send both kinds of message to queues here; leave other destinations to MiniStack."""
    route: Callable[[str, str, Any, Data], None] = original(lambda_svc, "_route_async_failure")
    original(sqs, "_act_send_message")

    def route_async_failure(target_arn: str, name: str, event: Any, result: Data) -> None:
        queue = sqs._queue_by_arn(target_arn)
        if queue is None:
            route(target_arn, name, event, result)
            return
        config = (lambda_svc._functions.get(name) or {}).get("config") or {}
        dead_letter = (config.get("DeadLetterConfig") or {}).get("TargetArn")
        if target_arn == dead_letter:
            message = _dead_letter(event, result)
        else:
            message = {"MessageBody": compact(_record(config, event, result))}
        try:
            sqs._act_send_message(message, sqs._queue_url(target_arn.rpartition(":")[2]))
        except sqs._Err as exc:
            logger.warning("function %s: %s: %s", name, target_arn, exc.message)
            lost = "DeadLetterErrors" if target_arn == dead_letter else "DestinationDeliveryFailures"
            cloudwatch.record_metric("AWS/Lambda", lost, 1, "Count", {"FunctionName": name})

    replace(lambda_svc, "_route_async_failure", route_async_failure)


def _dead_letter(event: Any, result: Data) -> Data:
    error = str(_error(result).get("errorMessage", ""))
    attributes = {
        "RequestID": ("String", responses.new_uuid()),
        "ErrorCode": ("Number", "200"),
        "ErrorMessage": ("String", error[:ERROR_MESSAGE_LIMIT] or "Unknown"),
    }
    return {
        "MessageBody": compact(event),
        "MessageAttributes": {
            name: {"DataType": kind, "StringValue": value} for name, (kind, value) in attributes.items()
        },
    }


def _record(config: Data, event: Any, result: Data) -> Data:
    version = config.get("Version", "$LATEST")
    return {
        "version": "1.0",
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "requestContext": {
            "requestId": responses.new_uuid(),
            "functionArn": f"{config.get('FunctionArn', '')}:{version}",
            "condition": "EventAgeExceeded" if result.get("too_old") else "RetriesExhausted",
            "approximateInvokeCount": result.get("attempts", DEFAULT_ATTEMPTS),
        },
        "requestPayload": event,
        "responseContext": {
            "statusCode": 200,
            "executedVersion": version,
            "functionError": result.get("function_error") or "Unhandled",
        },
        "responsePayload": _error(result),
    }


def _error(result: Data) -> Data:
    body = result.get("body")
    return body if isinstance(body, dict) else {}
