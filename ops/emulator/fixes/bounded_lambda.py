"""Events reach functions over Lambda's asynchronous path, on a bounded number of threads.

EventBridge invokes a function asynchronously: Lambda queues the event, retries a failure, and sends an event
whose retries are exhausted to the function's destination (Lambda developer guide, "Error handling for
asynchronous invocation"). MiniStack starts a thread and a worker process per event instead, and tries once.
"""

from __future__ import annotations

import json
import logging
from typing import Any, Final

from ministack.services import eventbridge, lambda_svc

from ops.emulator.async_invoke import AsyncInvocations
from ops.emulator.patching import original, replace

logger = logging.getLogger(__name__)

STATE_KEY: Final = "asynchronous_invocations"


def apply() -> None:
    """Queue asynchronous invocations per function, also those of EventBridge, and persist the queues."""
    for name in ("_execute_function", "_route_async_failure", "_account_region_from_function_config"):
        original(lambda_svc, name)
    invocations = AsyncInvocations()

    def invoke_async_with_retry(function: dict[str, Any], event: Any) -> None:
        invocations.submit(function, event)

    get_state = original(lambda_svc, "get_state")
    load_state = original(lambda_svc, "load_persisted_state")

    def get_state_with_queue() -> dict[str, Any]:
        state: dict[str, Any] = get_state()
        return state | {STATE_KEY: invocations.snapshot()}

    def load_state_with_queue(data: dict[str, Any]) -> None:
        load_state(data)
        invocations.restore(data.get(STATE_KEY) or [])

    replace(lambda_svc, "get_state", get_state_with_queue)
    replace(lambda_svc, "load_persisted_state", load_state_with_queue)
    replace(lambda_svc, "invoke_async_with_retry", invoke_async_with_retry)
    replace(eventbridge, "_dispatch_to_lambda", _dispatch_to_lambda)


def _dispatch_to_lambda(arn: str, payload: str) -> None:
    function, config, name = lambda_svc._get_func_record_for_ref(arn)
    if not function or not config:
        logger.warning("EventBridge target: function %s not found", name)
        return
    record = lambda_svc._execution_record_for_config(function, config)
    lambda_svc.invoke_async_with_retry(record, json.loads(payload))
