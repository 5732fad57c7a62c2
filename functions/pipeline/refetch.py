"""The current state of an object, fetched from Stripe instead of taken from the event.

A snapshot event holds the object as it was when the event was created, and a thin event only its id. A
state that is fetched under the object's
lease is at least as new as the one applied before it, in whatever order the events arrive.
"""

from __future__ import annotations

import time
from typing import Final

from functions.pipeline.envelope import StripeEvent
from functions.pipeline.idempotency_table import ConditionFailedError, Table
from functions.pipeline.objects import StripeObject, own_id
from functions.shared import names, settings
from functions.shared.errors import ConfigurationError, TransientError

KIND: Final = "reads"
# An item counts the reads of one second, and is not needed after it.
KEPT_SECONDS: Final = 60
NO_KEY: Final = (
    f"a thin event's object can be fetched only with {names.STRIPE_SECRET_KEY}: set thin_events to true, "
    f"export {names.STRIPE_SECRET_KEY} and deploy again"
)


def fetch_object(
    event: StripeEvent, *, object_type: str, table: Table, reads_per_second: int
) -> StripeObject:
    """Fetch the event's object from Stripe, in the API version of the event.

    Raises
    ------
    TransientError
        Stripe cannot be reached or limits our reads, or the limit of this second is reached.
    ConfigurationError
        Stripe rejects the key, or a thin event arrives where there is none.
    PermanentError
        Stripe has no such object.
    """
    if event.thin_id is not None and settings.secret(names.STRIPE_SECRET_KEY) is None:
        raise ConfigurationError(NO_KEY)
    _count_read(table, reads_per_second)
    # Imported here: stripe costs a cold start more than everything else, and most invocations fetch nothing.
    from functions.stripe_api.client import retrieve

    return retrieve(object_type, own_id(event.object), api_version=event.api_version, account=event.account)


def _count_read(table: Table, reads_per_second: int) -> None:
    """Count a read against the limit per second, which all functions of the environment share."""
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
        raise TransientError(
            "the limit of reads from Stripe per second is reached", retry_after=1.0
        ) from found
