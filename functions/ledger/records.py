"""A message of the audit queue as a ledger record.

The ledger also stores events that no rule routes or that the handlers refuse. It needs only the delivery's
id, the event's id and the event type.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from functions.shared import names
from functions.shared.errors import InvalidEventError
from functions.shared.redaction import without_client_secrets

TYPE_LIMIT: Final = 255
# Wider than what handlers accept: a thin event's type may be "v2.core.account[requirements].updated".
_TYPE: Final = re.compile(r"[A-Za-z0-9_.\[\]]{1,255}")


@dataclass(frozen=True, slots=True)
class LedgerRecord:
    """One delivery of one event.

    Parameters
    ----------
    message_id
        Id of the SQS message; it stays the same when SQS delivers the message again.
    delivery_id
        Id of the EventBridge envelope; Stripe's next delivery of the event has another one.
    received_at
        When the queue received the message, in UTC.
    line
        The record as a line of the S3 ledger, without the line break.
    """

    message_id: str
    delivery_id: str
    received_at: datetime
    event_id: str
    event_type: str
    event: Mapping[str, Any] = field(repr=False)
    line: str = field(repr=False)

    @property
    def loggable_type(self) -> str | None:
        """The type if it looks like one; any other text may be anything, and must not be logged."""
        return type_or_none(self.event_type)

    @property
    def api_version(self) -> str | None:
        """The API version in which the event is rendered."""
        api_version = self.event.get("api_version")
        return api_version if isinstance(api_version, str) else None

    @property
    def object_id(self) -> str | None:
        """Id of the event's object."""
        return id_of(self._object)

    @property
    def customer_id(self) -> str | None:
        """Id of the customer that the event's object is, or belongs to."""
        return customer_of(self._object)

    @property
    def _object(self) -> Mapping[str, Any]:
        return object_of(self.event)


def object_of(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an event's object; of a thin event its id and type, and of any other event nothing."""
    data = event.get("data")
    stripe_object = data.get("object") if isinstance(data, dict) else None
    if isinstance(stripe_object, dict):
        return stripe_object
    related = event.get("related_object")
    # A thin event names its object.
    return {"id": related.get("id"), "object": related.get("type")} if isinstance(related, dict) else {}


def id_of(stripe_object: Mapping[str, Any]) -> str | None:
    """Return the id of an object, if it can be one: an event may hold any text there."""
    return _id_or_none(stripe_object.get("id"))


def customer_of(stripe_object: Mapping[str, Any]) -> str | None:
    """Return the id of the customer that an object is, or belongs to."""
    if stripe_object.get("object") == "customer":
        return id_of(stripe_object)
    customer = stripe_object.get("customer")
    return _id_or_none(customer.get("id") if isinstance(customer, dict) else customer)


def parse(message: Mapping[str, Any]) -> LedgerRecord:
    """Parse a message of the audit queue, without Stripe's client secrets.

    Raises
    ------
    InvalidEventError
        The body is not the envelope of an event; the message belongs in the dead-letter queue.
    """
    try:
        envelope = json.loads(without_client_secrets(message["body"]))
    except (ValueError, RecursionError):
        # Without the cause: a JSON error quotes the text.
        raise InvalidEventError("body", "is not valid JSON") from None
    if not isinstance(envelope, dict):
        raise InvalidEventError("body", "must be a JSON object")
    event = envelope.get("detail")
    if not isinstance(event, dict):
        raise InvalidEventError("detail", "must be an object")
    received_at = datetime.fromtimestamp(int(message["attributes"]["SentTimestamp"]) / 1000, UTC)
    event_id = _id(event.get("id"), "detail.id")
    event_type = _type(event.get("type"))
    document = {
        "received_at": received_at.isoformat(timespec="milliseconds"),
        "message_id": message["messageId"],
        "event_id": event_id,
        "event_type": event_type,
        "envelope": envelope,
    }
    try:
        line = json.dumps(document, separators=(",", ":"), allow_nan=False)
    except (ValueError, RecursionError):
        # Python parses numbers that it can't write as JSON, such as 1e999.
        raise InvalidEventError("body", "can't be written as JSON") from None
    return LedgerRecord(
        message_id=message["messageId"],
        delivery_id=_id(envelope.get("id"), "id"),
        received_at=received_at,
        event_id=event_id,
        event_type=event_type,
        event=event,
        line=line,
    )


def _id(value: object, path: str) -> str:
    if not isinstance(value, str) or not names.STRIPE_ID.fullmatch(value):
        raise InvalidEventError(path, "must be an id")
    return value


def _type(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= TYPE_LIMIT:
        raise InvalidEventError("detail.type", "must be an event type")
    return value


def type_or_none(value: object) -> str | None:
    """Return the value if it can be an event type, else None."""
    return value if isinstance(value, str) and _TYPE.fullmatch(value) else None


def _id_or_none(value: object) -> str | None:
    return value if isinstance(value, str) and names.STRIPE_ID.fullmatch(value) else None
