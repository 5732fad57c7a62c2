"""The record of what somebody did in the console, in the ledger's bucket: who, when, what and why."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from ops import ledger_record
from ops.errors import OperatorError
from ops.rights.console import PREFIX
from ops.times import stamp
from ops.web.site import Site

# Characters; the forms ask for as many.
SHORTEST_REASON, LONGEST_REASON = 3, 200
NAME_BYTES: Final = 4


def check(reason: str) -> None:
    """Refuse a reason that says nothing, or too much.

    Raises
    ------
    OperatorError
        The reason is missing or too long.
    """
    if len(reason.strip()) < SHORTEST_REASON:
        raise OperatorError("the reason is missing: say in a few words why")
    if len(reason.strip()) > LONGEST_REASON:
        raise OperatorError(f"the reason is too long: say why in at most {LONGEST_REASON} characters")


def write(site: Site, action: str, *, reason: str, details: Mapping[str, Any]) -> str:
    """Write the record of an action and return the object's key.

    Call it before the action: a record without an action does less harm than the reverse.

    Parameters
    ----------
    action
        A short name, for example redrive.
    details
        What is changed or revealed: ids, names and counts, never a value of an event.

    Raises
    ------
    OperatorError
        The reason is missing or too long, or the bucket refuses the record; the action must not start then.
    """
    check(reason)
    environment, now = site.environment, datetime.now(UTC)
    name = f"{now:%Y%m%dT%H%M%SZ}-{action}-{secrets.token_hex(NAME_BYTES)}"
    key = f"{PREFIX}dt={now.date().isoformat()}/{name}.json"
    document = {
        "action": action,
        "at": stamp(now),
        "reason": reason.strip(),
        "details": dict(details),
    }
    return ledger_record.write(environment, key, document)
