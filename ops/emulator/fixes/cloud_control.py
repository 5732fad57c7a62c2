"""Resources made with Cloud Control work: an archive archives, and a queue accepts messages.

MiniStack stores the properties of any type and creates no resource. Here the services create the types that
this project uses. A request that can't be fulfilled fails as on AWS, in its status (Cloud Control API
reference, "ProgressEvent").
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from ministack.core import responses
from ministack.services import cloudcontrol, sqs

from ops.emulator.controlled import TYPES, ControlledType, HandlerError
from ops.emulator.json_patch import patched
from ops.emulator.patching import original, replace

Data = dict[str, Any]
Answer = tuple[int, dict[str, str], bytes]
Operation = Callable[[Data], Answer]
Handler = Callable[..., Awaitable[Answer]]


def apply() -> None:
    """Serve the operations on known types here, and leave the others to MiniStack."""
    for name in ("_record_request", "_progress_event"):
        original(cloudcontrol, name)
    operations: dict[str, Callable[[ControlledType, Data], Answer]] = {
        "_create_resource": _once(_create),
        "_get_resource": _get,
        "_update_resource": _once(_update),
        "_delete_resource": _once(_delete),
        "_list_resources": _list,
    }
    for name, operation in operations.items():
        replace(cloudcontrol, name, _for_known_types(operation, original(cloudcontrol, name)))
    replace(cloudcontrol, "handle_request", _with_host(original(cloudcontrol, "handle_request")))


def _for_known_types(known: Callable[[ControlledType, Data], Answer], other: Operation) -> Operation:
    def operation(data: Data) -> Answer:
        served = TYPES.get(data.get("TypeName", ""))
        return other(data) if served is None else known(served, data)

    return operation


def _once(
    operation: Callable[[ControlledType, Data], Answer],
) -> Callable[[ControlledType, Data], Answer]:
    """Do a request once: after a lost response the client sends it again with the same token.

    Source: Cloud Control API reference, CreateResource, ClientToken.
    """
    answers: dict[str, Answer] = {}

    def once(served: ControlledType, data: Data) -> Answer:
        token = data.get("ClientToken")
        if token is None:
            return operation(served, data)
        if token not in answers:
            answers[token] = operation(served, data)
        return answers[token]

    return once


def _with_host(handle: Handler) -> Handler:
    """Return queue URLs with the host of the request, as SQS does."""

    async def handle_request(method: str, path: str, headers: Data, *rest: Any) -> Answer:
        token = sqs._request_host.set(headers.get("host", ""))
        try:
            return await handle(method, path, headers, *rest)
        finally:
            sqs._request_host.reset(token)

    return handle_request


def _create(served: ControlledType, data: Data) -> Answer:
    try:
        identifier = served.create(json.loads(data["DesiredState"]))
    except HandlerError as refusal:
        return ended(data, "CREATE", None, refusal)
    return ended(data, "CREATE", identifier)


def _get(served: ControlledType, data: Data) -> Answer:
    properties = served.read(data["Identifier"])
    if properties is None:
        return _not_found(data)
    described = {"Identifier": data["Identifier"], "Properties": json.dumps(properties)}
    return _answered({"TypeName": data["TypeName"], "ResourceDescription": described})


def _update(served: ControlledType, data: Data) -> Answer:
    identifier = data["Identifier"]
    before = served.read(identifier)
    if before is None:
        return _not_found(data)
    try:
        after = patched(before, json.loads(data["PatchDocument"]))
    except (KeyError, IndexError, ValueError) as error:
        return ended(data, "UPDATE", identifier, HandlerError("InvalidRequest", f"the patch: {error}"))
    changed = ", ".join(name for name in served.create_only if before.get(name) != after.get(name))
    if changed:
        return ended(data, "UPDATE", identifier, HandlerError("NotUpdatable", f"{changed} can't be changed"))
    try:
        served.update(identifier, before, after)
    except HandlerError as refusal:
        return ended(data, "UPDATE", identifier, refusal)
    return ended(data, "UPDATE", identifier)


def _delete(served: ControlledType, data: Data) -> Answer:
    identifier = data["Identifier"]
    if served.read(identifier) is None:
        return ended(data, "DELETE", identifier, HandlerError("NotFound", f"{identifier} was not found"))
    served.delete(identifier)
    return ended(data, "DELETE", identifier)


def _list(served: ControlledType, data: Data) -> Answer:
    found = [
        {"Identifier": each, "Properties": json.dumps(served.read(each))} for each in served.identifiers()
    ]
    return _answered({"TypeName": data["TypeName"], "ResourceDescriptions": found})


def ended(data: Data, operation: str, identifier: str | None, refusal: HandlerError | None = None) -> Answer:
    """Answer that a request ended, with success or with a refusal."""
    event = cloudcontrol._progress_event(
        operation,
        "FAILED" if refusal else "SUCCESS",
        type_name=data["TypeName"],
        identifier=identifier,
        status_message=str(refusal) if refusal else None,
        error_code=refusal.code if refusal else None,
    )
    return _answered({"ProgressEvent": cloudcontrol._record_request(event)})


def _not_found(data: Data) -> Answer:
    answer: Answer = responses.error_response_json(
        "ResourceNotFoundException", f"{data['TypeName']} {data['Identifier']} was not found", 400
    )
    return answer


def _answered(body: Data) -> Answer:
    answer: Answer = responses.json_response(body)
    return answer
