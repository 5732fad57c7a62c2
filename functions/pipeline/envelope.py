"""The EventBridge envelope of a Stripe snapshot event, checked field by field.

Sources: Stripe, "Send events to Amazon EventBridge" and "The Event object"; AWS, "Events in EventBridge".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
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


@dataclass(frozen=True, slots=True)
class StripeEvent:
    """A checked snapshot event.

    Parameters
    ----------
    id, type, api_version
        As in Stripe's event; `api_version` is the version that the object is rendered in.
    created
        When Stripe created the event, in Unix seconds; the resolution is one second.
    account
        The connected account for a Connect event, else None.
    object
        `data.object`, the Stripe object as a plain dict.
    previous
        `data.previous_attributes`, the values before the event, else None.
    forced_replay
        Name of the forced replay that sent the event, else None. The name ends with the replay's start time.
    """

    id: str
    type: str
    api_version: str
    created: int
    account: str | None
    object: Mapping[str, Any] = field(repr=False)
    previous: Mapping[str, Any] | None = field(default=None, repr=False)
    forced_replay: str | None = None


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
    if kind == "v2.core.event":
        raise InvalidEventError(
            "detail.object", "is a thin event; set the event destination to snapshot events"
        )
    if kind != "event":
        raise InvalidEventError("detail.object", 'must be "event"')

    event_type = _matching(detail, "detail.type", TYPE)
    if envelope.get("detail-type") != event_type:
        raise InvalidEventError("detail-type", "must equal detail.type")
    data = _of_type(detail, "detail.data", dict, "an object")
    previous = data.get("previous_attributes")
    event = StripeEvent(
        id=_matching(detail, "detail.id", names.STRIPE_ID),
        type=event_type,
        api_version=_matching(detail, "detail.api_version", API_VERSION),
        created=_unix_seconds(detail, "detail.created"),
        account=None
        if detail.get("account") is None
        else _matching(detail, "detail.account", names.STRIPE_ID),
        forced_replay=_forced_replay(envelope),
        previous=previous if isinstance(previous, dict) else None,
        object=_of_type(data, "detail.data.object", dict, "an object"),
    )
    if _of_type(detail, "detail.livemode", bool, "true or false") is not livemode:
        expected = str(livemode).lower()
        raise LivemodeMismatchError("detail.livemode", f"must be {expected} in this environment")
    return event


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


def _present(parent: Mapping[str, Any], path: str) -> Any:
    value = parent.get(path.rpartition(".")[2])
    if value is None:
        raise InvalidEventError(path, "is missing")
    return value
