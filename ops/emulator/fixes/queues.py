"""Threads lose no messages, EventBridge's messages are deduplicated, and failed batches return soon.

In MiniStack the threads of the server, event source mappings and asynchronous invocations change a
queue's list of messages, mostly without its lock, so that a message can be lost. And EventBridge's messages
bypass the content-based deduplication of a FIFO queue.

A failed batch is visible again after the queue's visibility timeout, minutes for a queue that follows
Lambda's recommendation. The fix shortens it like the delays of asynchronous retries, also for messages that
were in flight when the emulator stopped: their receivers ended with it.
"""

from __future__ import annotations

import functools
import json
import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from ministack.core import concurrency
from ministack.services import eventbridge, lambda_svc, sqs

from functions.shared.json_text import compact
from ops.emulator import queue_index
from ops.emulator.patching import original, replace

logger = logging.getLogger(__name__)

Data = dict[str, Any]

# The functions that access a queue's messages.
CRITICAL: Final = (
    "_act_send_message",
    "_act_delete_message",
    "_act_change_visibility",
    "_act_purge_queue",
    "_collect_msgs",
    "_dlq_sweep",
    "_expire_retained",
    "_refresh_counts",
)


def apply() -> None:
    """Lock every access to messages, and send EventBridge's with the operation of the queue."""
    lock = threading.RLock()
    replace(sqs, "_queues_lock", lock)
    for name in CRITICAL:
        unlocked = original(sqs, name)
        locked = _locked(lock, unlocked)
        replace(sqs, name, locked)
        for action, handler in sqs._HANDLERS.items():
            if handler is unlocked:
                sqs._HANDLERS[action] = locked
    replace(eventbridge, "_dispatch_to_sqs", _dispatch_to_sqs)
    replace(sqs, "_restore_state", _releasing(original(sqs, "_restore_state")))
    replace(lambda_svc, "_run_sqs_batch", _compressed(original(lambda_svc, "_run_sqs_batch"), lock))


def _locked(lock: threading.RLock, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def locked(*arguments: Any) -> Any:
        with lock:
            return function(*arguments)

    return locked


def _dispatch_to_sqs(spec: Any, payload: str, parameters: Data | None = None) -> None:
    message = {"MessageBody": _as_delivered(payload)}
    if (parameters or {}).get("MessageGroupId"):
        message["MessageGroupId"] = (parameters or {})["MessageGroupId"]
    sqs._act_send_message(message, sqs._queue_url(spec.resource))
    concurrency.esm_wake.set()


def _as_delivered(payload: str) -> str:
    """Return an event as EventBridge writes it: without spaces, and without escapes that are not needed."""
    try:
        return compact(json.loads(payload))
    except ValueError:
        # The output of an input transformer may be plain text.
        return payload


def _releasing(restore: Callable[[Data], None]) -> Callable[[Data], None]:
    def restore_state(data: Data) -> None:
        restore(data)
        now = time.time()
        for queue in sqs._queues.all_values():
            for message in queue["messages"]:
                if message["receive_count"]:
                    message["visible_at"] = min(message["visible_at"], now)

    return restore_state


def _compressed(run: Callable[..., None], lock: threading.RLock) -> Callable[..., None]:
    def run_sqs_batch(esm: Data, function: Data, event: Data, batch: list[Data], url: str, name: str) -> None:
        run(esm, function, event, batch, url, name)
        soon = time.time() + lambda_svc._LAMBDA_ASYNC_RETRY_BASE_SECONDS
        handles = {message["receipt_handle"] for message in batch}
        with lock:
            # Messages that are still in the queue with this receipt failed; the others are deleted.
            for message in (sqs._queues.get(url) or {"messages": []})["messages"]:
                if message["receipt_handle"] in handles:
                    message["visible_at"] = min(message["visible_at"], soon)
            if queue := sqs._queues.get(url):
                queue_index.forget(queue)

    return run_sqs_batch
