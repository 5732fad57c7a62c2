"""What Lambda refuses of an event source mapping of a queue, when the mapping or its function changes.

Sources: API reference, CreateEventSourceMapping; Lambda developer guide, "Creating and configuring an Amazon
SQS event source mapping".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ministack.services import lambda_svc, sqs

from ops.emulator import limits
from ops.emulator.refusal import Refusal

Data = dict[str, Any]


def mapping(data: Data) -> Refusal | None:
    """Check a mapping that is created, or as it will be after its update."""
    held = lambda_svc._esms.get(data.get("UUID")) or {}
    made = {**held, **data}
    source = made.get("EventSourceArn", "")
    if ":sqs:" not in source:
        return None
    reference = data.get("FunctionName") or held.get("FunctionArn", "")
    wrong = next(_wrong(made, source, _timeout(reference)), None)
    return Refusal(limits.INVALID_VALUE, wrong) if wrong else None


def timeout(data: Data) -> Refusal | None:
    """Check a function's new time-out against the queues that invoke it."""
    name, seconds = lambda_svc._resolve_name(data.get("FunctionName", "")), data.get("Timeout") or 0
    sources = [each["EventSourceArn"] for each in lambda_svc._esms.values() if each["FunctionName"] == name]
    wrong = next((text for source in sources for text in _too_short(source, seconds)), None)
    return Refusal(limits.INVALID_VALUE, wrong) if wrong else None


def _wrong(made: Data, source: str, seconds: int) -> Iterator[str]:
    """Yield what is wrong with a mapping of a queue to a function with a time-out."""
    size, window = made.get("BatchSize") or 0, made.get("MaximumBatchingWindowInSeconds") or 0
    if source.endswith(".fifo"):
        if window > limits.FIFO_WINDOW.value:
            yield "Batching window is not supported for FIFO queues"
        if size > limits.FIFO_BATCH.value:
            yield f"For FIFO queues the maximum batch size is {limits.FIFO_BATCH.value}."
    elif size > limits.SHORT_BATCH.value and window == 0:
        yield (
            "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than "
            f"{limits.SHORT_BATCH.value}"
        )
    yield from _too_short(source, seconds)


def _too_short(source: str, seconds: int) -> Iterator[str]:
    """Yield what is wrong with a queue from which a message could come again while its function runs."""
    queue = sqs._queue_by_arn(source)
    visibility = int(queue["attributes"]["VisibilityTimeout"]) if queue else seconds
    if visibility < seconds:
        yield (
            f"Queue visibility timeout: {visibility} seconds is less than Function timeout: {seconds} seconds"
        )


def _timeout(reference: str) -> int:
    """Return the time-out of a function by its name or ARN; 0 if it does not exist."""
    name, qualifier = lambda_svc._resolve_name_and_qualifier(reference)
    _record, config = lambda_svc._get_func_record_for_qualifier(name, qualifier)
    return int((config or {}).get("Timeout") or 0)
