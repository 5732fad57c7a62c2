"""`huntaze-stripe reconcile`: what Stripe made and the ledger does not hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from functions.pipeline import names
from functions.reconciliation.gap import GRACE_SECONDS
from ops import moments, talk
from ops.errors import OperatorError
from ops.steps import Steps

if TYPE_CHECKING:
    from rich.console import Console

    from functions.reconciliation.gap import Gap

FAILED = 1
SHOWN_IDS = 5
# What was made in the last minutes may still be on its way.
KEPT = timedelta(days=names.STRIPE_LIST_DAYS)
GRACE = timedelta(seconds=GRACE_SECONDS)


def reconcile(
    since: Annotated[
        str, typer.Option(help="Begin of the window: 48h, 7d or an ISO time; 30 days at most.")
    ] = "48h",
    until: Annotated[str, typer.Option(help="End of the window, at least 10 minutes ago.")] = "10m",
    env: Annotated[str, typer.Option("--env", help="dev, staging or prod.")] = "dev",
    event_type: Annotated[
        list[str] | None, typer.Option("--type", help="Compare only this event type; repeatable.")
    ] = None,
    all_types: Annotated[
        bool, typer.Option("--all-types", help="Compare every type, also those that no handler takes.")
    ] = False,
    heal: Annotated[
        bool, typer.Option("--heal", help="Hand missing events to their handler and to the audit queue.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="With --heal: show what would be handed over, and hand over nothing."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Compare Stripe's own list of events with the ledger, and print what is missing.

    By default the types that a handler takes. Exit codes: 0 nothing is missing, or all of it was handed
    over; 1 events are missing, or the comparison failed; 2 called wrongly.
    """
    if all_types and event_type:
        raise OperatorError("--all-types and --type exclude each other: give one", usage=True)
    from functions.pipeline.routing import ROUTES
    from ops import environment as environments
    from ops import reconciliation
    from ops.ledgers import open_ledger

    now = datetime.now(UTC).replace(microsecond=0)
    first, last = moments.moment(since, "--since", now), moments.moment(until, "--until", now)
    _check_window(first, last, now)
    types = _checked_types(event_type or []) if event_type else () if all_types else tuple(ROUTES)
    environment = environments.connect(env)
    console = talk.console(as_json=as_json)
    steps = Steps(console)
    api = reconciliation.stripe(environment)
    ledger = open_ledger(environment, first)
    healer = reconciliation.healer(environment) if heal and not dry_run else None
    gap = reconciliation.find_gap(api, ledger, first, last, types, steps, healer)
    if as_json:
        window = {"since": moments.stamp(first), "until": moments.stamp(last)}
        read = {"ledger": ledger.name, "ledger_objects_unread": ledger.unread, "dry_run": dry_run}
        talk.show_json(window | read | _document(gap))
    else:
        _show(console, gap, ledger.name)
        if ledger.unread:
            unread = talk.counted(ledger.unread, "object")
            console.print(f"{unread} of the ledger could not be read: less may be missing", highlight=False)
        console.print(_verdict(gap, heal=heal, dry_run=dry_run), highlight=False)
    if gap.open_count:
        raise typer.Exit(FAILED)


def _check_window(first: datetime, last: datetime, now: datetime) -> None:
    if last <= first:
        raise OperatorError(
            f"the window ends ({moments.told(last)}) before it begins ({moments.told(first)}): correct "
            "--since or --until",
            usage=True,
        )
    if first < now - KEPT:
        raise OperatorError(
            f"the window begins {moments.told(first)}, and Stripe lists the last {KEPT.days} days only: give "
            f"--since {KEPT.days}d or later, and take older events from `huntaze-stripe replay`",
            usage=True,
        )
    if last > now - GRACE:
        raise OperatorError(
            f"the window ends {moments.told(last)}, and younger events than 10 minutes may still be on their "
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


def _show(console: Console, gap: Gap, ledger: str) -> None:
    table = Table(title=f"Stripe's events and the ledger in {ledger}", title_justify="left")
    table.add_column("Event type")
    for column in ("Made by Stripe", "Missing", "Handed over"):
        table.add_column(column, justify="right")
    table.add_column("Missing events")
    for event_type, compared in sorted(gap.compared.items()):
        missing = gap.missing.get(event_type, [])
        healed = sum(event_id in gap.healed for event_id in missing)
        shown = " ".join(missing[:SHOWN_IDS]) + (" …" if len(missing) > SHOWN_IDS else "")
        table.add_row(event_type, str(compared), str(len(missing)), str(healed), shown)
    table.add_section()
    total = gap.compared.total()
    table.add_row("all", str(total), str(gap.missing_count), str(len(gap.healed)), "")
    console.print(table)


def _verdict(gap: Gap, *, heal: bool, dry_run: bool) -> str:
    if not gap.missing_count:
        return "nothing is missing"
    missing = talk.counted(gap.missing_count, "event")
    if heal and dry_run:
        return f"dry run: {missing} would be handed over"
    if not heal:
        return f"{missing} missing: --heal hands over what is missing"
    if gap.open_count:
        return f"{talk.counted(gap.open_count, 'event')} too large to be handed over: see Stripe's dashboard"
    return f"{missing} handed over, nothing else is missing; the ledger has it in a minute"


def _document(gap: Gap) -> dict[str, Any]:
    return {
        "compared": gap.compared.total(),
        "missing": gap.missing_count,
        "healed": len(gap.healed),
        "types": [
            {
                "event_type": event_type,
                "compared": compared,
                "missing": gap.missing.get(event_type, []),
                "healed": [each for each in gap.missing.get(event_type, []) if each in gap.healed],
            }
            for event_type, compared in sorted(gap.compared.items())
        ],
    }
