"""`huntaze-stripe watch`: events as they end, one line each."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ops import DEFAULT_ENVIRONMENT, times
from ops.commands.options import Env, known_types
from ops.console import plural, print_error, print_line
from ops.errors import DeniedError, OperatorError
from ops.local.observations import OUTCOMES
from ops.story.story import WAITING

if TYPE_CHECKING:
    from ops.story.listing import EventRow, Listing, Wanted

# Seconds between two looks: a look at AWS is a few billed calls, one at the embedded AWS costs nothing.
LOOK_SECONDS: Final = 3.0
LOOK_SECONDS_EMBEDDED: Final = 0.5
# How long the line of an event waits for the ledger, which names its customer and object.
PATIENCE_SECONDS: Final = 30.0
COLUMNS: Final = (("Time (UTC)", 19), ("Outcome", 9), ("ms", 7), ("Attempts", 8), ("Type", 34), ("Event", 29))


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(watch)


def watch(
    env: Env = DEFAULT_ENVIRONMENT,
    event_type: Annotated[str, typer.Option("--type", metavar="TYPE", help="Only events of this type.")] = "",
    outcome: Annotated[
        str,
        typer.Option(
            "--outcome",
            metavar="OUTCOME",
            help=f"Only events that ended so: {', '.join(OUTCOMES)}.",
            autocompletion=lambda: OUTCOMES,
        ),
    ] = "",
    customer: Annotated[
        str, typer.Option("--customer", metavar="ID", help="Only events of this customer.")
    ] = "",
    since: Annotated[
        str,
        typer.Option(metavar="TIME", help="Begin with the events since then: 10m, or an ISO time in UTC."),
    ] = "",
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=0, help="End after N events; 0 never ends.")
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON for each event.")] = False,
) -> None:
    """Print events as they end: when, how, how fast, and about whom. Ctrl-C ends it.

    An event ends when its handler logs its outcome and the ledger has it. One that fails is printed when a
    later attempt ends it; `dlq list` shows what waits meanwhile.
    """
    from ops import environment as environments
    from ops.story.listing import Listing, Wanted
    from ops.terraform.endpoint import is_embedded

    if outcome and outcome not in OUTCOMES:
        raise OperatorError(f"invalid --outcome {outcome!r}: expected {', '.join(OUTCOMES)}", usage=True)
    if event_type:
        known_types([event_type])
    now = datetime.now(UTC)
    first = times.parse_past(since, "--since", now) if since else now
    listing = Listing(environments.connect(env, bus=False), first.timestamp())
    pause = LOOK_SECONDS_EMBEDDED if is_embedded(os.environ) else LOOK_SECONDS
    wanted = Wanted(event_type, outcome, customer)
    if not as_json:
        print_line("  ".join(f"{name:<{width}}" for name, width in COLUMNS) + "  About")
    shown = 0
    try:
        for row in _ended(listing, wanted, pause):
            print_line(json.dumps(row.document()) if as_json else _line(row))
            shown += 1
            if limit and shown >= limit:
                return
    finally:
        print_line(plural(shown, "event"), as_json=True)


def _ended(listing: Listing, wanted: Wanted, pause: float) -> Iterator[EventRow]:
    """Yield each event once, when it has ended."""
    printed: set[str] = set()
    waiting: dict[str, float] = {}
    rows: Sequence[EventRow] = listing.refresh()
    while True:
        now = time.monotonic()
        for changed in rows:
            if changed.event_id not in printed:
                waiting.setdefault(changed.event_id, now)
        for event_id, since in list(waiting.items()):
            row = listing.row(event_id)
            if row is None or row.outcome == WAITING:
                continue
            if row.audited or now - since > PATIENCE_SECONDS:
                del waiting[event_id]
                printed.add(event_id)
                if wanted.match(row):
                    yield row
        time.sleep(pause)
        rows = _next_look(listing)


def _next_look(listing: Listing) -> Sequence[EventRow]:
    """Return the rows that changed; none if AWS does not answer, which is asked again."""
    try:
        return listing.refresh()
    except DeniedError:
        raise
    except OperatorError as error:
        print_error(f"watch: {error}; the next look follows")
        return ()


def _line(row: EventRow) -> str:
    latency = "" if row.latency_ms is None else f"{row.latency_ms:,.0f}"
    cells = (
        times.stamp_of(row.at)[:-1],
        row.outcome,
        latency,
        str(row.attempts),
        row.event_type,
        row.event_id,
    )
    about = " of ".join(each for each in (row.object_id, row.customer_id) if each)
    padded = (f"{cell:<{width}}" for cell, (_, width) in zip(cells, COLUMNS, strict=True))
    return f"{'  '.join(padded)}  {about}".rstrip()
