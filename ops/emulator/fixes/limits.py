"""Requests beyond a limit of their API are refused, as AWS refuses them.

The limits are the rows of `ops.emulator.limits`, what the published models of the APIs state, and the rules
of `ops.emulator.request_rules`.
"""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from types import ModuleType
from typing import Any, Final
from xml.sax.saxutils import escape

from ministack.core import responses
from ministack.services import (
    cloudwatch,
    cloudwatch_logs,
    eventbridge,
    iam,
    lambda_svc,
    s3,
    scheduler,
    secretsmanager,
    sqs,
)

from ops.emulator import limits
from ops.emulator.constraints import AwsRequest, read_json, read_query, read_rest, violated
from ops.emulator.patching import original, replace
from ops.emulator.refusal import Refusal
from ops.emulator.request_rules import refusal

Data = dict[str, Any]
Answer = tuple[int, dict[str, str], bytes]
Handler = Callable[[str, str, Data, bytes, Data], Awaitable[Answer]]

MODULES: Final[Mapping[str, ModuleType]] = {
    "events": eventbridge,
    "lambda": lambda_svc,
    "logs": cloudwatch_logs,
    "cloudwatch": cloudwatch,
    "scheduler": scheduler,
    "secretsmanager": secretsmanager,
    "iam": iam,
}
# Those with the query protocol.
QUERY: Final = ("cloudwatch", "iam")
# Which error states that a constraint of the model is violated; of the others it is ValidationException.
CODES: Final[Mapping[str, str]] = {
    "logs": limits.LOGS_INVALID,
    "cloudwatch": limits.METRICS_INVALID,
    "iam": limits.IAM_INVALID,
}
RESERVED_PREFIXES: Final = ("xn--", "sthree-", "amzn-s3-demo-")
RESERVED_SUFFIXES: Final = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")


def apply() -> None:
    """Check each request before its service sees it."""
    for name in ("_rules", "_targets", "_rule_key", "_parse_cron_fields"):
        original(eventbridge, name)
    original(secretsmanager, "_secrets")
    for name in ("_esms", "_functions", "_resolve_name", "_resolve_name_and_qualifier"):
        original(lambda_svc, name)
    original(lambda_svc, "_get_func_record_for_qualifier")
    original(sqs, "_queue_by_arn")
    original(iam, "_roles")
    limits.changed()
    for service, module in MODULES.items():
        replace(module, "handle_request", _checked(service, original(module, "handle_request")))
    replace(lambda_svc, "_add_permission", _bounded(original(lambda_svc, "_add_permission")))
    replace(s3, "_create_bucket", _named(original(s3, "_create_bucket")))


def _checked(service: str, handle: Handler) -> Handler:
    async def handle_request(method: str, path: str, headers: Data, body: bytes, query: Data) -> Answer:
        call = _read(service, method, path, headers, body, query)
        found = _refusal(service, call) if call else None
        if found is None:
            return await handle(method, path, headers, body, query)
        return _answer(service, found, speaks_json=bool(headers.get("x-amz-target")))

    return handle_request


def _read(service: str, method: str, path: str, headers: Data, body: bytes, query: Data) -> AwsRequest | None:
    target = headers.get("x-amz-target", "")
    if target:
        return read_json(service, target, body)
    if service in QUERY:
        form = urllib.parse.parse_qs(body.decode(errors="replace"), keep_blank_values=True)
        return read_query(service, {**query, **form})
    return read_rest(service, method, path, query, body)


def _refusal(service: str, call: AwsRequest) -> Refusal | None:
    found = refusal(service, call.operation.name, call.parameters)
    if found is None and (message := violated(call)):
        return Refusal(CODES.get(service, limits.VALIDATION), message)
    return found


def _answer(service: str, found: Refusal, *, speaks_json: bool) -> Answer:
    answer: Answer
    if service == "cloudwatch":
        answer = cloudwatch._error(found.code, found.message, found.status, use_json=speaks_json)
    elif service == "scheduler":
        answer = scheduler._error(found.status, found.code, found.message)
    elif service == "iam":
        answer = iam._error(found.status, found.code, escape(found.message))
    else:
        answer = responses.error_response_json(found.code, found.message, found.status)
    return answer


def _bounded(add: Callable[..., Answer]) -> Callable[..., Answer]:
    def add_permission(name: str, *arguments: Any, **options: Any) -> Answer:
        answer = add(name, *arguments, **options)
        policy = (lambda_svc._functions.get(name) or {}).get("policy") or {}
        size, most = len(json.dumps(policy, separators=(",", ":")).encode()), limits.POLICY.value
        if answer[0] < HTTPStatus.BAD_REQUEST and size > most:
            policy["Statement"].pop()
            message = f"The final policy size ({size}) is bigger than the limit ({most})."
            answer = responses.error_response_json(limits.POLICY.error, message, HTTPStatus.BAD_REQUEST)
        return answer

    return add_permission


def _named(create: Callable[..., Answer]) -> Callable[..., Answer]:
    def create_bucket(name: str, *arguments: Any, **options: Any) -> Answer:
        if name.startswith(RESERVED_PREFIXES) or name.endswith(RESERVED_SUFFIXES):
            answer: Answer = s3._error(
                limits.BUCKET_NAME, "The specified bucket is not valid.", 400, f"/{name}"
            )
            return answer
        return create(name, *arguments, **options)

    return create_bucket
