"""Put events on the partner bus and wait until each of them is accounted for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from functions.pipeline.routing_table import ROUTES
from functions.shared.json_text import compact
from functions.shared.names import EVENT_BYTES
from ops.errors import OperatorError
from ops.local.accounting import Delivery, Observations, Row, account, unaccounted
from ops.local.clients import Aws
from ops.local.observe import Observer, handler_of

PUT_BATCH = 10
# The source and the type of an entry, with room to spare.
ROUND_A_DETAIL_BYTES = 1024
POLL_SECONDS = 0.5
# Lambda's retries of a failing event are the longest silence that a healthy run shows.
SILENCE_DEADLINE_SECONDS = 60.0
MILLISECONDS = 1000


class SendError(OperatorError):
    """The bus refused an event."""


def register_source(aws: Aws, source: str) -> None:
    """Register the partner event source, as Stripe does when an event destination is made."""
    account_id = aws.client("sts").get_caller_identity()["Account"]
    aws.client("events").create_partner_event_source(Name=source, Account=account_id)


def send(
    aws: Aws,
    source: str,
    envelopes: Sequence[dict[str, Any]],
    progress: Callable[[int], None],
) -> tuple[Delivery, ...]:
    """Put each envelope's event on the bus of `source`, in order, as Stripe does.

    Parameters
    ----------
    envelopes
        EventBridge envelopes; their `detail` is sent. EventBridge makes the rest anew.
    progress
        Called with the number of events sent so far.

    Raises
    ------
    SendError
        When the bus refuses one.
    """
    client = aws.client("events")
    deliveries: list[Delivery] = []
    for batch in _batches(envelope["detail"] for envelope in envelopes):
        sent_at = time.time() * MILLISECONDS
        answer = client.put_partner_events(
            Entries=[
                {
                    "Source": source,
                    "DetailType": detail["type"],
                    "Detail": compact(detail),
                    "Resources": [],
                }
                for detail in batch
            ]
        )
        for detail, entry in zip(batch, answer["Entries"], strict=True):
            if "EventId" not in entry:
                raise SendError(
                    f"the bus refused {detail['id']}: {entry.get('ErrorCode')} {entry.get('ErrorMessage')}"
                )
            deliveries.append(
                Delivery(
                    event_id=detail["id"],
                    event_type=detail["type"],
                    api_version=detail.get("api_version"),
                    handler=handler_of(detail["type"]),
                    envelope_id=entry["EventId"],
                    sent_at=sent_at,
                )
            )
        progress(len(deliveries))
    return tuple(deliveries)


def _batches(details: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Divide events into requests, which are no larger than the largest entry."""
    batch: list[dict[str, Any]] = []
    size = 0
    for detail in details:
        length = len(compact(detail).encode()) + ROUND_A_DETAIL_BYTES
        if batch and (len(batch) == PUT_BATCH or size + length > EVENT_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(detail)
        size += length
    if batch:
        yield batch


def ends_apart(envelopes: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Part the envelopes, in their order, from those that tell of an object's end.

    What is sent at once is handled in any order. After its object's end a state would be stale, rightly; a
    run that shows what becomes of each type sends the ends when all else is done.
    """
    ends = {route.event_type for route in ROUTES.values() if route.ends_stream}
    others = [envelope for envelope in envelopes if envelope["detail"]["type"] not in ends]
    return others, [envelope for envelope in envelopes if envelope["detail"]["type"] in ends]


def wait_until_accounted(
    deliveries: Sequence[Delivery], observer: Observer, progress: Callable[[int, int], None]
) -> tuple[tuple[Row, ...], Observations]:
    """Look until every delivery is accounted for, or nothing has moved for SILENCE_DEADLINE_SECONDS.

    Parameters
    ----------
    progress
        Called after each look with the number of deliveries that have an outcome, and that are audited.

    Returns
    -------
    The rows of the last look, some of them perhaps unaccounted for, and what it saw.
    """
    last_state: tuple[int, int] = (-1, -1)
    deadline = time.monotonic() + SILENCE_DEADLINE_SECONDS
    while True:
        seen = observer.look()
        rows = account(deliveries, seen)
        state = (sum(row.outcome is not None for row in rows), sum(row.audited for row in rows))
        progress(*state)
        if state != last_state:
            last_state, deadline = state, time.monotonic() + SILENCE_DEADLINE_SECONDS
        if not unaccounted(rows) or time.monotonic() > deadline:
            return rows, seen
        time.sleep(POLL_SECONDS)
