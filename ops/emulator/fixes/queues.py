"""Queues lose nothing between threads; EventBridge's messages are deduplicated; failures come back soon.

MiniStack changes a queue's list of messages from the server's thread, the event source mapping's and those
of asynchronous invocations, most of the time without its lock, so that a message can be lost. And EventBridge
puts messages past a FIFO queue's content-based deduplication.

A batch that a function failed is visible again after the queue's visibility timeout; that is minutes for a
queue set up as Lambda asks for. It is compressed as the delays of asynchronous retries are, and so it is for
messages that were out when the emulator stopped: whoever held them is gone.
"""

from __future__ import annotations

import functools
import json
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from ministack.core import concurrency
from ministack.services import eventbridge, lambda_svc, sqs

from ops.emulator.patching import original, replace

logger = logging.getLogger(__name__)

Data = dict[str, Any]

# The functions that read or write a queue's messages.
CRITICAL = (
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
    """Lock what touches messages, and send EventBridge's over the queue's own operation."""
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
    """Write an event as EventBridge does: without spaces and escapes, which SQS would count."""
    try:
        return json.dumps(json.loads(payload), separators=(",", ":"), ensure_ascii=False)
    except ValueError:
        # What an input transformer makes need not be JSON.
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
            # What is still in the queue with this receipt failed; the rest is deleted.
            for message in (sqs._queues.get(url) or {"messages": []})["messages"]:
                if message["receipt_handle"] in handles:
                    message["visible_at"] = min(message["visible_at"], soon)

    return run_sqs_batch
