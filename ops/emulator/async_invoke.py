"""Lambda's queue of asynchronous invocations: bounded threads, retries, event age, destinations."""

from __future__ import annotations

import contextvars
import heapq
import itertools
import logging
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Final

from ministack.core import responses
from ministack.core.arn import parse_arn
from ministack.services import cloudwatch, lambda_svc

logger = logging.getLogger(__name__)

Function = dict[str, Any]
# Lambda's defaults (developer guide, "Configuring error handling for asynchronous invocation").
DEFAULT_RETRIES: Final = 2
DEFAULT_EVENT_AGE_SECONDS: Final = 21_600.0
# Concurrent executions per function on this machine; the reserved concurrency can lower it.
MAX_EXECUTIONS: Final = 4
# A throttled event returns to the queue, and its attempt doesn't count.
THROTTLE_DELAY_SECONDS: Final = 0.25
# An idle thread ends after this time.
IDLE_SECONDS: Final = 2.0


@dataclass(order=True)
class QueuedEvent:
    """One event for one function, ordered by the monotonic time at which it is due."""

    due: float
    number: int
    function: Function = field(compare=False)
    event: Any = field(compare=False)
    context: contextvars.Context = field(compare=False)
    accepted: float = field(compare=False)
    attempts: int = field(compare=False, default=0)


class AsyncInvocations:
    """The queues of all functions."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queues: dict[str, _FunctionQueue] = {}
        self._numbers = itertools.count()

    def submit(self, function: Function, event: Any) -> None:
        """Queue an event for a function and return at once."""
        now = time.monotonic()
        self._push(QueuedEvent(now, next(self._numbers), function, event, contextvars.copy_context(), now))

    def snapshot(self) -> list[dict[str, Any]]:
        """Return the queued and running invocations, for `restore` in another process."""
        with self._lock:
            queues = dict(self._queues)
        now = time.monotonic()
        return [
            {
                "function": arn,
                "event": queued.event,
                "age": now - queued.accepted,
                "attempts": queued.attempts,
            }
            for arn, queue in queues.items()
            for queued in queue.pending()
        ]

    def restore(self, snapshot: list[dict[str, Any]]) -> None:
        """Queue the invocations of another process, except those of functions that no longer exist."""
        for entry in snapshot:
            spec = parse_arn(entry["function"])
            name = spec.resource.removeprefix("function:")
            function = lambda_svc._functions.get_scoped(spec.account_id, spec.region, name)
            if function is not None:
                now = time.monotonic()
                number, context = next(self._numbers), contextvars.copy_context()
                accepted, attempts = now - entry["age"], entry["attempts"]
                self._push(QueuedEvent(now, number, function, entry["event"], context, accepted, attempts))

    def _push(self, queued: QueuedEvent) -> None:
        arn = _config(queued.function).get("FunctionArn", "")
        with self._lock:
            queue = self._queues.setdefault(arn, _FunctionQueue())
        queue.push(queued)


class _FunctionQueue:
    """The queue of one function and the threads that process it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: list[QueuedEvent] = []
        self._running: dict[int, QueuedEvent] = {}
        self._threads = 0
        self._idle = 0

    def push(self, queued: QueuedEvent) -> None:
        with self._changed:
            heapq.heappush(self._waiting, queued)
            if len(self._waiting) > self._idle and self._threads < _executions(queued.function):
                self._threads += 1
                threading.Thread(target=self._work, daemon=True, name="lambda-async").start()
            self._changed.notify()

    def _work(self) -> None:
        while True:
            queued = self._next()
            if queued is None:
                return
            try:
                again = queued.context.run(_attempt, queued)
            except Exception:
                # A destination that refuses the record must not end the thread.
                logger.exception("the failure of an asynchronous invocation could not be recorded")
                again = False
            with self._changed:
                del self._running[queued.number]
                if again:
                    self.push(queued)

    def pending(self) -> list[QueuedEvent]:
        with self._changed:
            return [*self._waiting, *self._running.values()]

    def _next(self) -> QueuedEvent | None:
        """Return the next event that is due, or None after an idle time, which ends this thread."""
        with self._changed:
            self._idle += 1
            try:
                while True:
                    wait = IDLE_SECONDS
                    if self._waiting:
                        wait = self._waiting[0].due - time.monotonic()
                        if wait <= 0:
                            queued = heapq.heappop(self._waiting)
                            self._running[queued.number] = queued
                            return queued
                    if not self._changed.wait(wait) and not self._waiting:
                        self._threads -= 1
                        return None
            finally:
                self._idle -= 1


def _attempt(queued: QueuedEvent) -> bool:
    """Invoke once; return whether to retry, with `due` set. Report a final failure to the destinations."""
    account, region = lambda_svc._account_region_from_function_config(_config(queued.function))
    responses.set_request_account_id(account)
    responses.set_request_region(region)
    function = _current(queued.function)
    config = _config(function)
    settings = _invoke_config(function)
    try:
        result = lambda_svc._execute_function(function, queued.event)
    except Exception as exc:
        logger.exception("asynchronous invocation of %s", config.get("FunctionName"))
        result = {"error": True, "body": {"errorMessage": str(exc), "errorType": type(exc).__name__}}
    if not result.get("error") and not result.get("throttle"):
        return False
    throttled = bool(result.get("throttle"))
    delay = THROTTLE_DELAY_SECONDS
    if not throttled:
        queued.attempts += 1
        delay = min(
            lambda_svc._LAMBDA_ASYNC_RETRY_BASE_SECONDS * 2 ** (queued.attempts - 1),
            lambda_svc._LAMBDA_ASYNC_RETRY_MAX_SECONDS,
        )
    now = time.monotonic()
    too_old = now + delay - queued.accepted > float(
        settings.get("MaximumEventAgeInSeconds") or DEFAULT_EVENT_AGE_SECONDS
    )
    retries = settings.get("MaximumRetryAttempts", DEFAULT_RETRIES)
    if not too_old and (throttled or queued.attempts <= int(retries)):
        queued.due = now + delay
        return True
    result = result | {"attempts": queued.attempts, "too_old": too_old}
    _report_failure(settings, config, queued.event, result)
    return False


def _current(function: Function) -> Function:
    """Return the function as it is now: its code, concurrency and destinations may have changed."""
    record, config, _name = lambda_svc._get_func_record_for_ref(_config(function).get("FunctionArn", ""))
    if not record or not config:
        return function
    current: Function = lambda_svc._execution_record_for_config(record, config)
    return current


def _report_failure(settings: Function, config: Function, event: Any, result: Function) -> None:
    """Send the event to the on-failure destination and to the function's dead-letter queue.

    Lambda counts it as dropped in both cases (developer guide, "Asynchronous invocation metrics").
    """
    name = config.get("FunctionName", "")
    cloudwatch.record_metric("AWS/Lambda", "QueuedEventsDropped", 1, "Count", {"FunctionName": name})
    targets = (
        ((settings.get("DestinationConfig") or {}).get("OnFailure") or {}).get("Destination"),
        (config.get("DeadLetterConfig") or {}).get("TargetArn"),
    )
    for target in filter(None, targets):
        lambda_svc._route_async_failure(target, name, event, result)


def _config(function: Function) -> Function:
    config: Function = function.get("config") or function
    return config


def _invoke_config(function: Function) -> Function:
    settings: Function = (
        function.get("event_invoke_config")
        or (function.get("event_invoke_configs") or {}).get("$LATEST")
        or {}
    )
    return settings


def _executions(function: Function) -> int:
    reserved = lambda_svc._reserved_concurrency(function, _config(function))
    # A reserved concurrency of 0 disables the function; one thread then reports the throttles.
    return MAX_EXECUTIONS if reserved is None else max(1, min(MAX_EXECUTIONS, int(reserved)))
