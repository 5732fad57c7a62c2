"""What the costs rest on besides prices and settings: each number with its source; `--set` replaces it."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from functions.shared.names import HANDLERS, PAYMENTS
from ops.cost.measured import Measured
from ops.errors import OperatorError

GIVEN: Final = "--set"
# The functions whose work is measured.
WORKING: Final = (*HANDLERS, "audit")


@dataclass(frozen=True)
class Assumption:
    """A number, what it means, and where it comes from."""

    name: str
    value: float
    meaning: str
    source: str


class Assumptions:
    """The assumptions by name."""

    def __init__(self, every: Collection[Assumption]) -> None:
        self._every: Final[Mapping[str, Assumption]] = {each.name: each for each in every}

    def __getitem__(self, name: str) -> float:
        return self._every[name].value

    def __iter__(self) -> Iterator[Assumption]:
        return iter(self._every.values())

    def changed(self, given: Collection[str]) -> Assumptions:
        """Return them with the values of `--set NAME=VALUE`.

        Raises
        ------
        OperatorError
            A name is unknown, or its value is not a number that it can have.
        """
        every = dict(self._every)
        for text in given:
            name, _, number = text.partition("=")
            if name not in every:
                raise OperatorError(f"invalid --set {text!r}: expected one of {', '.join(every)}", usage=True)
            least, most = _bounds(name)
            try:
                value = float(number)
            except ValueError:
                value = math.nan
            if not least <= value <= most or math.isinf(value):
                limit = f"{least:g} or more" if math.isinf(most) else f"{least:g} to {most:g}"
                raise OperatorError(f"invalid --set {text!r}: expected {name}=NUMBER, {limit}", usage=True)
            every[name] = replace(every[name], value=value, source=GIVEN)
        return Assumptions(every.values())


def _bounds(name: str) -> tuple[float, float]:
    """Return the least and the most that an assumption can be: what a function does takes time."""
    if name.endswith("_share"):
        return 0.0, 1.0
    return (1.0 if name in (f"{family}_ms" for family in WORKING) else 0.0), math.inf


def of(measured: Measured) -> Assumptions:
    """Return the assumptions that a measurement leads to."""
    run = f"measured on {measured.date}"
    handled = {family: measured.functions[family].invocations for family in HANDLERS}
    share = round(handled[PAYMENTS] / sum(handled.values()), 2)
    return Assumptions(
        [
            Assumption("handled_share", 1.0, "events that a handler gets", "the most that there can be"),
            Assumption("payments_share", share, "of them, those of payments", f"{run}: the shipped samples"),
            Assumption(
                "event_bytes", measured.event_bytes, "size of an event", f"{run}: the shipped samples"
            ),
            Assumption("object_bytes", measured.object_bytes, "its share of the ledger", run),
            Assumption("item_bytes", measured.item_bytes, "its share of the idempotency table", run),
            *(_duration(measured, family) for family in WORKING),
            Assumption(
                "api_ms", measured.api_ms, "time of the API to answer", f"{run}, on loopback: give your own"
            ),
            Assumption(
                "api_per_second", 0, "calls that the API takes; 0 if unknown", "ask the owners of the API"
            ),
            Assumption(
                "events_per_batch", 1, "events in one ledger object", "the least; a busy lane fills 10"
            ),
            Assumption(
                "metrics_per_type",
                3,
                "custom metrics of an event type",
                "applied, age and latency: functions/pipeline/outcomes.py; 8 at most",
            ),
            Assumption(
                "idle_polls_per_second",
                0.25,
                "empty receives of the audit queue",
                'AWS Lambda, "Using Lambda with Amazon SQS": five pollers, each waits 20 s',
            ),
            Assumption("months", 12, "months of data that are stored", "a year after the first deploy"),
            Assumption(
                "account_concurrency",
                1000,
                "executions of the account at once",
                'AWS Lambda, "Lambda quotas"',
            ),
        ]
    )


def _duration(measured: Measured, family: str) -> Assumption:
    """Return how long an invocation of a function works, without the API's answer."""
    waits = measured.api_ms if family in HANDLERS else 0.0
    own = round(max(1.0, measured.functions[family].median_ms - waits), 1)
    source = f"measured on {measured.date} on one machine: CloudWatch's Duration has yours"
    meaning = f"work of {family}, without the API's answer" if waits else f"work of {family}"
    return Assumption(f"{family}_ms", own, meaning, source)
