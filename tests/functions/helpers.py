"""Envelopes of events, and what the API received for them."""

from __future__ import annotations

import itertools
import socket
import time
from typing import Any

from ops.reference.huntaze import Recorded, ReferenceApi
from tests.functions.conftest import fresh
from tests.unit import snapshots as stripe

CREATED = 1_775_037_600
_numbers = itertools.count(1)


def paid(**detail: Any) -> dict[str, Any]:
    return fresh("payment_intent.succeeded", stripe.payment_intent(), **detail)


def second_event(envelope: dict[str, Any], **detail: Any) -> dict[str, Any]:
    """Another event, with an id of its own, about the object of an envelope."""
    number = next(_numbers)
    made = envelope["detail"] | {"id": f"{event_id(envelope)}_second_{number}", **detail}
    return envelope | {"id": f"second-{number}", "detail": made}


def customer_updated(of: dict[str, Any] | None = None, *, age: int = 0, **fields: Any) -> dict[str, Any]:
    """A customer.updated event, `age` seconds before the newest; `of` another envelope's customer."""
    if of is None:
        return fresh("customer.updated", stripe.customer(**fields), created=CREATED - age)
    changed = of["detail"]["data"]["object"] | fields
    return second_event(of, created=CREATED - age, data={"object": changed})


def deleted(of: dict[str, Any], *, age: int = 0) -> dict[str, Any]:
    """The deleted event of another envelope's object."""
    event_type = of["detail"]["type"].rpartition(".")[0] + ".deleted"
    return second_event(of, type=event_type, created=CREATED - age) | {"detail-type": event_type}


def with_fields(envelope: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The same event with other fields, as after a change of the mapping or from Stripe's list of events."""
    changed = envelope["detail"]["data"]["object"] | fields
    return envelope | {"detail": envelope["detail"] | {"data": {"object": changed}}}


def event_id(envelope: dict[str, Any]) -> str:
    return str(envelope["detail"]["id"])


def requests_for(api: ReferenceApi, envelope: dict[str, Any]) -> list[Recorded]:
    return [request for request in api.requests() if request.idempotency_key == event_id(envelope)]


def statuses_for(api: ReferenceApi, envelope: dict[str, Any]) -> list[int]:
    return [request.status for request in requests_for(api, envelope)]


def wait_for_requests(api: ReferenceApi, envelope: dict[str, Any], count: int) -> None:
    """Wait until the API has received `count` requests for an event, answered or not."""
    deadline = time.monotonic() + 10
    while len(requests_for(api, envelope)) < count:
        assert time.monotonic() < deadline, "the API received no request"
        time.sleep(0.02)


def applied_to(api: ReferenceApi, envelope: dict[str, Any]) -> list[Any]:
    object_id = envelope["detail"]["data"]["object"]["id"]
    return [call for call in api.applied() if call.object_id == object_id]


def closed_url() -> str:
    """A URL at which no server listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"
