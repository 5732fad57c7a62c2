"""`huntaze-stripe story`: what became of an event, or of all events about a customer or an object."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from ops import DEFAULT_ENVIRONMENT, times
from ops.commands.options import Env, Json
from ops.console import open_console, print_json
from ops.errors import OperatorError
from ops.story.story import UNKNOWN

SINCE: Final = "48h"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(story)


def story(
    reference: Annotated[
        str,
        typer.Argument(
            metavar="REFERENCE", help="Id of an event (evt_), of a customer, or of another object of Stripe."
        ),
    ],
    env: Env = DEFAULT_ENVIRONMENT,
    since: Annotated[
        str,
        typer.Option(metavar="TIME", help="Read logs and ledger from here on: an ISO time in UTC, or 7d."),
    ] = SINCE,
    reveal: Annotated[
        bool, typer.Option("--reveal", help="Print the events too, personal data included.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what became of an event: where it was, what each part did with it, and why it ended as it did.

    It asks Stripe, the functions' logs, the ledger, the idempotency table, the dead-letter queues and
    EventBridge, changes nothing, and says what it can't know. For a customer or an object, it shows the
    stories of all events about it in one timeline, newest last.

    Messages of dead-letter queues are visible to others again at once. It fails if nothing knows the event.
    """
    from ops import environment as environments
    from ops.dlq.interrupts import interruption
    from ops.progress import Steps
    from ops.story import reading, references, text
    from ops.story.composition import compose

    references.check(reference)
    now = datetime.now(UTC)
    first = times.parse_past(since, "--since", now)
    environment = environments.connect(env)
    steps = Steps(open_console(as_json=True))
    found = None
    event_ids = [reference]
    if not references.is_event(reference):
        found = references.deliveries(environment, reference, first, now, steps)
        event_ids = list(found)
    if not event_ids:
        raise OperatorError(
            f"the ledger has no event about {reference} since {times.stamp(first)}: check the id and --env, "
            "or use an earlier --since"
        )
    with interruption() as interrupted:
        facts = reading.read(environment, event_ids, first, steps, found=found, interrupted=interrupted)
    if interrupted:
        raise typer.Exit(interrupted.exit_code)
    stories = [compose(each, reveal=reveal) for each in facts]
    if as_json:
        documents = [each.document() for each in stories]
        one = references.is_event(reference)
        print_json(documents[0] if one else {"reference": reference, "events": documents})
    else:
        text.show(open_console(), stories, payload=reveal)
    if all(each.outcome == UNKNOWN for each in stories):
        raise OperatorError(f"nothing here knows {reference}: check the id, --env and --since {since}")
