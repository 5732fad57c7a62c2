"""The present state of an object, fetched from Stripe instead of taken from the event.

An event holds the object as it was when the event was made. Fetched under the object's lease, each state is
at least as new as the one applied before it, in whatever order the events come.
"""

from __future__ import annotations

import time
from typing import Final

from functions.pipeline.envelope import StripeEvent
from functions.pipeline.idempotency_table import ConditionFailedError, Table
from functions.pipeline.objects import StripeObject, own_id
from functions.shared.errors import TransientError

KIND: Final = "reads"
# An item counts one second's reads; it is of no use after it.
KEPT_SECONDS: Final = 60


def present_state(event: StripeEvent, *, kind: str, table: Table, reads_per_second: int) -> StripeObject:
    """Fetch the event's object from Stripe, in the API version of the event.

    Raises
    ------
    TransientError
        Stripe can't be reached or limits our reads, or our own limit for this second is used up.
    ConfigurationError
        Stripe refuses the key.
    PermanentError
        Stripe knows no such object.
    """
    _take_turn(table, reads_per_second)
    # Imported here: stripe costs a cold start more than all else together, and most never fetch.
    from functions.stripe_api.client import retrieve

    return retrieve(kind, own_id(event.object), api_version=event.api_version, account=event.account)


def _take_turn(table: Table, reads_per_second: int) -> None:
    """Count a read against this second's limit, which all functions of the environment share."""
    second = int(time.time())
    try:
        table.update(
            f"{KIND}#{second}",
            "SET expiration = :expiration ADD taken :one",
            "attribute_not_exists(taken) OR taken < :limit",
            one=1,
            limit=reads_per_second,
            expiration=second + KEPT_SECONDS,
        )
    except ConditionFailedError as found:
        raise TransientError("this second's reads from Stripe are used up", retry_after=1.0) from found
