"""CloudWatch Logs Insights queries can be saved, listed and deleted.

Source: CloudWatch Logs API reference, PutQueryDefinition, DescribeQueryDefinitions, DeleteQueryDefinition.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final

from ministack.core import responses
from ministack.services import cloudwatch_logs

from ops.emulator.patching import original, replace

Data = dict[str, Any]
Answer = tuple[int, dict[str, str], bytes]
Handler = Callable[..., Coroutine[Any, Any, Answer]]

KEPT: Final = ("name", "queryString", "logGroupNames", "queryLanguage")
STATE_KEY: Final = "query_definitions"


def apply() -> None:
    """Serve the three operations, and persist the queries with the state of the service."""
    definitions = responses.AccountRegionScopedDict()
    operations: dict[str, Callable[[Any, Data], Data]] = {
        "PutQueryDefinition": _put,
        "DescribeQueryDefinitions": _describe,
        "DeleteQueryDefinition": _delete,
    }
    handle: Handler = original(cloudwatch_logs, "handle_request")
    get_state = original(cloudwatch_logs, "get_state")
    restore_state = original(cloudwatch_logs, "_restore_state")

    async def handle_request(
        method: str, path: str, headers: dict[str, str], body: bytes, query: Data
    ) -> Answer:
        operation = operations.get(headers.get("x-amz-target", "").rpartition(".")[2])
        if operation is None:
            return await handle(method, path, headers, body, query)
        try:
            answer: Answer = responses.json_response(operation(definitions, json.loads(body or b"{}")))
        except KeyError as exc:
            message = f"The specified query definition does not exist: {exc.args[0]}"
            answer = responses.error_response_json("ResourceNotFoundException", message, 400)
        return answer

    def get_state_with_queries() -> Data:
        state: Data = get_state()
        return state | {STATE_KEY: definitions}

    def restore_state_with_queries(data: Data) -> None:
        restore_state(data)
        definitions.update((data or {}).get(STATE_KEY) or {})

    replace(cloudwatch_logs, "handle_request", handle_request)
    replace(cloudwatch_logs, "get_state", get_state_with_queries)
    replace(cloudwatch_logs, "_restore_state", restore_state_with_queries)


def _put(definitions: Any, data: Data) -> Data:
    identifier = data.get("queryDefinitionId")
    if identifier and identifier not in definitions:
        raise KeyError(identifier)
    identifier = identifier or responses.new_uuid()
    definitions[identifier] = {key: data[key] for key in KEPT if data.get(key)} | {
        "queryDefinitionId": identifier,
        "lastModified": int(time.time() * 1000),
    }
    return {"queryDefinitionId": identifier}


def _describe(definitions: Any, data: Data) -> Data:
    prefix = data.get("queryDefinitionNamePrefix") or ""
    found = [one for one in definitions.values() if one["name"].startswith(prefix)]
    return {"queryDefinitions": sorted(found, key=lambda one: str(one["name"]))}


def _delete(definitions: Any, data: Data) -> Data:
    del definitions[data["queryDefinitionId"]]
    return {"success": True}
