"""Put events on the partner event bus and wait until each is accounted for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, Protocol

from functions.pipeline.routing_table import ROUTES
from functions.shared.json_text import compact
from functions.shared.names import EVENT_BYTES
from infra.event_types import EVERYTHING, subscribed
from infra.names import PROJECT
from ops import DEFAULT_ENVIRONMENT
from ops.destination.api import ACCOUNTS, ITSELF, current_api_version
from ops.destination.wanted import ENVIRONMENT_KEY
from ops.errors import OperatorError
from ops.local.accounting import Row, SentEvent, account
from ops.local.clients import Aws, Control
from ops.local.observer import Observer
from ops.local.services import Services

PUT_BATCH: Final = 10
# Room for an entry's source and type.
ENTRY_OVERHEAD_BYTES: Final = 1024
POLL_SECONDS: Final = 0.5
# In a healthy run nothing changes for longest while Lambda waits to retry a failing event.
SILENCE_DEADLINE_SECONDS: Final = 60.0
MILLISECONDS: Final = 1000


class SendError(OperatorError):
    """The bus refused an event."""


def register_source(aws: Aws, source: str) -> None:
    """Create the partner event source, as Stripe does when an event destination is created."""
    account_id = aws.client("sts").get_caller_identity()["Account"]
    aws.client("events").create_partner_event_source(Name=source, Account=account_id)


def add_destination(services: Services, source: str) -> None:
    """Add the event destination of `source` to the reference Stripe API, as the environment's own."""
    account_id = services.aws.client("sts").get_caller_identity()["Account"]
    control = Control(services.stripe_url, services.secrets.stripe_secret_key)
    destination = {
        "id": source.rpartition("/")[2],
        "name": f"{PROJECT}-{DEFAULT_ENVIRONMENT}",
        "type": "amazon_eventbridge",
        "event_payload": "snapshot",
        "snapshot_api_version": current_api_version(),
        "enabled_events": list(subscribed([EVERYTHING])),
        "events_from": [ITSELF, ACCOUNTS],
        "metadata": {ENVIRONMENT_KEY: DEFAULT_ENVIRONMENT},
        "amazon_eventbridge": {"aws_account_id": account_id, "aws_region": services.aws.region},
    }
    control.ask("POST", "/_control/destinations", json=[destination])


class Clients(Protocol):
    """Whatever makes boto3 clients of the embedded AWS."""

    def client(self, service: str) -> Any:
        """Return the client of a service."""


def send(
    aws: Clients,
    source: str,
    envelopes: Sequence[dict[str, Any]],
    progress: Callable[[int], None] = lambda _: None,
) -> tuple[SentEvent, ...]:
    """Put each envelope's event on the bus of `source`, in order, as Stripe does.

    Parameters
    ----------
    envelopes
        EventBridge envelopes; their `detail` is sent. EventBridge builds a new envelope around it.
    progress
        Called with the number of events sent so far.

    Raises
    ------
    SendError
        The bus refuses an event.
    """
    client = aws.client("events")
    sent: list[SentEvent] = []
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
            route = ROUTES.get(detail["type"])
            sent.append(
                SentEvent(
                    event_id=detail["id"],
                    event_type=detail["type"],
                    api_version=detail.get("api_version"),
                    handler=None if route is None else route.handler,
                    envelope_id=entry["EventId"],
                    sent_at=sent_at,
                )
            )
        progress(len(sent))
    return tuple(sent)


def _batches(details: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Split events into requests of at most PUT_BATCH entries and EVENT_BYTES bytes."""
    batch: list[dict[str, Any]] = []
    size = 0
    for detail in details:
        length = len(compact(detail).encode()) + ENTRY_OVERHEAD_BYTES
        if batch and (len(batch) == PUT_BATCH or size + length > EVENT_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(detail)
        size += length
    if batch:
        yield batch


def list_at_stripe(services: Services, events: Sequence[dict[str, Any]]) -> None:
    """Add events to the reference Stripe API's list, in their order."""
    add_to_list(Control(services.stripe_url, services.secrets.stripe_secret_key), events)


def add_to_list(control: Control, events: Sequence[dict[str, Any]]) -> None:
    """Add events to the list of the reference Stripe API with these control paths, in their order.

    Stripe lists no thin events, and none whose fields are not an event's.
    """
    for batch in _batches(each for each in events if _listed(each)):
        # httpx itself would refuse half a surrogate pair, which JSON may hold.
        control.ask("POST", "/_control/events", content=compact(batch))


def _listed(event: dict[str, Any]) -> bool:
    return event.get("object") == "event" and isinstance(event.get("created"), int)


def split_ends(envelopes: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Split the envelopes, in their order, into those that end an object and all others, which come first.

    Events sent together are handled in any order, and a state that arrives after its object's end is stale. A
    run that shows the outcome of each type sends the ends after everything else.
    """
    ends = {route.event_type for route in ROUTES.values() if route.ends_object}
    others = [envelope for envelope in envelopes if envelope["detail"]["type"] not in ends]
    return others, [envelope for envelope in envelopes if envelope["detail"]["type"] in ends]


def wait_until_accounted(
    sent: Sequence[SentEvent],
    observer: Observer,
    progress: Callable[[int, int], None] = lambda _done, _audited: None,
) -> tuple[Row, ...]:
    """Look until every sent event is settled, or nothing changes for SILENCE_DEADLINE_SECONDS.

    Parameters
    ----------
    progress
        Called after each look with the number of events that have an outcome, and the number audited.

    Returns
    -------
    The rows of the last look; some may be unaccounted for.
    """
    last_state: tuple[int, int] = (-1, -1)
    deadline = time.monotonic() + SILENCE_DEADLINE_SECONDS
    while True:
        rows = account(sent, observer.look())
        state = (sum(row.outcome is not None for row in rows), sum(row.audited for row in rows))
        progress(*state)
        if state != last_state:
            last_state, deadline = state, time.monotonic() + SILENCE_DEADLINE_SECONDS
        if all(row.settled for row in rows) or time.monotonic() > deadline:
            return rows
        time.sleep(POLL_SECONDS)
