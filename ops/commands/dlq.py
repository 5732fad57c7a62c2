"""`huntaze-stripe dlq`: inspect, redrive and purge dead-letter queues."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from ops import DEFAULT_ENVIRONMENT
from ops.commands.options import DryRun, Env, Json, Yes
from ops.console import plural, print_json, print_line
from ops.dlq.filters import Filters, filtered


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Inspect, redrive and purge dead-letter queues.")
    group.command(name="list")(filtered(list_))
    for command in (show, redrive, purge):
        group.command()(filtered(command))
    app.add_typer(group, name="dlq")


def list_(
    filters: Filters,
    env: Env = DEFAULT_ENVIRONMENT,
    messages: Annotated[
        bool, typer.Option("--messages", help="Print a line for each message instead of counts.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Count messages by queue, kind of failure, reason and event type.

    All messages are visible to others again at once.
    """
    from ops.dlq import json_output, tables
    from ops.dlq.session import begin

    session = begin(env, filters, as_json=as_json)
    found, counts = session.inspect()
    if as_json:
        document = {
            "environment": env,
            "letters": len(found),
            "groups": json_output.groups_document(found, session.now),
            "queues": json_output.queues_document(counts, session.queues),
        }
        listed = {"messages": [json_output.about(*item) for item in found]} if messages else {}
        print_json(document | listed)
    elif messages:
        tables.show_messages(found, [message.api_code for message, _ in found])
    else:
        tables.show_groups(session.console, found, session.now)
    tables.show_unseen(session.console, counts, session.queues)


def show(
    filters: Filters,
    env: Env = DEFAULT_ENVIRONMENT,
    reveal: Annotated[bool, typer.Option("--reveal", help="Show personal data too.")] = False,
    as_json: Json = False,
) -> None:
    """Print messages whole, oldest first; without --reveal, whatever may be personal is `***`.

    All messages are visible to others again at once. `dlq list --messages` prints a line for each.
    """
    from ops.dlq import json_output, tables
    from ops.dlq.session import begin

    session = begin(env, filters, as_json=as_json)
    found, counts = session.inspect(whole=True)
    shown = [json_output.message_document(message, queue, reveal=reveal) for message, queue in found]
    if as_json:
        print_json(shown)
    else:
        for document in shown:
            print_json(document)
        print_line(plural(len(shown), "message"))
    tables.show_unseen(session.console, counts, session.queues)


def redrive(
    filters: Filters,
    env: Env = DEFAULT_ENVIRONMENT,
    rate: Annotated[
        str, typer.Option("--rate", metavar="N", help="Events per second at most, 0.01 to 100.")
    ] = "5",
    settle: Annotated[
        bool,
        typer.Option(
            "--settle",
            help="Accept the API's answer as final for events of unknown outcome, as --event-id does too. "
            "Use it only if the API itself answers, and not a gateway before it.",
        ),
    ] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Redrive messages, oldest first, to their handler or the audit queue.

    A message is deleted when its event is settled, and stays if it fails. An API call with an unknown
    outcome keeps other events waiting: name its event with --event-id, or add --settle, and the next refusal
    is final.

    Ctrl-C finishes the current event and releases the rest. It fails if a message is left.
    """
    from ops.dlq import interrupts, session, tables, targets
    from ops.dlq import redrive as redrives

    per_second = session.parse_rate(rate)
    run = session.begin(env, filters, as_json=as_json)
    settles = settle or bool(filters.event_id)
    found = targets.find(run.environment, run.queues, settle=settles)
    wanted = run.ask(
        lambda messages, unsettled: tables.redrive_question(messages, unsettled if settles else 0),
        dry_run=dry_run,
        yes=yes,
    )
    if wanted is None:
        return
    with interrupts.interruption() as interrupted:
        work = redrives.run(run, found, wanted, per_second, interrupted)
    work.show(run.console)
    left = f"{plural(work.left, 'message')} left in the queues: `huntaze-stripe dlq list` shows why"
    run.finish(
        interrupted,
        {"settle": settles} | work.document(),
        work.counts,
        stopped=work.stopped,
        left=left if work.left else None,
    )


def purge(
    filters: Filters,
    env: Env = DEFAULT_ENVIRONMENT,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file", metavar="FILE", help="New file for the messages; default build/purged/ENV-TIME.jsonl."
        ),
    ] = None,
    include_unsettled: Annotated[
        bool,
        typer.Option(
            "--include-unsettled",
            help="Also messages whose event may have been applied, or may still be; other events may wait "
            "for them.",
        ),
    ] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Write messages whole to a new file that only you can read, then delete them from their queues.

    The file holds personal data. A message whose event may have been applied, or may still be, stays unless
    you name it with --event-id or add --include-unsettled. It fails if a chosen message is left.
    """
    from ops.dlq import interrupts, session, tables
    from ops.dlq import purge as purges

    run = session.begin(env, filters, as_json=as_json)
    target = file or purges.default_file(env, datetime.now(UTC))
    if not dry_run:
        purges.check_new(target)
    skipped = purges.Skipped(nothing=include_unsettled or bool(filters.event_id))
    wanted = run.ask(
        lambda messages, unsettled: tables.purge_question(messages, unsettled, target),
        dry_run=dry_run,
        yes=yes,
        skipped=skipped,
    )
    if wanted is None:
        tables.show_skipped(run.console, skipped.count, env)
        return
    with interrupts.interruption() as interrupted:
        work = purges.run(run, wanted, target, interrupted)
    written = f", all {work.written} chosen ones are in {target}" if work.written else ""
    print_line(f"{plural(work.deleted, 'message')} deleted{written}", as_json=as_json)
    tables.show_skipped(run.console, skipped.count, env)
    left = f"{plural(work.left, 'message')} in the file and still in the queues" if work.left else None
    run.finish(interrupted, work.document(skipped.count), work.counts, stopped=work.stopped, left=left)
