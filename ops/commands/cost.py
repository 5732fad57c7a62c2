"""`huntaze-stripe cost`: what an environment costs a month, and which limit a peak meets first."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ops import DEFAULT_ENVIRONMENT
from ops.commands.options import Env, Json
from ops.console import PlainTable, open_console, print_json, print_line, styled
from ops.errors import OperatorError

if TYPE_CHECKING:
    from ops.cost.limits import Limit
    from ops.cost.services import Cost, Usage

# Headings.
FROM: Final = "From, and moved by"
MEANING: Final = "What it is, and from where"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(cost)


def cost(
    events: Annotated[
        int, typer.Option("--events-per-month", metavar="N", help="Events that Stripe sends in a month.")
    ],
    env: Env = DEFAULT_ENVIRONMENT,
    peak: Annotated[
        float | None,
        typer.Option(
            "--peak-per-second",
            metavar="P",
            help="Events a second in a peak; marks the limits that it exceeds.",
        ),
    ] = None,
    measured_file: Annotated[
        Path | None,
        typer.Option(
            "--measured",
            metavar="FILE",
            help="Durations and sizes: the build/local/report.json of a local run, or a file like "
            "ops/cost/measured.json, the default.",
        ),
    ] = None,
    given: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Replace an assumption; repeatable."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Estimate what an environment costs a month, by its settings, and which limits a peak exceeds.

    Nothing is asked of AWS. The settings are those of the synthesised stack, the prices those of
    ops/prices.toml; everything else is printed as an assumption with its source.
    """
    if events < 0:
        raise OperatorError(f"invalid --events-per-month {events}: expected 0 or more", usage=True)
    if peak is not None and not 0 < peak < math.inf:
        raise OperatorError(
            f"invalid --peak-per-second {peak:g}: expected more than 0, and finite", usage=True
        )
    from ops.cost import assumptions, limits, measured, prices, services, stack

    found = measured.read(measured_file or measured.FILE)
    chosen = assumptions.of(found).changed(given or ())
    usage = services.Usage(stack.read(env), found, chosen, prices.prices(), events)
    costs, met = services.costs(usage), limits.limits(usage)
    if as_json:
        print_json(_document(usage, costs, met, peak))
        return
    _show(usage, costs, met, peak)


def _show(usage: Usage, costs: list[Cost], met: list[Limit], peak: float | None) -> None:
    from ops.cost.services import NOT_INCLUDED

    console = open_console()
    prices = usage.prices
    table = PlainTable(
        "Service", "What", "How", "USD", text=("How",), title=f"{usage.stack.settings.environment}, a month"
    )
    for each in costs:
        table.add_row(each.service, each.what, each.how, f"{each.dollars:.2f}")
    table.add_total("together", "", "", f"{sum(each.dollars for each in costs):.2f}")
    console.print(table)
    fixed = sum(each.dollars for each in costs if each.fixed)
    print_line(f"{fixed:.2f} of it without any event. Not included: {NOT_INCLUDED}.")
    print_line(f"Prices of {prices.region}, {prices.date}: ops/prices.toml.")
    console.print()
    shown = PlainTable("Limit", "Per second", FROM, text=(FROM,), title="Limits, in events")
    for limit in met:
        rate = "" if limit.events is None else f"{limit.events:,.0f}"
        below = peak is not None and limit.events is not None and limit.events < peak
        shown.add_row(styled(limit.name, "red" if below else ""), rate, f"{limit.how}; {limit.moves}")
    console.print(shown)
    print_line(_verdict(met, peak))
    console.print()
    rests = PlainTable("Assumption", "Value", MEANING, text=(MEANING,), keep=("Value",))
    for assumption in usage.assumptions:
        rests.add_row(assumption.name, f"{assumption.value:g}", f"{assumption.meaning}; {assumption.source}")
    console.print(rests)
    print_line(f"Measured by {usage.measured.how}, {usage.measured.date}.")


def _verdict(met: list[Limit], peak: float | None) -> str:
    first = met[0]
    if peak is None:
        return f"The first limit is {first.name}; --peak-per-second compares a peak with all of them."
    below = [limit for limit in met if limit.events is not None and limit.events < peak and not limit.rare]
    if not below:
        return f"{peak:g} events a second stay below every known limit."
    text = ", ".join(f"{limit.name} ({limit.events:,.0f})" for limit in below)
    return f"{peak:g} events a second are more than {text}: what is above waits."


def _document(usage: Usage, costs: list[Cost], met: list[Limit], peak: float | None) -> dict[str, Any]:
    return {
        "environment": usage.stack.settings.environment,
        "events_per_month": usage.events,
        "prices": {"date": usage.prices.date, "region": usage.prices.region},
        "costs": [
            {
                "service": each.service,
                "what": each.what,
                "how": each.how,
                "usd": round(each.dollars, 4),
                "fixed": each.fixed,
            }
            for each in costs
        ],
        "usd": round(sum(each.dollars for each in costs), 2),
        "peak_per_second": peak,
        "limits": [
            {
                "limit": limit.name,
                "events_per_second": limit.events,
                "how": limit.how,
                "moved_by": limit.moves,
                "rare": limit.rare,
                "exceeded": None if peak is None or limit.events is None else limit.events < peak,
            }
            for limit in met
        ],
        "assumptions": [
            {"name": each.name, "value": each.value, "meaning": each.meaning, "source": each.source}
            for each in usage.assumptions
        ],
        "measured": {"date": usage.measured.date.isoformat(), "how": usage.measured.how},
    }
