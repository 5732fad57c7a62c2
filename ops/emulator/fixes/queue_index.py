"""A standard queue looks at each of its messages once, and not for every call.

MiniStack scans a queue's whole list for each ReceiveMessage, and again for each entry of
ChangeMessageVisibilityBatch: with 100,000 messages, a second for ten of them. DeleteMessage and FIFO queues
still scan.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from ministack.services import sqs

from ops.emulator import queue_index
from ops.emulator.fixes import in_flight
from ops.emulator.patching import original, replace, replace_operation

Data = dict[str, Any]
Action = Callable[[Data, str], Data]

_CHANGE: Final = "sqs:ChangeMessageVisibility"
# Without a timeout in the request.
_SECONDS: Final = 30


def apply() -> None:
    """Use the index wherever a message is looked for that is to be received, hidden or expired."""
    replace(sqs, "_collect_msgs", _receiving(original(sqs, "_collect_msgs")))
    replace(sqs, "_expire_retained", _expiring(original(sqs, "_expire_retained")))
    replace_operation(sqs, "_act_change_visibility", _hiding)
    replace_operation(sqs, "_act_change_visibility_batch", _hiding_many)
    replace(in_flight, "count", _counting(original(in_flight, "count")))
    replace(in_flight, "held", _finding(original(in_flight, "held")))


def _receiving(scan: Callable[[Data, int, int], list[Data]]) -> Callable[[Data, int, int], list[Data]]:
    def collect_msgs(queue: Data, most: int, seconds: int) -> list[Data]:
        now = time.time()
        with queue_index.exclusive():
            index = queue_index.of(queue, now)
            return scan(queue, most, seconds) if index is None else index.receive(most, seconds, now)

    return collect_msgs


def _expiring(scan: Callable[[Data], None]) -> Callable[[Data], None]:
    def expire_retained(queue: Data) -> None:
        now = time.time()
        kept = int(queue["attributes"].get("MessageRetentionPeriod", "345600"))
        with queue_index.exclusive():
            index = queue_index.of(queue, now)
            if index is None or index.oldest <= now - kept:
                scan(queue)

    return expire_retained


def _hiding(scan: Action) -> Action:
    def act_change_visibility(data: Data, url: str) -> Data:
        queue = sqs._get_q(data.get("QueueUrl", url), _CHANGE)
        if queue["is_fifo"]:
            return scan(data, url)
        if not _hidden(queue, data):
            raise sqs._Err("ReceiptHandleIsInvalid", "The input receipt handle is invalid.")
        return {}

    return act_change_visibility


def _hiding_many(scan: Action) -> Action:
    def act_change_visibility_batch(data: Data, url: str) -> Data:
        queue = sqs._get_q(data.get("QueueUrl", url), _CHANGE)
        if queue["is_fifo"]:
            return scan(data, url)
        entries = data.get("Entries", [])
        sqs._validate_batch_entries(entries, "ChangeMessageVisibilityBatchRequestEntry")
        done, failed = [], []
        for entry in entries:
            if _hidden(queue, entry):
                done.append({"Id": entry["Id"]})
            else:
                reason = {
                    "Code": "ReceiptHandleIsInvalid",
                    "Message": "The input receipt handle is invalid.",
                    "SenderFault": True,
                }
                failed.append({"Id": entry["Id"], **reason})
        return {"Successful": done, "Failed": failed}

    return act_change_visibility_batch


def _hidden(queue: Data, entry: Data) -> bool:
    now, seconds = time.time(), int(entry.get("VisibilityTimeout", _SECONDS))
    with queue_index.exclusive():
        index = queue_index.of(queue, now)
        changed = index is not None and index.hide(entry.get("ReceiptHandle", ""), seconds, now)
    if changed and seconds == 0:
        sqs.esm_wake.set()
    return changed


def _counting(scan: Callable[[Data], int]) -> Callable[[Data], int]:
    def count(queue: Data) -> int:
        now = time.time()
        with queue_index.exclusive():
            index = queue_index.of(queue, now)
            return scan(queue) if index is None else index.in_flight(now)

    return count


def _finding(scan: Callable[[Data, str | None], Data | None]) -> Callable[[Data, str | None], Data | None]:
    def held(queue: Data, receipt: str | None) -> Data | None:
        with queue_index.exclusive():
            index = queue_index.of(queue, time.time())
            return scan(queue, receipt) if index is None else index.held(receipt or "")

    return held
