"""The settings of the reconcile function, from its environment variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from functions.shared import names, settings
from functions.shared.errors import ConfigurationError

MODES: Final = (names.RECONCILE_REPORT, names.RECONCILE_HEAL)


@dataclass(frozen=True, slots=True)
class ReconcileSettings:
    """What the reconcile function needs besides Stripe's key; the last three only to heal.

    Parameters
    ----------
    handled_within
        Seconds after which an event without a handler's record has reached no handler.
    compare_from
        Events created before, in Unix seconds, are not compared; None if not set.
    accounts
        Ids of the connected accounts whose events are compared too; None for all that there are.
    """

    heal: bool
    ledger_bucket: str
    table: str
    handled_within: int
    compare_from: int | None
    accounts: tuple[str, ...] | None
    event_source: str
    functions: Mapping[str, str]
    queue_url: str


@cache
def reconcile_settings() -> ReconcileSettings:
    """Read the settings.

    Raises
    ------
    ConfigurationError
        A variable is missing or wrong; the message names it.
    """
    heal = settings.one_of(names.RECONCILE, MODES) == names.RECONCILE_HEAL
    return ReconcileSettings(
        heal=heal,
        ledger_bucket=settings.required(names.LEDGER_BUCKET),
        table=settings.required(names.IDEMPOTENCY_TABLE),
        handled_within=settings.positive(names.HANDLED_WITHIN_SECONDS),
        compare_from=settings.positive(names.RECONCILE_FROM)
        if os.environ.get(names.RECONCILE_FROM)
        else None,
        accounts=_accounts(),
        event_source=settings.required(names.EVENT_SOURCE_NAME) if heal else "",
        functions=settings.by_handler(names.HANDLER_FUNCTIONS) if heal else {},
        queue_url=settings.required(names.EVENTS_QUEUE_URL) if heal else "",
    )


def _accounts() -> tuple[str, ...] | None:
    """Read RECONCILE_ACCOUNTS; unset means only the own account."""
    given = tuple(filter(None, os.environ.get(names.RECONCILE_ACCOUNTS, "").split(",")))
    if given == (names.ALL_ACCOUNTS,):
        return None
    if not all(names.ACCOUNT_ID.fullmatch(each) for each in given):
        raise ConfigurationError(
            f"{names.RECONCILE_ACCOUNTS} must be {names.ALL_ACCOUNTS}, or ids of accounts with commas between"
        )
    return given
