"""An event that somebody wants to send: a sample, a captured envelope or an event of Stripe, with changes."""

from __future__ import annotations

import copy
import json
import secrets
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from functions.pipeline.envelope import THIN
from ops.dlq import mask
from ops.errors import OperatorError, did_you_mean
from ops.local import envelopes
from ops.local.envelopes import EnvelopeError
from ops.local.fresh_ids import FreshIds

# Bytes of randomness, so that the ids of each copy differ from those of all others.
SALT_BYTES: Final = 8


def types() -> tuple[str, ...]:
    """Return the event types of which there is a sample, sorted; a sample of a variant has two dashes."""
    folder = envelopes.SAMPLES / envelopes.GENERATIONS[-1]
    return tuple(sorted(path.stem for path in folder.glob("*.json")))


def read(named: str, source: str) -> dict[str, Any]:
    """Return the envelope of a sample's type, or the one in a file.

    Parameters
    ----------
    named
        An event type, or the path of a file.
    source
        The event source, for the envelope of an event without one.

    Raises
    ------
    OperatorError
        There is neither, or the file holds no event.
    """
    if named in types():
        return envelopes.sample(named)
    path = Path(named)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise _unknown(named, error) from error
    return parse(text, source, str(path))


def parse(text: str, source: str, name: str) -> dict[str, Any]:
    """Return the envelope in a JSON text: an envelope, or an event of Stripe.

    Parameters
    ----------
    name
        What the text is called in an error.

    Raises
    ------
    OperatorError
        The text is not JSON, is nested too deeply, or is neither of both.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise OperatorError(f"{name} is not valid JSON: correct it", usage=True) from error
    return _checked(document, source, name)


def copies(
    envelope: dict[str, Any], count: int, changes: Sequence[str], *, keep_ids: bool
) -> list[dict[str, Any]]:
    """Return the envelopes to send.

    Parameters
    ----------
    changes
        Assignments such as `data.object.amount=1200`; see `changed`.
    keep_ids
        Whether ids and time of creation stay. Otherwise each copy is about objects of its own, made now.

    Raises
    ------
    OperatorError
        A change can't be made, or leaves no event.
    """
    made = []
    for _ in range(count):
        one = copy.deepcopy(envelope)
        if not keep_ids:
            salt = secrets.token_hex(SALT_BYTES)
            one = FreshIds(salt, envelopes.own_ids(one)).rewritten_envelope(one)
            one["detail"]["created"] = _now(one["detail"])
        for change in changes:
            changed(one["detail"], change)
        made.append(_checked(one | {"detail-type": one["detail"].get("type")}, "", "the changed event"))
    return made


def changed(event: dict[str, Any], change: str) -> None:
    """Change one field of an event.

    Parameters
    ----------
    change
        A path with dots, an equals sign and a value: JSON, or else a text.

    Raises
    ------
    OperatorError
        The path leads nowhere.
    """
    path, found, text = change.partition("=")
    if not found or not path:
        raise OperatorError(
            f"invalid --set {change!r}: expected a path and a value, such as data.object.amount=1200",
            usage=True,
        )
    *parents, last = path.split(".")
    place: Any = event
    for name in parents:
        place = _below(place, name, change)
    value = _value(text)
    if isinstance(place, dict):
        place[last] = value
    elif isinstance(place, list) and last.isdecimal() and int(last) < len(place):
        place[int(last)] = value
    else:
        raise OperatorError(f"invalid --set {change!r}: {last} is in no object and no list", usage=True)


def _checked(document: Any, source: str, name: str) -> dict[str, Any]:
    try:
        mask.check_depth(document)
        return envelopes.checked(document, source)
    except mask.TooDeepError as error:
        raise OperatorError(
            f"{name} is nested more than {mask.DEEPEST} deep: send less", usage=True
        ) from error
    except EnvelopeError as error:
        raise OperatorError(f"{name}: {error}", usage=True) from error


def _below(place: Any, name: str, change: str) -> Any:
    if isinstance(place, dict) and name in place:
        return place[name]
    if isinstance(place, list) and name.isdecimal() and int(name) < len(place):
        return place[int(name)]
    known = [*place] if isinstance(place, dict) else []
    advice = did_you_mean(name, known, "use a path that the event has")
    raise OperatorError(f"invalid --set {change!r}: the event has no {name} there; {advice}", usage=True)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _now(event: dict[str, Any]) -> int | str:
    """Return the present as the event's kind writes it: Unix seconds, or a time of API v2."""
    now = time.time()
    return (
        time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(now)) if event.get("object") == THIN else int(now)
    )


def _unknown(named: str, error: Exception) -> OperatorError:
    advice = did_you_mean(named, types(), f"name a file, or one of {', '.join(types())}")
    why = error.strerror if isinstance(error, OSError) else "it is not a text"
    return OperatorError(
        f"{named} is not a type with a sample, and can't be read as a file ({why}): {advice}", usage=True
    )
