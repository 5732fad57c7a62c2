"""The lengths and ranges that the published model of an AWS API states for the members of a request.

botocore's copy of the model has them, but boto3 checks only the lower ones, and Terraform only some. Source
of the wording: the answers of AWS's services, "1 validation error detected: Value '901' at 'timeout' …".
"""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, cast

import botocore.session
from botocore.model import OperationModel, ServiceModel, Shape

from ops.emulator.limits import LIMITS, Limit

Data = dict[str, Any]
NUMBERS: Final = ("integer", "long", "double", "float")
# A member of a path, {Name}, or of the rest of one, {Name+}.
LABEL: Final = re.compile(r"\{(\w+)\+?\}")
INTEGER: Final = re.compile(r"-?\d+")


@dataclass(frozen=True)
class AwsRequest:
    """One request to a service: the operation and its parameters, as in the model."""

    operation: OperationModel
    parameters: Data


@cache
def model(service: str) -> ServiceModel:
    """Return the model of a service by its name in botocore."""
    return botocore.session.get_session().get_service_model(service)


def read_json(service: str, target: str, body: bytes) -> AwsRequest | None:
    """Return the call in a request of a JSON protocol, or None if there is none."""
    name = target.rpartition(".")[2]
    if name not in model(service).operation_names:
        return None
    return _call(service, name, _object(body))


def read_rest(
    service: str, method: str, path: str, query: Mapping[str, Any], body: bytes
) -> AwsRequest | None:
    """Return the call in a request of the REST protocol, or None if there is none."""
    for name, wanted, pattern in _routes(service):
        found = pattern.fullmatch(path) if wanted == method else None
        if found:
            labels = {key: urllib.parse.unquote(value) for key, value in found.groupdict().items()}
            operation = model(service).operation_model(name)
            return AwsRequest(operation, _located(operation, query) | labels | _object(body))
    return None


def read_query(service: str, parameters: Mapping[str, Any]) -> AwsRequest | None:
    """Return the call in a request of the query protocol, or None if there is none."""
    flat = {key: value[0] if isinstance(value, list) else value for key, value in parameters.items()}
    name = str(flat.get("Action", ""))
    if name not in model(service).operation_names:
        return None
    shape = model(service).operation_model(name).input_shape
    return _call(service, name, _nested(shape, "", flat) if shape else {})


def bounds(service: str, shape: Shape) -> tuple[float | None, float | None]:
    """Return the lower and the upper bound of a shape: the limit's own, or the model's."""
    lowest, most = shape.metadata.get("min"), shape.metadata.get("max")
    limit = _by_shape(service).get(shape.name)
    if limit is not None and limit.most is not None:
        return limit.lowest, limit.most
    return lowest, most


def violated(call: AwsRequest) -> str | None:
    """Return AWS's message about the members that are out of bounds, or None if there are none."""
    shape = call.operation.input_shape
    if shape is None:
        return None
    found = list(_violations(call.operation.service_model.service_name, shape, call.parameters, ""))
    if not found:
        return None
    plural = "s" if len(found) > 1 else ""
    return f"{len(found)} validation error{plural} detected: {'; '.join(found)}"


@cache
def _by_shape(service: str) -> dict[str, Limit]:
    return {limit.shape: limit for limit in LIMITS if limit.service == service and limit.shape}


def _call(service: str, name: str, parameters: Data) -> AwsRequest:
    return AwsRequest(model(service).operation_model(name), parameters)


def _object(body: bytes) -> Data:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


@cache
def _routes(service: str) -> list[tuple[str, str, re.Pattern[str]]]:
    """Return name, method and path of each operation, the most specific path first."""
    routes = []
    for name in model(service).operation_names:
        http = model(service).operation_model(name).http
        uri = http["requestUri"].partition("?")[0].rstrip("/")
        parts = LABEL.split(uri)
        # Text and label names alternate.
        pattern = "".join(
            f"(?P<{part}>[^/]+)" if number % 2 else re.escape(part) for number, part in enumerate(parts)
        )
        routes.append((len(parts), name, http["method"], re.compile(pattern + "/?")))
    return [(name, method, pattern) for _, name, method, pattern in sorted(routes, key=lambda each: each[0])]


def _located(operation: OperationModel, query: Mapping[str, Any]) -> Data:
    """Return the parameters in the query string."""
    shape = operation.input_shape
    found: Data = {}
    for name, member in _members(shape).items() if shape else ():
        key = member.serialization.get("name", name)
        if member.serialization.get("location") == "querystring" and key in query:
            value = query[key]
            found[name] = _typed(member, value[0] if isinstance(value, list) else value)
    return found


def _nested(shape: Shape, prefix: str, flat: Mapping[str, str]) -> Any:
    if shape.type_name == "structure":
        dot = f"{prefix}." if prefix else ""
        return {
            name: _nested(member, dot + name, flat)
            for name, member in _members(shape).items()
            if any(key == dot + name or key.startswith(f"{dot}{name}.") for key in flat)
        }
    if shape.type_name == "list":
        element = cast(Any, shape).member
        items, number = [], 1
        while any(key == (item := f"{prefix}.member.{number}") or key.startswith(f"{item}.") for key in flat):
            items.append(_nested(element, item, flat))
            number += 1
        return items
    return _typed(shape, flat.get(prefix, ""))


def _typed(shape: Shape, value: Any) -> Any:
    """Return a value from a text as what it is in JSON."""
    if shape.type_name in ("integer", "long") and isinstance(value, str) and INTEGER.fullmatch(value):
        return int(value)
    return value


def _members(shape: Shape) -> Mapping[str, Shape]:
    return cast(Mapping[str, Shape], getattr(shape, "members", {}))


def _violations(service: str, shape: Shape, value: Any, path: str) -> Iterator[str]:
    if value is None:
        return
    lowest, most = bounds(service, shape)
    size = _size(service, shape, value)
    if size is not None:
        what = "value" if shape.type_name in NUMBERS else "length"
        # AWS does not repeat what is secret.
        shown = "" if shape.metadata.get("sensitive") else f" '{_shown(value)}'"
        wrong = f"Value{shown} at '{path}' failed to satisfy constraint: Member must have {what}"
        if most is not None and size > most:
            yield f"{wrong} less than or equal to {most}"
        elif lowest is not None and size < lowest:
            yield f"{wrong} greater than or equal to {lowest}"
    if shape.type_name == "structure" and isinstance(value, dict):
        for name, member in _members(shape).items():
            key = member.serialization.get("name", name)
            inner = name[:1].lower() + name[1:]
            held = value.get(name, value.get(key))
            yield from _violations(service, member, held, f"{path}.{inner}" if path else inner)
    elif shape.type_name == "list" and isinstance(value, list):
        for number, item in enumerate(value, 1):
            yield from _violations(service, cast(Any, shape).member, item, f"{path}.{number}.member")


def _size(service: str, shape: Shape, value: Any) -> float | None:
    """Return what is bounded: a number, or a length in characters, bytes or items; None if nothing is."""
    if shape.type_name in NUMBERS:
        return value if isinstance(value, int | float) else None
    if shape.type_name == "string" and isinstance(value, str):
        limit = _by_shape(service).get(shape.name)
        return len(value.encode()) if limit and limit.unit == "bytes" else len(value)
    if shape.type_name in ("list", "map") and isinstance(value, list | dict):
        return len(value)
    return None


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
