"""AWS's `runtime_client` in Python, for machines for which awslambdaric has no compiled one.

awslambdaric imports it by this name, and calls these four functions.
"""

from __future__ import annotations

import http.client
import os
from collections.abc import Mapping
from typing import Any

_headers: dict[str, str] = {}


def initialize_client(user_agent: str) -> None:
    """Set the user agent of the calls."""
    _headers["User-Agent"] = user_agent


def next() -> tuple[bytes, dict[str, Any]]:
    """Wait for an invocation; return its event and the headers, of which the deadline is a number."""
    body, given = _call("GET", "/invocation/next", None, {})
    headers: dict[str, Any] = dict(given)
    headers["Lambda-Runtime-Deadline-Ms"] = int(headers["Lambda-Runtime-Deadline-Ms"])
    return body, headers


def post_invocation_result(
    invoke_id: str, result: bytes, content_type: str, _invocation_id: str | None = None
) -> None:
    """Post the result of an invocation."""
    _call("POST", f"/invocation/{invoke_id}/response", result, {"Content-Type": content_type})


def post_error(invoke_id: str, error: str, _xray_fault: str, _invocation_id: str | None = None) -> None:
    """Post the error of an invocation."""
    _call("POST", f"/invocation/{invoke_id}/error", error.encode(), {"Content-Type": "application/json"})


def _call(
    method: str, path: str, body: bytes | None, headers: Mapping[str, str]
) -> tuple[bytes, Mapping[str, str]]:
    connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    try:
        connection.request(method, f"/2018-06-01/runtime{path}", body, {**_headers, **headers})
        answer = connection.getresponse()
        content = answer.read()
    finally:
        connection.close()
    if answer.status not in (200, 202):
        raise RuntimeError(f"Runtime API: {method} {path}: {answer.status} {content!r}")
    return content, dict(answer.getheaders())
