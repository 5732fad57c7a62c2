"""The key of an existing log group can be set and removed.

Source: CloudWatch Logs API reference, AssociateKmsKey and DisassociateKmsKey.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any

from ministack.core import responses
from ministack.services import cloudwatch_logs

from ops.emulator.patching import original, replace

Data = dict[str, Any]
Answer = tuple[int, dict[str, str], bytes]
Handler = Callable[..., Coroutine[Any, Any, Answer]]


def apply() -> None:
    """Serve the two operations."""
    handle: Handler = original(cloudwatch_logs, "handle_request")

    async def handle_request(
        method: str, path: str, headers: dict[str, str], body: bytes, query: Data
    ) -> Answer:
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        if operation not in ("AssociateKmsKey", "DisassociateKmsKey"):
            return await handle(method, path, headers, body, query)
        data = json.loads(body or b"{}")
        group = cloudwatch_logs._log_groups.get(data.get("logGroupName", ""))
        if group is None:
            message = "The specified log group does not exist."
            missing: Answer = responses.error_response_json("ResourceNotFoundException", message, 400)
            return missing
        return set_key(group, data)

    replace(cloudwatch_logs, "handle_request", handle_request)


def set_key(group: Data, data: Data) -> Answer:
    """Set the key of a log group, or remove it if the request names none."""
    group["kmsKeyId"] = data.get("kmsKeyId")
    answer: Answer = responses.json_response({})
    return answer
