"""The events that a local run sends: the project's samples, or a folder of captured envelopes.

An envelope is what EventBridge delivers for one Stripe event, as JSON in a file of its own. A delivery is
one sending of it; two deliveries of one event id are what Stripe's at-least-once delivery looks like.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from functions.shared.json_text import compact
from functions.shared.names import EVENT_BYTES
from ops.errors import OperatorError
from ops.local.fresh_ids import FreshIds

SAMPLES = Path(__file__).resolve().parent / "events"
GENERATIONS = ("acacia", "current")
# What the API must get for each sample, by its name below SAMPLES: path and body of the call, or null. It is
# written by hand from the API's contract, so that the routing table is compared with a second reading of it.
EXPECTED_CALLS: dict[str, dict[str, Any] | None] = json.loads(
    Path(__file__).with_name("expected_bodies.json").read_text(encoding="utf-8")
)
REFUSED = "refused"
# One sample of each way in which an event ends: applied by either handler, recorded, routed by no rule.
REPEATED = (
    "payment_intent.succeeded",
    "checkout.session.completed--subscription",
    "customer.updated",
    "invoice.paid",
    "charge.succeeded",
    "payout.paid",
)


class EnvelopeError(OperatorError):
    """A folder of envelopes can't be sent.

    Parameters
    ----------
    faults
        Each bad file's name with the reason, sorted by name.
    """

    def __init__(self, message: str, faults: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(message, usage=True)
        self.faults = faults


# At some 3 KB each, and as much again for what became of it.
MOST_DELIVERIES = 100_000


@dataclass(frozen=True)
class Delivery:
    """One sending of an envelope; the note says for people which one it is."""

    envelope: dict[str, Any]
    note: str


def load_folder(path: Path) -> tuple[Delivery, ...]:
    """Read every `*.json` of a folder as an envelope, sorted by name; the note is the file's name.

    Raises
    ------
    EnvelopeError
        When the folder isn't there or holds none, or for any file that is no envelope: all are named.
    """
    if not path.is_dir():
        raise EnvelopeError(f"{path} is no folder: name one that holds event envelopes as *.json")
    try:
        files = sorted(file for file in path.iterdir() if file.match("*.json") and file.name[0] != ".")
    except OSError as error:
        raise EnvelopeError(f"{path} can't be read: {error.strerror}") from error
    if not files:
        raise EnvelopeError(f"{path} holds no *.json: put one EventBridge envelope into each file")
    deliveries: list[Delivery] = []
    faults: list[tuple[str, str]] = []
    for file in files:
        try:
            deliveries.append(Delivery(_read(file), file.name))
        except (OSError, ValueError, RecursionError) as error:
            faults.append((file.name, _reason(error)))
    if faults:
        listed = "; ".join(f"{name}: {reason}" for name, reason in faults)
        raise EnvelopeError(
            f"nothing was sent, {path} holds files that can't be sent: {listed}", tuple(faults)
        )
    return tuple(deliveries)


def default_set() -> tuple[Delivery, ...]:
    """Return the deliveries of a run without a folder.

    Every sample of both generations; then one of each kind again, under a new envelope id as EventBridge
    would give it; then the event that the reference API refuses for good, a payment in a test currency.
    """
    once = {
        f"{folder}/{delivery.note}": delivery.envelope
        for folder in GENERATIONS
        for delivery in load_folder(SAMPLES / folder)
    }
    first = [Delivery(envelope, name) for name, envelope in once.items()]
    again = [
        Delivery(
            redelivered(once[f"{folder}/{stem}.json"]),
            f"{folder}/{stem}.json, delivered again",
        )
        for folder in GENERATIONS
        for stem in REPEATED
    ]
    refused = [
        Delivery(delivery.envelope, f"{REFUSED}/{delivery.note}, refused by the API")
        for delivery in load_folder(SAMPLES / REFUSED)
    ]
    return (*first, *again, *refused)


def redelivered(envelope: dict[str, Any]) -> dict[str, Any]:
    """Return the envelope of another delivery of the same event: all equal but the envelope's own id."""
    return {**copy.deepcopy(envelope), "id": FreshIds("redelivery").uuid(str(envelope.get("id")))}


def multiplied(deliveries: Iterable[Delivery], count: int) -> tuple[Delivery, ...]:
    """Return `count` copies of a set, one after the other.

    The first copy is the set itself. Each later one tells the same story about other objects: event ids
    and the ids of all Stripe objects are new, and the same wherever they were the same, so that relations
    and repeated deliveries stay what they are. The same input gives the same ids in every run.

    Raises
    ------
    EnvelopeError
        When `count` is less than 1, or makes more deliveries than a run can hold in memory.
    """
    if count < 1:
        raise EnvelopeError(f"COUNT={count} sends nothing: give 1 or more")
    originals = tuple(deliveries)
    if len(originals) * count > MOST_DELIVERIES:
        most = MOST_DELIVERIES // len(originals)
        raise EnvelopeError(f"COUNT={count} is more than this run can send: give at most {most}")
    copies = list(originals)
    for number in range(2, count + 1):
        fresh = FreshIds(f"copy {number}", (name for each in originals for name in own_ids(each.envelope)))
        copies += [
            Delivery(fresh.rewritten_envelope(each.envelope), f"{each.note}, copy {number}")
            for each in originals
        ]
    return tuple(copies)


def own_ids(envelope: dict[str, Any]) -> tuple[str, ...]:
    """Return the ids of an envelope's event and of its object, whatever they look like."""
    detail = envelope["detail"]
    data = detail.get("data")
    stripe_object = data.get("object") if isinstance(data, dict) else None
    object_id = stripe_object.get("id") if isinstance(stripe_object, dict) else None
    return (detail["id"], object_id) if isinstance(object_id, str) and object_id else (detail["id"],)


def _read(file: Path) -> dict[str, Any]:
    envelope = json.loads(file.read_text(encoding="utf-8"), parse_constant=_no_constant)
    if not isinstance(envelope, dict):
        raise _BadEnvelopeError("not a JSON object")
    if envelope.get("object") == "event":
        raise _BadEnvelopeError("a bare Stripe event: wrap it in an EventBridge envelope, as its detail")
    detail = envelope.get("detail")
    if not isinstance(detail, dict):
        raise _BadEnvelopeError("detail is missing" if detail is None else "detail is not an object")
    for name in ("id", "type"):
        if not isinstance(detail.get(name), str) or not detail[name]:
            raise _BadEnvelopeError(f"detail.{name} is missing or not a string")
    if envelope.get("detail-type") is None:
        raise _BadEnvelopeError("detail-type is missing")
    if envelope["detail-type"] != detail["type"]:
        raise _BadEnvelopeError(
            f"detail-type is {envelope['detail-type']!r} but detail.type is {detail['type']!r}"
        )
    size = len(compact(detail).encode()) + len(detail["type"]) + len(str(envelope.get("source", "")))
    if size > EVENT_BYTES:
        raise _BadEnvelopeError(f"{size:,} bytes are more than the {EVENT_BYTES:,} that EventBridge takes")
    return envelope


class _BadEnvelopeError(ValueError):
    """Why a file is no envelope."""


def _no_constant(name: str) -> NoReturn:
    raise _BadEnvelopeError(f"not JSON: {name} is no JSON number")


def _reason(error: Exception) -> str:
    if isinstance(error, _BadEnvelopeError):
        return str(error)
    if isinstance(error, OSError):
        return f"can't be read: {error.strerror}"
    if isinstance(error, RecursionError):
        return "not JSON that can be read: nested too deeply"
    return f"not JSON: {error}"
