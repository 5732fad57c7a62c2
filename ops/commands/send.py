"""`huntaze-stripe send`: put an event on the bus of the embedded AWS, and show what becomes of it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import typer

from ops import DEFAULT_ENVIRONMENT
from ops.commands.options import Env, Json
from ops.console import open_console, plural, print_json
from ops.signals import FAILED

DEADLINE_SECONDS: Final = 60
MOST: Final = 1000
# The clocks of the functions and of this program are one; the time before is for what waits in a queue.
BEFORE: Final = timedelta(minutes=1)
POLL_SECONDS: Final = 0.25


def _types() -> tuple[str, ...]:
    from ops.local.draft import types

    return types()


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(send)


def send(
    named: Annotated[
        str,
        typer.Argument(
            metavar="FILE|TYPE",
            help="An event type with a sample, or a file: an envelope of EventBridge, or an event of Stripe.",
            autocompletion=_types,
        ),
    ],
    env: Env = DEFAULT_ENVIRONMENT,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="PATH=VALUE",
            help="Change a field of the event, such as data.object.amount=1200; repeatable.",
        ),
    ] = None,
    count: Annotated[
        int, typer.Option(metavar="N", min=1, max=MOST, help="Send N copies, each its own event.")
    ] = 1,
    keep_ids: Annotated[
        bool,
        typer.Option(
            "--keep-ids", help="Keep the event's ids and its time: again, it is a repeated delivery."
        ),
    ] = False,
    deadline: Annotated[
        int, typer.Option(metavar="SECONDS", min=0, help="How long to wait for the end.")
    ] = DEADLINE_SECONDS,
    as_json: Json = False,
) -> None:
    """Send an event to the embedded AWS of a local run as Stripe does, wait for its end, and print its story.

    Each event has fresh ids and is made now. Several events print one row each. On AWS itself only Stripe
    can send: use verify, or `stripe trigger`.

    It fails if an event did not reach its end in time, or was parked.
    """
    from ops import environment as environments
    from ops.dlq.interrupts import interruption
    from ops.local import draft, sending
    from ops.progress import Steps
    from ops.story import reading, text
    from ops.story.composition import compose
    from ops.story.listing import Listing, wait_until_ended

    environment = environments.connect(env)
    sending.require_embedded(environment)
    envelope = draft.read(named, environment.bus)
    copies = draft.copies(envelope, count, set_ or (), keep_ids=keep_ids)
    began = datetime.now(UTC) - BEFORE
    listing = Listing(environment, began.timestamp())
    steps = Steps(open_console(as_json=True))
    with steps.step("send, and wait for the end") as step:
        event_ids = sending.send(environment, copies)
        ended = wait_until_ended(listing, event_ids, time.monotonic() + deadline, POLL_SECONDS)
        step.note = plural(len(event_ids), "event")
    rows = [row for each in event_ids if (row := listing.row(each)) is not None]
    if len(event_ids) == 1:
        with interruption() as interrupted:
            facts = reading.read(environment, event_ids, began, steps, interrupted=interrupted)
        if interrupted:
            raise typer.Exit(interrupted.exit_code)
        story = compose(facts[0])
        if as_json:
            print_json(story.document())
        else:
            text.show(open_console(), [story], payload=False)
    elif as_json:
        print_json({"ended": ended, "events": [row.document() for row in rows]})
    else:
        text.show_rows(open_console(), rows)
    if not ended:
        steps.console.print(
            f"not at its end after {deadline} s: `huntaze-stripe story {event_ids[0]} --env {env}` says "
            "where it is",
            soft_wrap=True,
        )
    if not ended or any(row.outcome == "parked" for row in rows):
        raise typer.Exit(FAILED)
