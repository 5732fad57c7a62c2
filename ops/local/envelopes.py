"""The events that a local run sends: the shipped samples, or captured envelopes from files.

An envelope is what EventBridge delivers for one Stripe event: JSON, one envelope per file. An event may be
sent more than once, as Stripe's at-least-once delivery does.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

from functions.shared.json_text import compact
from functions.shared.names import EVENT_BYTES
from ops.errors import OperatorError
from ops.local.fresh_ids import FreshIds

SAMPLES: Final = Path(__file__).resolve().parent / "events"
GENERATIONS: Final = ("acacia", "current")
# The call that the API must get for each sample, by its name below SAMPLES: path and body, or null. Written
# by hand from the API's contract, so that the routing table is checked against a second reading of it.
EXPECTED_CALLS: Final[dict[str, dict[str, Any] | None]] = json.loads(
    Path(__file__).with_name("expected_bodies.json").read_text(encoding="utf-8")
)
REFUSED: Final = "refused"
# One sample of each outcome: applied by each handler, recorded, unrouted.
REPEATED: Final = (
    "payment_intent.succeeded",
    "checkout.session.completed--subscription",
    "customer.updated",
    "invoice.paid",
    "charge.succeeded",
    "payout.paid",
)


# What Stripe's events call themselves: snapshot events and thin ones.
EVENTS: Final = ("event", "v2.core.event")


class EnvelopeError(OperatorError):
    """The envelopes can't be sent.

    Parameters
    ----------
    faults
        The name of each invalid file with the reason, sorted by name.
    """

    def __init__(self, message: str, faults: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(message, usage=True)
        self.faults = faults


# A delivery takes about 3 KB of memory, and as much for what became of it.
MOST_DELIVERIES: Final = 100_000


@dataclass(frozen=True)
class Sample:
    """One envelope to send, and the file that it came from."""

    envelope: dict[str, Any]
    file: str


def load(path: Path) -> tuple[Sample, ...]:
    """Read an envelope from a file, or one from every `*.json` of a folder, sorted by name.

    Raises
    ------
    EnvelopeError
        The path doesn't exist, the folder has no `*.json`, or a file is not an envelope; every such file is
        named.
    """
    if path.is_file():
        files = [path]
    elif path.is_dir():
        try:
            files = sorted(file for file in path.iterdir() if file.match("*.json") and file.name[0] != ".")
        except OSError as error:
            raise EnvelopeError(f"{path} can't be read: {error.strerror}") from error
    else:
        raise EnvelopeError(f"{path} does not exist: name an event envelope, or a folder of them as *.json")
    if not files:
        raise EnvelopeError(f"{path} has no *.json: put one EventBridge envelope into each file")
    samples: list[Sample] = []
    faults: list[tuple[str, str]] = []
    for file in files:
        try:
            samples.append(Sample(_read(file), file.name))
        except (OSError, ValueError, RecursionError) as error:
            faults.append((file.name, _reason(error)))
    if faults:
        listed = "; ".join(f"{name}: {reason}" for name, reason in faults)
        raise EnvelopeError(f"nothing was sent, because of invalid files in {path}: {listed}", tuple(faults))
    return tuple(samples)


def default_set() -> tuple[Sample, ...]:
    """Return the shipped set, which a run sends by default.

    Every sample of both generations; then one of each kind again, in a new envelope as EventBridge builds
    it; then the event that the reference API always refuses, a payment in a test currency.
    """
    once = {
        f"{folder}/{sample.file}": sample.envelope
        for folder in (*GENERATIONS, REFUSED)
        for sample in load(SAMPLES / folder)
    }
    first = [Sample(envelope, file) for file, envelope in once.items() if not file.startswith(REFUSED)]
    again = [
        Sample(redelivered(once[file]), file)
        for file in (f"{folder}/{stem}.json" for folder in GENERATIONS for stem in REPEATED)
    ]
    refused = [Sample(envelope, file) for file, envelope in once.items() if file.startswith(REFUSED)]
    return (*first, *again, *refused)


def redelivered(envelope: dict[str, Any]) -> dict[str, Any]:
    """Return the envelope of another delivery of the same event: only the envelope's own id differs."""
    return {**copy.deepcopy(envelope), "id": FreshIds("redelivery").uuid(str(envelope.get("id")))}


def multiplied(samples: Iterable[Sample], count: int) -> tuple[Sample, ...]:
    """Return `count` copies of a set, one after the other.

    The first copy is the set itself. In each later one the ids of events and Stripe objects are new; equal
    ids stay equal, so that relations and repeated deliveries are kept. The same input always gives the same
    ids.

    Raises
    ------
    EnvelopeError
        `count` is less than 1, or makes more deliveries than a run can hold in memory.
    """
    if count < 1:
        raise EnvelopeError(f"invalid COUNT={count}: expected 1 or more")
    originals = tuple(samples)
    most = MOST_DELIVERIES // len(originals)
    if count > most:
        raise EnvelopeError(f"COUNT={count} is more than a run can send: expected at most {most}")
    copies = list(originals)
    for number in range(2, count + 1):
        fresh = FreshIds(f"copy {number}", (name for each in originals for name in own_ids(each.envelope)))
        copies += [Sample(fresh.rewritten_envelope(each.envelope), each.file) for each in originals]
    return tuple(copies)


def sample(event_type: str) -> dict[str, Any]:
    """Return the shipped envelope of an event type, of the current API generation."""
    return _read(SAMPLES / GENERATIONS[-1] / f"{event_type}.json")


def own_ids(envelope: dict[str, Any]) -> tuple[str, ...]:
    """Return the ids of an envelope's event and its object, in any format."""
    detail = envelope["detail"]
    data = detail.get("data")
    stripe_object = data.get("object") if isinstance(data, dict) else None
    object_id = stripe_object.get("id") if isinstance(stripe_object, dict) else None
    return (detail["id"], object_id) if isinstance(object_id, str) and object_id else (detail["id"],)


def of_event(event: dict[str, Any], source: str) -> dict[str, Any]:
    """Return the envelope that EventBridge would build around an event; its own id and time are missing."""
    return {"detail-type": event.get("type"), "source": source, "detail": event}


def checked(document: Any, source: str) -> dict[str, Any]:
    """Return the envelope that a JSON document is, or the one around the Stripe event that it is.

    Raises
    ------
    EnvelopeError
        It is neither; the message says why.
    """
    is_event = isinstance(document, dict) and document.get("object") in EVENTS
    try:
        return _checked(of_event(document, source) if is_event else document)
    except ValueError as error:
        raise EnvelopeError(f"this is not an event: {error}") from error


def _read(file: Path) -> dict[str, Any]:
    return _checked(json.loads(file.read_text(encoding="utf-8"), parse_constant=_no_constant))


def _checked(envelope: Any) -> dict[str, Any]:
    if not isinstance(envelope, dict):
        raise _BadEnvelopeError("not a JSON object")
    if envelope.get("object") == "event":
        raise _BadEnvelopeError("a bare Stripe event: make it the detail of an EventBridge envelope")
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
    try:
        json.dumps(envelope, allow_nan=False)
    except ValueError as error:
        raise _BadEnvelopeError("it has a number that JSON can't hold, such as NaN or 1e999") from error
    size = len(compact(detail).encode()) + len(detail["type"]) + len(str(envelope.get("source", "")))
    if size > EVENT_BYTES:
        raise _BadEnvelopeError(f"{size:,} bytes are more than EventBridge's limit of {EVENT_BYTES:,}")
    return envelope


class _BadEnvelopeError(ValueError):
    """Why a file is not an envelope."""


def _no_constant(name: str) -> NoReturn:
    raise _BadEnvelopeError(f"not valid JSON: {name} is not a JSON number")


def _reason(error: Exception) -> str:
    if isinstance(error, _BadEnvelopeError):
        return str(error)
    if isinstance(error, OSError):
        return f"can't be read: {error.strerror}"
    if isinstance(error, RecursionError):
        return "not valid JSON: nested too deeply"
    return f"not valid JSON: {error}"
