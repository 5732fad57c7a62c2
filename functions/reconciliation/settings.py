"""The settings of the reconcile function, from its environment variables."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from functions.pipeline import names
from functions.pipeline.errors import ConfigurationError
from functions.pipeline.routing import HANDLERS

MODES = (names.RECONCILE_REPORT, names.RECONCILE_HEAL)


@dataclass(frozen=True, slots=True)
class ReconcileSettings:
    """What the function needs besides Stripe's key; the last three only to heal."""

    heal: bool
    ledger_bucket: str
    table: str
    event_source: str
    functions: Mapping[str, str]
    queue_url: str


@cache
def reconcile_settings() -> ReconcileSettings:
    """Read the settings.

    Raises
    ------
    ConfigurationError
        Names the variable that is missing or wrong.
    """
    mode = _required(names.RECONCILE)
    if mode not in MODES:
        raise ConfigurationError(f"{names.RECONCILE} must be one of {', '.join(MODES)}")
    heal = mode == names.RECONCILE_HEAL
    return ReconcileSettings(
        heal=heal,
        ledger_bucket=_required(names.LEDGER_BUCKET),
        table=_required(names.IDEMPOTENCY_TABLE),
        event_source=_required(names.EVENT_SOURCE_NAME) if heal else "",
        functions=_functions() if heal else {},
        queue_url=_required(names.EVENTS_QUEUE_URL) if heal else "",
    )


def _functions() -> Mapping[str, str]:
    try:
        functions = json.loads(_required(names.HANDLER_FUNCTIONS))
    except ValueError:
        functions = None
    if not isinstance(functions, dict) or any(not functions.get(handler) for handler in HANDLERS):
        raise ConfigurationError(f"{names.HANDLER_FUNCTIONS} must be a JSON object of {', '.join(HANDLERS)}")
    return functions


def _required(name: str) -> str:
    value = os.environ.get(name, "").strip()
    if not value:
        raise ConfigurationError(f"{name} is not set; deploy the environment's stack again")
    return value
