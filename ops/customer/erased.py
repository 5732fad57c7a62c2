"""What is kept of an event whose customer is erased, and why.

=====================================  ================================================================
kept                                   because
=====================================  ================================================================
the event's id and type                nothing is applied twice, and nothing is found missing
its times, mode and API version        the ledger still proves what Stripe sent, and when
ids that Stripe gave to objects        they name nobody without Stripe, whose redaction removes the link;
                                       an erasure can be repeated, and proved, by the customer's id
amounts, currencies, counts, booleans  bookkeeping is a duty that outlives a person's wish
enumerations such as `status`          the same
everything else                        null: name, e-mail, phone, address, metadata, description, card,
                                       IP address, receipt, URL, token, free text, keys of Stripe's that
                                       nobody has listed yet
=====================================  ================================================================

The list is that of `ops.dlq.mask`: a value stays only if its key and its form are known to be harmless.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from functions.shared import names
from ops.dlq.mask import erased

# Of the event itself, whatever their form: by these the ledger knows the event.
_KEPT: Final = frozenset({"id", "object", "type", "created", "livemode", "api_version", names.ERASED})


def erased_event(event: Mapping[str, Any], customer: str, at: str) -> dict[str, Any]:
    """Return an event without personal values; an event that was erased before is returned as it is.

    Parameters
    ----------
    at
        The time of the erasure, which the event says from now on.
    """
    kept = {key: event[key] for key in _KEPT if key in event and not isinstance(event[key], dict | list)}
    return {names.ERASED: at, **erased(dict(event), keep=customer), **kept}
