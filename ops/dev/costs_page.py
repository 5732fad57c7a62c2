"""The tables of docs/costs.md, by what `cost` says of the shipped environments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from infra import settings as infra_settings
from ops import DEFAULT_ENVIRONMENT
from ops.cost import assumptions, limits, measured, prices, services, stack
from ops.cost.services import Cost, Usage

MILLION: Final = 1_000_000
BARE: Final = {"AUTO_REDRIVE": "false", "RECONCILE": "off", "HEARTBEAT_MINUTES": "0"}
# What a setting adds to the default environment without all of them.
ADDED: Final[Mapping[str, Mapping[str, str]]] = {
    "`auto_redrive`": {"AUTO_REDRIVE": "true"},
    "`reconcile`": {"RECONCILE": "report"},
    "`ledger_compaction`": {"LEDGER_COMPACTION": "true"},
    "`heartbeat_minutes`": {"HEARTBEAT_MINUTES": "60"},
    "`create_kms_key`": {"CREATE_KMS_KEY": "true"},
    "`bus_logs`": {"BUS_LOGS": "true"},
    "`lambda_tracing`": {"LAMBDA_TRACING": "true"},
    "`ledger_object_lock_days`, `deletion_protection`": {
        "LEDGER_OBJECT_LOCK_DAYS": "365",
        "DELETION_PROTECTION": "true",
    },
}
PRICED: Final = {
    "metrics that alarms watch; a sum of two counts twice": (
        "cloudwatch",
        "metric_of_alarm",
        "alarm_metrics",
    ),
    "composite alarms": ("cloudwatch", "composite_alarm", "composite_alarms"),
    "dashboard": ("cloudwatch", "dashboard", "dashboards"),
    "secret": ("secretsmanager", "secret", "secrets"),
}


def parts() -> dict[str, str]:
    """Return the generated parts of the page by name."""
    usage = _usage(live_environment(), {}, MILLION)
    tables = {
        "before": _fixed(),
        "settings": _added(),
        "million": _million(usage),
        "limits": _limits(usage),
        "measured": iter([f"Measured by {usage.measured.how}; {usage.measured.date}."]),
        "assumptions": _assumptions(usage),
    }
    return {name: "\n".join(lines) for name, lines in tables.items()}


def live_environment() -> str:
    """Return the first environment whose events are live, else the default one."""
    live = [name for name in infra_settings.environments() if stack.shipped(name).settings.livemode]
    return next(iter(live), DEFAULT_ENVIRONMENT)


def _million(usage: Usage) -> Iterator[str]:
    costs = services.costs(usage)
    rows = [(each.service, each.what, each.how, f"{each.dollars:.2f}") for each in costs]
    yield from table(
        ("Service", "What", "How", "USD"), [*rows, ("**together**", "", "", f"**{_sum(costs):.2f}**")]
    )


def _limits(usage: Usage) -> Iterator[str]:
    rows = [
        (each.name, "" if each.events is None else f"{each.events:,.0f}", each.how, each.moves)
        for each in limits.limits(usage)
    ]
    yield from table(("Limit", "Events a second", "From", "Moved by"), rows)


def _assumptions(usage: Usage) -> Iterator[str]:
    rows = [(f"`{each.name}`", f"{each.value:g}", each.meaning, each.source) for each in usage.assumptions]
    yield from table(("Assumption", "Value", "What it is", "From"), rows)


def _fixed() -> Iterator[str]:
    environments = infra_settings.environments()
    stacks = [stack.shipped(name) for name in environments]
    rows: list[tuple[str, ...]] = []
    together = [0.0] * len(stacks)
    for label, (service, price, attribute) in PRICED.items():
        each = prices.prices().of(service, price)
        numbers = [getattr(one, attribute) for one in stacks]
        together = [total + each * number for total, number in zip(together, numbers, strict=True)]
        rows.append((label, f"{each:.2f}", *map(str, numbers)))
    rows.append(("**together**", "", *(f"**{total:.2f}**" for total in together)))
    yield from table(("", "Price", *environments), rows)


def _added() -> Iterator[str]:
    without = {events: _total(BARE, events) for events in (0, MILLION)}
    rows = []
    for setting, variables in ADDED.items():
        more = {events: _total({**BARE, **variables}, events) - without[events] for events in without}
        rows.append((setting, *(f"{more[events]:.2f}" for events in without)))
    yield from table(("Setting", "Before the first event", "With a million events"), rows)


def _total(variables: Mapping[str, str], events: int) -> float:
    return _sum(services.costs(_usage(DEFAULT_ENVIRONMENT, variables, events)))


def _sum(costs: Sequence[Cost]) -> float:
    return sum(each.dollars for each in costs)


def _usage(environment: str, variables: Mapping[str, str], events: int) -> Usage:
    found = measured.read()
    rests = assumptions.of(found)
    shipped = stack.shipped(environment, tuple(variables.items()))
    return Usage(shipped, found, rests, prices.prices(), events)


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield _row(headings)
    yield f"|{'---|' * len(headings)}"
    yield from map(_row, rows)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |".replace("|  |", "| |").replace("|  |", "| |")
