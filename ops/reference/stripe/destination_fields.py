"""The fields of an event destination that a caller sets, checked as Stripe does.

Source: Stripe's API reference, "Create an event destination" and "Update an event destination".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from infra.patterns import stripe_event_types

REQUIRED: Final = ("name", "type", "event_payload", "enabled_events")
SETTABLE: Final = (*REQUIRED, "amazon_eventbridge", "description", "events_from", "metadata")
UPDATABLE: Final = frozenset({"name", "description", "enabled_events", "metadata"})
SNAPSHOT_VERSION: Final = "snapshot_api_version"
PAYLOADS: Final = ("snapshot", "thin")
ITSELF, ACCOUNTS = "@self", "@accounts"
SCOPES: Final = frozenset({ITSELF, ACCOUNTS})
_ACCOUNT: Final = re.compile(r"\d{12}")
_REGION: Final = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
_THIN: Final = re.compile(r"v[12]\.[a-z0-9_.]+")
_VERSION: Final = re.compile(r"\d{4}-\d\d-\d\d\.[a-z]+")


class InvalidFieldError(ValueError):
    """A field that Stripe refuses with 400."""


def created(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a new destination, with `aws_account_id` and `aws_region`.

    Raises
    ------
    InvalidFieldError
        One is missing, unknown or invalid.
    """
    for name in REQUIRED:
        if name not in content:
            raise InvalidFieldError(f"{name}: This field is required.")
    for name in content:
        if name not in (*SETTABLE, SNAPSHOT_VERSION):
            raise InvalidFieldError(f"{name}: Unknown field.")
    if content["type"] != "amazon_eventbridge":
        raise InvalidFieldError("type: The reference API has amazon_eventbridge only.")
    payload = content["event_payload"]
    if payload not in PAYLOADS:
        raise InvalidFieldError(f"event_payload: Unrecognized enum value '{payload}'.")
    scopes = content.get("events_from", [ITSELF])
    if not isinstance(scopes, list) or not SCOPES.issuperset(scopes):
        raise InvalidFieldError("events_from: Unrecognized enum value.")
    return {
        "type": content["type"],
        "name": _text(content, "name"),
        "description": _text({"description": "", **content}, "description"),
        "event_payload": payload,
        "enabled_events": _types(content["enabled_events"], payload),
        "events_from": scopes,
        "metadata": _metadata(content.get("metadata", {})),
        SNAPSHOT_VERSION: _version(content, payload),
        **_place(content.get("amazon_eventbridge")),
    }


def updated(content: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that an update sets.

    Raises
    ------
    InvalidFieldError
        One is not among those that can change, or invalid.
    """
    for name in content:
        if name not in UPDATABLE:
            raise InvalidFieldError(f"{name}: This field can't be updated.")
    changed = {name: _text(content, name) for name in ("name", "description") if name in content}
    more: dict[str, Any] = {}
    if "enabled_events" in content:
        more["enabled_events"] = _types(content["enabled_events"], found["event_payload"])
    if "metadata" in content:
        # A value of null removes its key.
        merged = {**found["metadata"], **content["metadata"]}
        more["metadata"] = _metadata({key: value for key, value in merged.items() if value is not None})
    return {**changed, **more}


def number(asked: Mapping[str, str], name: str, default: int, least: int = 0, most: int | None = None) -> int:
    """Return a number of a query.

    Raises
    ------
    InvalidFieldError
        It is not a number, or outside its limits.
    """
    text = asked.get(name, str(default))
    if not text.isdecimal() or int(text) < least or (most is not None and int(text) > most):
        raise InvalidFieldError(f"{name}: must be a number of at least {least}.")
    return int(text)


def _text(content: Mapping[str, Any], name: str) -> str:
    value = content[name]
    if not isinstance(value, str) or (name == "name" and not value):
        raise InvalidFieldError(f"{name}: must be a string.")
    return value


def _types(value: Any, payload: str) -> list[str]:
    if not isinstance(value, list) or not value:
        raise InvalidFieldError("enabled_events: must be a list of at least one event type.")
    known = stripe_event_types()
    for position, each in enumerate(value):
        valid = each in known if payload == "snapshot" else bool(_THIN.fullmatch(str(each)))
        if not valid:
            raise InvalidFieldError(f"enabled_events[{position}]: Unrecognized event type '{each}'.")
    return list(dict.fromkeys(value))


def _metadata(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise InvalidFieldError("metadata: must be a map of strings.")
    return value


def _version(content: Mapping[str, Any], payload: str) -> str | None:
    version = content.get(SNAPSHOT_VERSION)
    if payload == "thin":
        if version is not None:
            raise InvalidFieldError(f"{SNAPSHOT_VERSION}: Thin events are not pinned to an API version.")
        return None
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        raise InvalidFieldError(f"{SNAPSHOT_VERSION}: must be an API version.")
    return version


def _place(value: Any) -> dict[str, str]:
    value = value if isinstance(value, dict) else {}
    account_id, region = str(value.get("aws_account_id")), str(value.get("aws_region"))
    if not _ACCOUNT.fullmatch(account_id):
        raise InvalidFieldError("amazon_eventbridge.aws_account_id: must be 12 digits.")
    if not _REGION.fullmatch(region):
        raise InvalidFieldError("amazon_eventbridge.aws_region: must be an AWS region.")
    return {"aws_account_id": account_id, "aws_region": region}
