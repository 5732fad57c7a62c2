"""The computed parts of docs/scale.md, and its plots. A test compares the files with the code.

`make docs` writes them: it runs every documented scenario, which takes a quarter of a minute.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Final

from functions.shared.names import HANDLERS, QUEUE_RETENTION_SECONDS
from ops import ROOT
from ops.cost import assumptions, limits, measured, prices, services, stack
from ops.cost.limits import INVOCATIONS, OTHER_INVOCATIONS
from ops.cost.services import SECONDS, Usage
from ops.dev.costs_page import MILLION, live_environment, table
from ops.dev.docs import with_part
from ops.simulation import check, kept, plots, rules
from ops.simulation.pipeline import simulate
from ops.simulation.report import HEADINGS, Run, by_scenario
from ops.simulation.scenarios import RATES, documented
from ops.simulation.texts import lasting

PAGE: Final = "docs/scale.md"
PLOTS: Final = "docs/scale"
SEED: Final = 1
# Nobody has measured the Huntaze API; docs/costs.md uses this number too.
API_MS: Final = 300
SHOWN_COSTS: Final = 4


def files(page: str) -> dict[str, str]:
    """Return each file's text by its name, for the page as it is today."""
    runs = _runs()
    parts = {
        "limits": _limits(),
        "first": _first(),
        "regions": _regions(),
        "costs": _costs(),
        "given": _given(),
        "runs": table(HEADINGS, [run.cells() for some in by_scenario(runs).values() for run in some]),
        "plots": _plots(runs),
        "healed": _healed(),
        "check": _check(),
    }
    for name, lines in parts.items():
        page = with_part(page, name, "\n".join(lines))
    drawn = {
        f"{PLOTS}/{key}.svg": plots.draw([(run.scenario, run.outcome) for run in some])
        for key, some in by_scenario(runs).items()
    }
    return {PAGE: page, **drawn}


def stale(root: Path = ROOT) -> list[str]:
    """List the files that differ from what the code says today, and plots of no scenario."""
    today = files(_read(root / PAGE))
    unknown = {f"{PLOTS}/{path.name}" for path in (root / PLOTS).iterdir()} - today.keys()
    return sorted({name for name, text in today.items() if _read(root / name) != text} | unknown)


def write() -> list[str]:
    """Write every file that differs from what the code says today, and list those."""
    (ROOT / PLOTS).mkdir(exist_ok=True)
    today = files(_read(ROOT / PAGE))
    changed = [name for name, text in today.items() if _read(ROOT / name) != text]
    for name in changed:
        (ROOT / name).write_text(today[name], encoding="utf-8")
    return changed


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


@cache
def _usage(per_second: float) -> Usage:
    """Return a month of the live environment at a steady rate."""
    found = measured.read()
    shipped = stack.shipped(live_environment())
    # As many as arrive in a lane while its batch is being stored.
    share = assumptions.of(found)["payments_share"]
    arriving = per_second * max(share, 1 - share) * assumptions.of(found)["audit_ms"] / 1000
    batch = min(float(shipped.batch), max(1.0, arriving))
    given = (f"api_ms={API_MS}", f"events_per_batch={batch}")
    chosen = assumptions.of(found).changed(given)
    return Usage(shipped, found, chosen, prices.prices(), round(per_second * SECONDS))


@cache
def _rules() -> rules.Rules:
    return rules.of(_usage(RATES[0]))


@cache
def _runs() -> tuple[Run, ...]:
    return tuple(
        Run(scenario, _rules().sized(rate), simulate(_rules().sized(rate), scenario, SEED))
        for rate in RATES
        for scenario in documented(rate)
    )


def _limits() -> Iterator[str]:
    by_rate = {rate: {each.name: each for each in limits.limits(_usage(rate))} for rate in RATES}
    rows = []
    for limit in limits.limits(_usage(RATES[0])):
        shares = (_share(rate, by_rate[rate][limit.name].events) for rate in RATES)
        carries = "" if limit.events is None else f"{limit.events:,.0f}"
        rows.append((limit.name, carries, *shares, limit.how, limit.moves))
    headings = ("Limit", "Carries, a second", *(f"at {rate:,}" for rate in RATES), "From", "Moved by")
    yield from table(headings, rows)


def _share(per_second: float, most: float | None) -> str:
    if most is None:
        return ""
    share = f"{per_second / most:,.0%}"
    return f"**{share}**" if per_second > most else share


def _first() -> Iterator[str]:
    for rate in RATES:
        met = [
            limit
            for limit in limits.limits(_usage(rate))
            if limit.events is not None and limit.events < rate and not limit.rare
        ]
        if met:
            names = ", ".join(f"{limit.name} ({limit.events:,.0f})" for limit in met)
            text = f"{met[0].name} binds first, by: {met[0].moves}. In order: {names}."
        else:
            first = limits.limits(_usage(rate))[0]
            text = f"none binds. The next is {first.name}, at {first.events:,.0f}."
        yield f"- **{rate:,} a second**: {text}"


def _regions() -> Iterator[str]:
    targets = _usage(RATES[0]).stack.invocations_per_handled_event
    by_quota: dict[int, list[str]] = {}
    for region, quota in INVOCATIONS.items():
        by_quota.setdefault(quota, []).append(f"`{region}`")
    by_quota.setdefault(OTHER_INVOCATIONS, []).append("every other")
    rows = [
        (f"{quota:,}", f"{quota / targets:,.0f}", ", ".join(regions))
        for quota, regions in sorted(by_quota.items(), reverse=True)
    ]
    yield from table(("Invocations a second", "Events a second", "Regions"), rows)


def _costs() -> Iterator[str]:
    rows = []
    for rate in RATES:
        usage = _usage(rate)
        costs = services.costs(usage)
        total, millions = sum(each.dollars for each in costs), usage.events / MILLION
        largest = sorted(costs, key=lambda each: -each.dollars)[:SHOWN_COSTS]
        named = ", ".join(f"{each.service} {each.what} {each.dollars / millions:.2f}" for each in largest)
        rows.append((f"{rate:,}", f"{millions:,.0f} M", f"{total:,.0f}", f"{total / millions:.2f}", named))
    headings = ("Events a second", "Events a month", "USD a month", "USD a million", "The largest of it")
    yield from table(headings, rows)


def _given() -> Iterator[str]:
    rows = []
    for rate in RATES:
        sized = _rules().sized(rate)
        redrive = sized.redrive
        rows.append(
            (
                f"{rate:,}",
                *(f"{sized.handlers[handler].executions:,}" for handler in HANDLERS),
                f"{sized.bus_per_second:,.0f}",
                str(sized.lanes),
                "off" if redrive is None else str(redrive.settings.per_second),
            )
        )
    headings = (
        "Events a second",
        *(f"`{handler}.reserved_concurrency`" for handler in HANDLERS),
        "Events a second through EventBridge",
        "Audit lanes of each handler",
        "`auto_redrive_per_second`",
    )
    yield from table(headings, rows)


def _plots(runs: Iterable[Run]) -> Iterator[str]:
    for key, some in by_scenario(list(runs)).items():
        name = some[0].scenario.name
        yield f"![{name[0].upper()}{name[1:]}: events that wait, over time, at each rate.](scale/{key}.svg)"
        yield ""


def _healed() -> Iterator[str]:
    redrive = _rules().redrive
    shipped = redrive.settings.per_second if redrive else rules.most_per_second()
    speeds = (shipped, rules.most_per_second())
    rows = [
        (
            f"{rate:,}",
            *(lasting(QUEUE_RETENTION_SECONDS * min(1.0, speed / rate)) for speed in speeds),
        )
        for rate in RATES
    ]
    headings = ("Events a second", *(f"`auto_redrive_per_second` = {speed}" for speed in speeds))
    yield from table(headings, rows)


def _check() -> Iterator[str]:
    experiment = kept.read()
    rows: Sequence[tuple[str, ...]] = [each.cells() for each in check.compare(experiment)]
    yield f"{experiment.how}; {experiment.date}:"
    yield ""
    yield from table(check.HEADINGS, rows)
