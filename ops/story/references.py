"""Find the events that a reference names: one event, or all about a customer or another object."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from functions.ledger.reader import LedgerReader
from functions.shared import names
from functions.shared.errors import EventError
from ops import denials
from ops.customer.search import Search, about
from ops.environment import Environment
from ops.errors import OperatorError
from ops.progress import Steps
from ops.story.facts import Delivery

EVENT: Final = "evt_"
CUSTOMER: Final = "cus_"
# Events of one story: more are a list, which nobody reads.
MOST: Final = 100


def check(reference: str) -> None:
    """Refuse what can't be an id of Stripe's.

    Raises
    ------
    OperatorError
        The reference is not an id.
    """
    if not names.STRIPE_ID.fullmatch(reference):
        raise OperatorError(
            f"invalid REFERENCE {reference!r}: expected the id of an event, a customer or another object, "
            "such as evt_1NG8Du2eZvKYlo2CUI79vXWy or cus_NffrFeUfNV2Hib",
            usage=True,
        )


def is_event(reference: str) -> bool:
    """Return whether a reference is the id of an event."""
    return reference.startswith(EVENT)


def deliveries(
    environment: Environment, reference: str, since: datetime, now: datetime, steps: Steps
) -> Mapping[str, list[Delivery]]:
    """Return the deliveries of all events about a customer or an object, by event id, oldest event first.

    Raises
    ------
    OperatorError
        The ledger in S3 can't be read, or holds more than `MOST` such events since then.
    """
    search = Search(reference)
    found: list[Delivery] = []
    try:
        with steps.step("search the ledger in S3") as step:
            reader = LedgerReader(environment.client("s3"), environment.ledger_bucket)
            for keys in reader.keys_between(since, now):
                for key, record in reader.records(keys, progress=lambda done: step.advance_to(done)):
                    delivery = Delivery(key, record)
                    event = about(delivery.event)
                    if reference in event.objects:
                        search.found[len(found)] = None
                    else:
                        search.add(len(found), event)
                    found.append(delivery)
    except EventError as error:
        raise denials.cause("the ledger bucket", error) or OperatorError(error.reason) from error
    if reference.startswith(CUSTOMER):
        search.settle()
    by_event: dict[str, dict[str, Delivery]] = defaultdict(dict)
    for place in search.found:
        if isinstance(place, int):
            by_event[found[place].record["event_id"]].setdefault(found[place].id, found[place])
    if len(by_event) > MOST:
        raise OperatorError(
            f"{len(by_event)} events are about {reference} in this time, and a story has at most {MOST}: use "
            "a later --since"
        )
    ordered = sorted(by_event.items(), key=lambda each: min(one.received_at for one in each[1].values()))
    return {event_id: list(some.values()) for event_id, some in ordered}
