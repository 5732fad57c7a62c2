"""The EventBridge envelope of a Stripe event, checked field by field.

A snapshot event contains its object. A thin event names it, and the handler fetches it. The thin twin of a
snapshot event is the same event: it gets the snapshot event's id and type.

Sources: Stripe, "Send events to Amazon EventBridge", "The Event object" of API v1 and of API v2, and "Migrate
from snapshot events to thin events"; AWS, "Events in EventBridge".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeVar

from functions.pipeline.objects import INT64_LIMIT
from functions.pipeline.replay_names import started_at
from functions.shared import names
from functions.shared.errors import InvalidEventError, LivemodeMismatchError
from functions.shared.names import FORCED_REPLAY_PREFIX

Value = TypeVar("Value")

SOURCE_PREFIX: Final = "aws.partner/stripe.com/"

# These become HTTP headers, so the patterns allow only characters that a header may hold.
TYPE: Final = re.compile(r"[a-z0-9_.]{1,255}")
# A version with beta features has more than a date and a name: "2026-03-25.preview; feature_beta=v1".
API_VERSION: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9 _.;,=-]{0,126}[A-Za-z0-9])?")
# EventBridge's pattern for the name of a replay (StartReplay, ReplayName).
REPLAY: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
TIMED_REPLAY: Final = "must end with its start time, like forced-replay-prod-20261123T101500Z"

THIN: Final = "v2.core.event"
# Thin events have no version. Their objects are fetched in this one, which the mapping is tested with.
THIN_API_VERSION: Final = "2026-03-25.dahlia"


@dataclass(frozen=True, slots=True)
class StripeEvent:
    """A checked event.

    Parameters
    ----------
    id, type
        As in Stripe's event; of a thin event, those of its snapshot event. A thin event that names no
        snapshot event keeps its own id.
    api_version
        The version that the object is rendered in.
    created
        When Stripe created the event, in Unix seconds; the resolution is one second.
    account
        The connected account for a Connect event, else None.
    object
        The Stripe object as a plain dict.
    previous
        `data.previous_attributes`, the values before the event, else None.
    forced_replay
        Name of the forced replay that sent the event, else None. The name ends with the replay's start time.
    thin_id
        The thin event's own id, else None.
    is_reference
        Whether `object` is a thin event's reference, with id and type only, and is still to be fetched.
    """

    id: str
    type: str
    api_version: str
    created: int
    account: str | None
    object: Mapping[str, Any] = field(repr=False)
    previous: Mapping[str, Any] | None = field(default=None, repr=False)
    forced_replay: str | None = None
    thin_id: str | None = None
    is_reference: bool = False


def parse(envelope: object, *, livemode: bool) -> StripeEvent:
    """Check an envelope and return its event.

    Raises
    ------
    InvalidEventError
        Names the first field that is missing or wrong by its JSON path, without its value.
    LivemodeMismatchError
        The event's `livemode` differs from the environment's.
    """
    if not isinstance(envelope, dict):
        raise InvalidEventError("the envelope", "must be a JSON object")
    source = _of_type(envelope, "source", str, "a string")
    if not source.startswith(SOURCE_PREFIX):
        raise InvalidEventError("source", f"must begin with {SOURCE_PREFIX}")
    detail = _of_type(envelope, "detail", dict, "an object")

    kind = detail.get("object")
    if kind not in ("event", THIN):
        raise InvalidEventError("detail.object", f'must be "event" or "{THIN}"')
    if envelope.get("detail-type") != _matching(detail, "detail.type", TYPE):
        raise InvalidEventError("detail-type", "must equal detail.type")
    event = (_thin if kind == THIN else _snapshot)(detail, _forced_replay(envelope))
    if _of_type(detail, "detail.livemode", bool, "true or false") is not livemode:
        expected = str(livemode).lower()
        raise LivemodeMismatchError("detail.livemode", f"must be {expected} in this environment")
    return event


def identity(detail: Mapping[str, Any]) -> tuple[object, object]:
    """Return id and type of an event that is not checked yet; of a thin event, its snapshot event's."""
    event_id, event_type = detail.get("id"), detail.get("type")
    if detail.get("object") != THIN:
        return event_id, event_type
    if isinstance(event_type, str):
        event_type = event_type.removeprefix(names.THIN_PREFIX)
    return detail.get("snapshot_event") or event_id, event_type


def _snapshot(detail: Mapping[str, Any], forced_replay: str | None) -> StripeEvent:
    data = _of_type(detail, "detail.data", dict, "an object")
    previous = data.get("previous_attributes")
    return StripeEvent(
        id=_matching(detail, "detail.id", names.STRIPE_ID),
        type=_matching(detail, "detail.type", TYPE),
        api_version=_matching(detail, "detail.api_version", API_VERSION),
        created=_unix_seconds(detail, "detail.created"),
        account=None
        if detail.get("account") is None
        else _matching(detail, "detail.account", names.STRIPE_ID),
        forced_replay=forced_replay,
        previous=previous if isinstance(previous, dict) else None,
        object=_of_type(data, "detail.data.object", dict, "an object"),
    )


def _thin(detail: Mapping[str, Any], forced_replay: str | None) -> StripeEvent:
    thin_type = _matching(detail, "detail.type", TYPE)
    if not thin_type.startswith(names.THIN_PREFIX):
        raise InvalidEventError("detail.type", f"must begin with {names.THIN_PREFIX} in a thin event")
    thin_id = _matching(detail, "detail.id", names.STRIPE_ID)
    related = _of_type(detail, "detail.related_object", dict, "an object")
    return StripeEvent(
        id=thin_id
        if detail.get("snapshot_event") is None
        else _matching(detail, "detail.snapshot_event", names.STRIPE_ID),
        type=thin_type.removeprefix(names.THIN_PREFIX),
        api_version=THIN_API_VERSION,
        created=_rfc3339_seconds(detail, "detail.created"),
        account=None if detail.get("context") is None else _account(detail, "detail.context"),
        forced_replay=forced_replay,
        object={
            "id": _matching(related, "detail.related_object.id", names.STRIPE_ID),
            "object": _of_type(related, "detail.related_object.type", str, "a string"),
        },
        thin_id=thin_id,
        is_reference=True,
    )


def _forced_replay(envelope: Mapping[str, Any]) -> str | None:
    """Read the replay name that EventBridge writes into replayed events, if the replay is forced."""
    name = envelope.get("replay-name")
    if not isinstance(name, str) or not name.startswith(FORCED_REPLAY_PREFIX):
        return None
    if not REPLAY.fullmatch(name):
        raise InvalidEventError("replay-name", f"must match {REPLAY.pattern}")
    if started_at(name) is None:
        raise InvalidEventError("replay-name", TIMED_REPLAY)
    return name


def _of_type(parent: Mapping[str, Any], path: str, expected: type[Value], called: str) -> Value:
    value = _present(parent, path)
    if not isinstance(value, expected):
        raise InvalidEventError(path, f"must be {called}")
    return value


def _matching(parent: Mapping[str, Any], path: str, pattern: re.Pattern[str]) -> str:
    value = _of_type(parent, path, str, "a string")
    if not pattern.fullmatch(value):
        raise InvalidEventError(path, f"must match {pattern.pattern}")
    return value


def _unix_seconds(parent: Mapping[str, Any], path: str) -> int:
    value = _of_type(parent, path, int, "an integer")
    if isinstance(value, bool) or not 0 <= value < INT64_LIMIT:
        raise InvalidEventError(path, "must be a time in Unix seconds")
    return value


def _rfc3339_seconds(parent: Mapping[str, Any], path: str) -> int:
    """Read a time as API v2 writes it, such as 2026-04-01T10:00:05.123Z, in Unix seconds."""
    try:
        time = datetime.fromisoformat(_of_type(parent, path, str, "a string"))
        seconds = int(time.timestamp()) if time.tzinfo else -1
    except (ValueError, OverflowError):
        seconds = -1
    if seconds < 0:
        raise InvalidEventError(path, "must be a time like 2026-04-01T10:00:05.123Z")
    return seconds


def _account(parent: Mapping[str, Any], path: str) -> str:
    """Read the account of a context: the last part of a path of accounts (Stripe, "Stripe-Context")."""
    account = _of_type(parent, path, str, "a string").rpartition("/")[2]
    if not names.STRIPE_ID.fullmatch(account):
        raise InvalidEventError(path, "must end with the id of an account")
    return account


def _present(parent: Mapping[str, Any], path: str) -> Any:
    value = parent.get(path.rpartition(".")[2])
    if value is None:
        raise InvalidEventError(path, "is missing")
    return value
