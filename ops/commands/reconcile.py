"""`huntaze-stripe reconcile`: events of Stripe that the ledger lacks or that no handler has received."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.text import Text

from ops import DEFAULT_ENVIRONMENT, times
from ops.commands.options import Account, DryRun, Env, EventTypes, Json, Until, known_types
from ops.console import PlainTable, open_console, plural, print_json, styled
from ops.errors import OperatorError
from ops.progress import Steps
from ops.signals import FAILED

if TYPE_CHECKING:
    from rich.console import Console

    from ops.reconciliation import Findings

SHOWN_IDS: Final = 5


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(reconcile)


def reconcile(
    since: Annotated[
        str,
        typer.Option(
            metavar="TIME", help="Start of the window: 48h, 7d or an ISO time in UTC; 30 days ago at most."
        ),
    ] = "48h",
    until: Until = "10m",
    env: Env = DEFAULT_ENVIRONMENT,
    account: Account = None,
    event_type: EventTypes = None,
    all_types: Annotated[
        bool, typer.Option("--all-types", help="Compare all types, also those that no handler receives.")
    ] = False,
    heal: Annotated[
        bool,
        typer.Option(
            "--heal",
            help="Send missing events to their handler and the audit queue, and events that no handler has "
            "received to their handler.",
        ),
    ] = False,
    unapplied: Annotated[
        bool,
        typer.Option(
            "--unapplied",
            help="With --heal: also send events that a handler received and did not apply, if no dead-letter "
            "queue holds them.",
        ),
    ] = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Compare Stripe's list of events with the ledger and the handlers' records.

    By default it compares the types that a handler receives. It fails if events are missing or have reached
    no handler, unless --heal has sent them.
    """
    if unapplied and not heal:
        raise OperatorError("--unapplied needs --heal: add --heal, or remove --unapplied", usage=True)
    if all_types and event_type:
        raise OperatorError("--all-types and --type exclude each other: use one of them", usage=True)
    from functions.pipeline.routing_table import ROUTES
    from ops import environment as environments
    from ops import reconciliation
    from ops.ledger import open_ledger

    now = datetime.now(UTC).replace(microsecond=0)
    first, last = times.parse_time(since, "--since", now), times.parse_time(until, "--until", now)
    reconciliation.check_window(first, last, now)
    types = known_types(event_type) if event_type else () if all_types else tuple(ROUTES)
    environment = environments.connect(env)
    console = open_console(as_json=as_json)
    steps = Steps(console)
    api = reconciliation.stripe(environment, account)
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
        if account is not None:
            window["account"] = account
        read = {"ledger": ledger.name, "ledger_objects_unread": ledger.unread, "dry_run": dry_run}
        print_json(window | read | _document(findings))
    else:
        _show(console, findings, ledger.name)
        console.print(
            f"events after {times.format_time(handled_until)} may still be on their way to a handler"
        )
        if ledger.unread:
            unread = plural(ledger.unread, "object")
            console.print(f"{unread} of the ledger could not be read: fewer events may be missing")
        for line in _summary(findings, heal=heal, dry_run=dry_run):
            console.print(line, soft_wrap=True)
    if findings.open_count:
        raise typer.Exit(FAILED)


def _show(console: Console, findings: Findings, ledger: str) -> None:
    headings = ("Event type", "Events", "Missing", "No handler", "Not applied", "Sent")
    table = PlainTable(
        *headings, title=f"Stripe's events and the ledger in {ledger}", keep=("Events", "Missing")
    )
    listed = []
    for line in _document(findings)["types"]:
        missing = line["missing"] + line["unhandled"]
        counts = [len(line[name]) for name in ("missing", "unhandled", "unapplied", "healed")]
        table.add_row(line["event_type"], str(line["compared"]), *map(_count, counts[:3]), str(counts[3]))
        if missing:
            shown = " ".join(missing[:SHOWN_IDS]) + (" …" if len(missing) > SHOWN_IDS else "")
            listed.append(f"{line['event_type']}: {shown}")
    totals = [gap.missing_count for gap in (findings.gap, findings.unhandled, findings.unapplied)]
    compared = findings.gap.compared.total()
    table.add_total("all", str(compared), *map(_count, totals), str(findings.healed_count))
    console.print(table)
    for ids in listed:
        # To copy, whatever the terminal's width.
        console.print(ids, soft_wrap=True)


def _count(number: int) -> Text:
    return styled(number, "red" if number else "")


def _summary(findings: Findings, *, heal: bool, dry_run: bool) -> Iterator[str]:
    if findings.unapplied.open_count:
        received = plural(findings.unapplied.open_count, "event")
        yield (
            f"{received} received by a handler and not applied: check `huntaze-stripe dlq list`; "
            "--heal --unapplied sends those that no queue holds"
        )
    found = findings.gap.missing_count + findings.unhandled.missing_count
    if not found:
        yield "nothing is missing"
        return
    counts = (
        f"{plural(findings.gap.missing_count, 'event')} missing, "
        f"{findings.unhandled.missing_count} reached no handler"
    )
    if heal and dry_run:
        yield f"dry run: {counts}: they would be sent"
    elif not heal:
        yield f"{counts}: add --heal to send them"
    elif findings.open_count:
        left = plural(findings.open_count, "event")
        yield f"{left} too large to send: see Stripe's dashboard"
    else:
        yield f"{counts}: sent; the ledger and the handlers have them in a minute"


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
