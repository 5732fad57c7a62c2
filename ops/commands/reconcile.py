"""`huntaze-stripe reconcile`: what Stripe made and the ledger does not hold, or no handler has seen."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from functions.reconciliation.gap import GRACE_SECONDS
from functions.shared import names
from ops import times
from ops.commands.options import DryRun, Env, Json
from ops.console import open_console, plural, print_json
from ops.errors import OperatorError
from ops.progress import Steps

if TYPE_CHECKING:
    from rich.console import Console

    from ops.reconciliation import Findings

FAILED = 1
SHOWN_IDS = 5
# What was made in the last minutes may still be on its way.
KEPT = timedelta(days=names.STRIPE_LIST_DAYS)
GRACE = timedelta(seconds=GRACE_SECONDS)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(reconcile)


def reconcile(
    since: Annotated[
        str, typer.Option(help="Begin of the window: 48h, 7d or an ISO time; 30 days at most.")
    ] = "48h",
    until: Annotated[str, typer.Option(help="End of the window, at least 10 minutes ago.")] = "10m",
    env: Env = "dev",
    event_type: Annotated[
        list[str] | None, typer.Option("--type", help="Compare only this event type; repeatable.")
    ] = None,
    all_types: Annotated[
        bool, typer.Option("--all-types", help="Compare every type, also those that no handler takes.")
    ] = False,
    heal: Annotated[
        bool,
        typer.Option(
            "--heal",
            help="Hand missing events to their handler and the audit queue, and those that no handler has "
            "seen to their handler.",
        ),
    ] = False,
    unapplied: Annotated[
        bool,
        typer.Option(
            "--unapplied",
            help="With --heal: also hand over what a handler has seen and not applied, for which no message "
            "is left in a dead-letter queue.",
        ),
    ] = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Compare Stripe's own list of events with the ledger and the handlers' records.

    By default the types that a handler takes. Exit codes: 0 nothing is missing and all met their handler, or
    what did not was handed over; 1 events are missing, or the comparison failed; 2 called wrongly.
    """
    if unapplied and not heal:
        raise OperatorError("--unapplied goes with --heal: add it, or leave --unapplied out", usage=True)
    if all_types and event_type:
        raise OperatorError("--all-types and --type exclude each other: give one", usage=True)
    from functions.pipeline.routing_table import ROUTES
    from ops import environment as environments
    from ops import reconciliation
    from ops.ledger import open_ledger

    now = datetime.now(UTC).replace(microsecond=0)
    first, last = times.moment(since, "--since", now), times.moment(until, "--until", now)
    _check_window(first, last, now)
    types = _checked_types(event_type or []) if event_type else () if all_types else tuple(ROUTES)
    environment = environments.connect(env)
    console = open_console(as_json=as_json)
    steps = Steps(console)
    api = reconciliation.stripe(environment)
    ledger = open_ledger(environment, first)
    healer = reconciliation.healer(environment) if heal and not dry_run else None
    handled_until = now - timedelta(seconds=environment.settings.handled_within_seconds)
    comparison = reconciliation.Comparison(api, ledger, environment, healer, with_unapplied=unapplied)
    findings = comparison.find(first, last, types, handled_until, steps)
    if as_json:
        window = {
            "since": times.stamp(first),
            "until": times.stamp(last),
            "handled_until": times.stamp(handled_until),
        }
        read = {"ledger": ledger.name, "ledger_objects_unread": ledger.unread, "dry_run": dry_run}
        print_json(window | read | _document(findings))
    else:
        _show(console, findings, ledger.name)
        told = times.told(handled_until)
        console.print(f"what was made after {told} may still be on its way to a handler", highlight=False)
        if ledger.unread:
            unread = plural(ledger.unread, "object")
            console.print(f"{unread} of the ledger could not be read: less may be missing", highlight=False)
        for line in _verdict(findings, heal=heal, dry_run=dry_run):
            console.print(line, highlight=False)
    if findings.open_count:
        raise typer.Exit(FAILED)


def _check_window(first: datetime, last: datetime, now: datetime) -> None:
    if last <= first:
        raise OperatorError(
            f"the window ends ({times.told(last)}) before it begins ({times.told(first)}): correct "
            "--since or --until",
            usage=True,
        )
    if first < now - KEPT:
        raise OperatorError(
            f"the window begins {times.told(first)}, and Stripe lists the last {KEPT.days} days only: give "
            f"--since {KEPT.days}d or later, and take older events from `huntaze-stripe replay`",
            usage=True,
        )
    if last > now - GRACE:
        raise OperatorError(
            f"the window ends {times.told(last)}, and younger events than 10 minutes may still be on their "
            "way: give --until 10m or earlier",
            usage=True,
        )


def _checked_types(types: list[str]) -> tuple[str, ...]:
    import difflib

    from infra.patterns import stripe_event_types

    known = stripe_event_types()
    for event_type in types:
        if event_type not in known:
            near = difflib.get_close_matches(event_type, known, n=1)
            advice = f"did you mean {near[0]}?" if near else "see Stripe's list of event types"
            raise OperatorError(f"--type {event_type!r} is no event type of Stripe: {advice}", usage=True)
    return tuple(types)


def _show(console: Console, findings: Findings, ledger: str) -> None:
    table = Table(title=f"Stripe's events and the ledger in {ledger}", title_justify="left")
    table.add_column("Event type")
    for column in ("Made by Stripe", "Missing", "No handler", "Not applied", "Handed over"):
        table.add_column(column, justify="right")
    listed = []
    for line in _document(findings)["types"]:
        missing = line["missing"] + line["unhandled"]
        counts = [len(line[name]) for name in ("missing", "unhandled", "unapplied", "healed")]
        shown = " ".join(missing[:SHOWN_IDS]) + (" …" if len(missing) > SHOWN_IDS else "")
        table.add_row(line["event_type"], str(line["compared"]), *map(str, counts))
        if missing:
            listed.append(f"{line['event_type']}: {shown}")
    table.add_section()
    totals = [gap.missing_count for gap in (findings.gap, findings.unhandled, findings.unapplied)]
    table.add_row("all", str(findings.gap.compared.total()), *map(str, totals), str(findings.healed_count))
    console.print(table)
    for ids in listed:
        # To copy, whatever the terminal's width.
        console.print(ids, highlight=False, markup=False, soft_wrap=True)


def _verdict(findings: Findings, *, heal: bool, dry_run: bool) -> Iterator[str]:
    if findings.unapplied.open_count:
        seen = plural(findings.unapplied.open_count, "event")
        yield (
            f"{seen} a handler has seen and not applied: look for them with `huntaze-stripe dlq list`; what "
            "no queue holds, --heal --unapplied hands over again"
        )
    found = findings.gap.missing_count + findings.unhandled.missing_count
    if not found:
        yield "nothing is missing"
        return
    told = (
        f"{plural(findings.gap.missing_count, 'event')} missing, "
        f"{findings.unhandled.missing_count} reached no handler"
    )
    if heal and dry_run:
        yield f"dry run: {told}: would be handed over"
    elif not heal:
        yield f"{told}: --heal hands them over"
    elif findings.open_count:
        left = plural(findings.open_count, "event")
        yield f"{left} too large to be handed over: see Stripe's dashboard"
    else:
        yield f"{told}: handed over, nothing else is missing; ledger and handlers have them in a minute"


def _document(findings: Findings) -> dict[str, Any]:
    gaps = {"missing": findings.gap, "unhandled": findings.unhandled, "unapplied": findings.unapplied}
    types = []
    for event_type, compared in sorted(findings.gap.compared.items()):
        ids = {name: list(gap.missing.get(event_type, [])) for name, gap in gaps.items()}
        healed = [each for name, gap in gaps.items() for each in ids[name] if each in gap.healed]
        types.append({"event_type": event_type, "compared": compared, **ids, "healed": healed})
    return {
        "compared": findings.gap.compared.total(),
        **{name: gap.missing_count for name, gap in gaps.items()},
        "healed": findings.healed_count,
        "types": types,
    }
