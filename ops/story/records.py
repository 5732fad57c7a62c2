"""What the items of the idempotency table say about an event, in plain words.

The modules of `functions.pipeline` that write the items describe them: `idempotency`, `effects`, `ordering`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from functions.pipeline import effects, ordering
from functions.pipeline.idempotency import COMPLETED, IN_PROGRESS, RELEASED
from functions.shared import names
from ops.customer.items import Item
from ops.times import stamp_of

_MILLISECONDS: Final = 1000


@dataclass(frozen=True, slots=True)
class Said:
    """What an item says.

    Parameters
    ----------
    sentence
        In plain words.
    at
        When it was written, in Unix seconds, if the item says so.
    outcome
        The outcome that the event's record keeps, else None.
    because_of
        The event that this one was a duplicate of, was older than, or waits for.
    waits
        Whether the event can't be applied before that one is settled.
    """

    sentence: str
    at: float | None = None
    outcome: str | None = None
    because_of: str | None = None
    waits: bool = False
    in_doubt: bool = False


def said(
    items: Iterable[Item], event_id: str, created: float | None, object_id: str, now: float
) -> list[Said]:
    """Return what the items say about an event, the event's own record first.

    Parameters
    ----------
    created
        When Stripe created the event, in Unix seconds.
    object_id
        The id of its object, for the sentences.
    now
        Unix seconds.
    """
    found: list[Said] = []
    for item in sorted(items, key=_kind_order):
        kind = _kind(item)
        if float(item.get(names.IDEMPOTENCY_EXPIRY_ATTRIBUTE, 0)) <= now:
            continue
        if kind == effects.KIND:
            found += _effect(item, event_id)
        elif kind == ordering.KIND:
            found += _states(item, event_id, created, object_id, now)
        else:
            found.append(_record(item, now))
    return found


def _record(item: Item, now: float) -> Said:
    status = item.get("status")
    if status == COMPLETED:
        outcome = _outcome(item)
        at = float(item["completed_at"]) / _MILLISECONDS if "completed_at" in item else None
        return Said(f"its record is completed: {outcome or 'without an outcome'}", at, outcome)
    if status == RELEASED:
        return Said("its record is released: a handler has seen it, and the API has certainly not applied it")
    if status == IN_PROGRESS:
        until = float(item.get("in_progress_expiration", 0)) / _MILLISECONDS
        if until > now:
            return Said(
                f"its record is in progress: a handler is applying it, at most until {stamp_of(until)}"
            )
        return Said(
            "its outcome is unknown: a call may have applied it, and no answer settled that", in_doubt=True
        )
    return Said("its record has a status that this release does not know")


def _effect(item: Item, event_id: str) -> list[Said]:
    holder = _event(item.get("idempotency_key"))
    if holder is None:
        return []
    own = holder == event_id
    if item.get("done"):
        sentence = "its effect is done" if own else f"its effect was done before, by {holder}"
        return [Said(sentence, because_of=None if own else holder)]
    if own:
        return [Said("it holds the claim on its effect, which is not settled")]
    return [
        Said(
            f"it waits for {holder}, the first event of the same effect, which is not settled",
            None,
            None,
            holder,
            True,
        )
    ]


def _states(item: Item, event_id: str, created: float | None, object_id: str, now: float) -> list[Said]:
    found = []
    by = _event(item.get("applied_by"))
    applied, ended = (float(item.get(name, 0)) for name in ("applied", "ended"))
    if by == event_id:
        found.append(Said(f"its state of {object_id} is the one that was applied last"))
    elif by is not None and created is not None and applied >= created:
        what = "the end of" if ended and ended >= applied else "a newer state of"
        same = "a state of the same second of" if applied == created and what != "the end of" else what
        found.append(Said(f"{same} {object_id} was applied, by {by}", because_of=by))
    elif by is not None:
        found.append(Said(f"the state of {object_id} that was applied last is older, by {by}"))
    until = float(item.get("lease_until", 0)) / _MILLISECONDS
    holder = _event(item.get("holder"))
    if holder is not None and holder != event_id and until > now:
        found.append(
            Said(
                f"it waits for {holder} of the same object, which is being applied", None, None, holder, True
            )
        )
    for entry, time in _unsettled(item).items():
        other = _event(entry.removeprefix(ordering.END))
        if other is not None and other not in (event_id, holder) and created is not None and time >= created:
            what = "the end" if entry.startswith(ordering.END) else "a newer state"
            sentence = f"it waits for {other}, {what} of {object_id}, whose outcome is unknown"
            found.append(Said(sentence, None, None, other, True))
    return found


def _unsettled(item: Item) -> Mapping[str, float]:
    entries = item.get("unsettled")
    return {key: float(value) for key, value in entries.items()} if isinstance(entries, Mapping) else {}


def _outcome(item: Item) -> str | None:
    try:
        outcome: Any = json.loads(item["data"])["outcome"]
    except (ValueError, KeyError, TypeError):
        return None
    return outcome if isinstance(outcome, str) else None


def _event(key: object) -> str | None:
    """Return the event's id in an idempotency key, which may also name a forced replay."""
    return key.partition(":")[0] if isinstance(key, str) and key else None


def _kind(item: Item) -> str:
    return str(item.get(names.IDEMPOTENCY_KEY_ATTRIBUTE, "")).partition("#")[0]


def _kind_order(item: Item) -> int:
    return {effects.KIND: 1, ordering.KIND: 2}.get(_kind(item), 0)
