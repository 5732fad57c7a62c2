"""`huntaze-stripe dlq`: look into the dead-letter queues, hand events back, purge."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from ops.commands.options import DryRun, Env, Json, Yes
from ops.console import plural, print_json

Names = Annotated[
    list[str] | None,
    typer.Option("--queue", metavar="QUEUE", help="Only this queue, for example payments-dlq; repeatable."),
]
Kinds = Annotated[
    list[str] | None,
    typer.Option(
        "--kind", metavar="KIND", help="transient, permanent, configuration or unknown; repeatable."
    ),
]
Reason = Annotated[
    str, typer.Option("--reason", metavar="TEXT", help="Only letters whose reason contains this text.")
]
Types = Annotated[
    list[str] | None, typer.Option("--type", metavar="TYPE", help="Only this event type; repeatable.")
]
Ids = Annotated[
    list[str] | None, typer.Option("--event-id", metavar="ID", help="Only this event; repeatable.")
]
OlderThan = Annotated[
    str,
    typer.Option(
        "--older-than", metavar="TIME", help="Only what lies there for so long: 2h, 30m, 7d, or an ISO time."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Inspect, redrive and purge dead-letter queues.")
    group.command(name="list")(list_)
    for command in (show, redrive, purge):
        group.command()(command)
    app.add_typer(group, name="dlq")


def list_(
    env: Env = "dev",
    queue: Names = None,
    kind: Kinds = None,
    reason: Reason = "",
    event_type: Types = None,
    event_id: Ids = None,
    older_than: OlderThan = "",
    as_json: Json = False,
) -> None:
    """Count the letters by queue, kind of failure, reason and event type.

    All messages are given back to their queues at once.
    """
    from ops.dlq import json_output, tables
    from ops.dlq.session import Filters, begin

    filters = Filters(queue, kind, reason, event_type, event_id, older_than)
    run = begin(env, filters, as_json=as_json)
    letters, counts = run.look()
    if as_json:
        print_json(
            {
                "environment": env,
                "letters": len(letters),
                "groups": json_output.groups_document(letters, run.now),
                "queues": json_output.queues_document(counts, run.queues),
            }
        )
    else:
        tables.show_groups(run.console, letters, run.now)
    tables.show_unseen(run.console, counts, run.queues)


def show(
    env: Env = "dev",
    queue: Names = None,
    kind: Kinds = None,
    reason: Reason = "",
    event_type: Types = None,
    event_id: Ids = None,
    older_than: OlderThan = "",
    reveal: Annotated[bool, typer.Option("--reveal", help="Show personal data too.")] = False,
    as_json: Json = False,
) -> None:
    """Print letters whole, oldest first; without --reveal, what may be personal is shown as ***.

    All messages are given back to their queues at once.
    """
    from ops.dlq import json_output, tables
    from ops.dlq.session import Filters, begin

    filters = Filters(queue, kind, reason, event_type, event_id, older_than)
    run = begin(env, filters, as_json=as_json)
    letters, counts = run.look()
    shown = [json_output.letter_document(letter, its, reveal=reveal) for letter, its in letters]
    if as_json:
        print_json(shown)
    else:
        for document in shown:
            print_json(document)
        run.console.print(plural(len(shown), "letter"), highlight=False)
    tables.show_unseen(run.console, counts, run.queues)


def redrive(
    env: Env = "dev",
    queue: Names = None,
    kind: Kinds = None,
    reason: Reason = "",
    event_type: Types = None,
    event_id: Ids = None,
    older_than: OlderThan = "",
    rate: Annotated[
        str, typer.Option("--rate", metavar="N", help="Events in a second at most, 0.01 to 100.")
    ] = "5",
    settle: Annotated[
        bool,
        typer.Option(
            "--settle",
            help="Take the API's answer as the last word on an earlier call whose outcome is unknown; "
            "--event-id does so too. Only when the API itself answers, and nothing before it.",
        ),
    ] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Hand events back, oldest first: to their handler, or to the audit's queue.

    A message is deleted when its event is settled; one that fails stays. A call of the API whose outcome is
    unknown keeps other events waiting: name its event by --event-id, or add --settle, and one more refusal
    counts as its end. Ctrl-C ends the work after the
    event in hand and gives the rest back.
    """
    from ops.dlq import interrupts, json_output, redrive, session, tables, targets

    per_second = session.rate(rate)
    filters = session.Filters(queue, kind, reason, event_type, event_id, older_than)
    run = session.begin(env, filters, as_json=as_json)
    settles = settle or bool(event_id)
    back = targets.ways(run.environment, run.queues, settle=settles)
    wanted = run.ask(
        lambda letters, unsettled: tables.redrive_question(letters, unsettled if settles else 0),
        dry_run=dry_run,
        yes=yes,
    )
    if wanted is None:
        return
    with interrupts.interruption() as interrupted:
        work = redrive.hand_back(run.queues, wanted, back, per_second, run.steps, interrupted)
    tables.show_work(run.console, work)
    tables.show_unseen(run.console, work.counts, run.queues)
    if as_json:
        print_json(run.document(interrupted) | {"settle": settles} | json_output.work_document(work))
    left = (
        f"{plural(work.left, 'letter')} left in the queues: `huntaze-stripe dlq list` tells why"
        if work.left
        else None
    )
    run.end(interrupted, work.stopped, left, work.counts.all_unseen)


def purge(
    env: Env = "dev",
    queue: Names = None,
    kind: Kinds = None,
    reason: Reason = "",
    event_type: Types = None,
    event_id: Ids = None,
    older_than: OlderThan = "",
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
            help="Also letters whose event may have been applied, or still may be: others wait for them.",
        ),
    ] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Write letters whole to a new file that only you can read, then delete them from their queues.

    The file holds personal data. What was refused for good is deleted; a letter whose event may have been
    applied, or still may be, stays unless you name it by --event-id or add --include-unsettled. Exit codes:
    0 all done, 1 failed or something is left, 2 called wrongly, 130 interrupted (143 by SIGTERM).
    """
    from ops.dlq import interrupts, json_output, purge, tables
    from ops.dlq.session import Filters, begin

    filters = Filters(queue, kind, reason, event_type, event_id, older_than)
    run = begin(env, filters, as_json=as_json)
    target = file or purge.default_file(env, datetime.now(UTC))
    if not dry_run:
        purge.check_new(target)
    spared = purge.Spared(nothing=include_unsettled or bool(event_id))
    wanted = run.ask(
        lambda letters, unsettled: tables.purge_question(letters, unsettled, target),
        dry_run=dry_run,
        yes=yes,
        spared=spared,
    )
    if wanted is None:
        tables.show_spared(run.console, spared.count, env)
        return
    with interrupts.interruption() as interrupted:
        work = purge.purge(run.queues, wanted, target, run.steps, interrupted)
    told = f", all {work.written} that were chosen are in {target}" if work.written else ""
    run.console.print(f"{plural(work.deleted, 'letter')} deleted{told}", highlight=False, markup=False)
    tables.show_spared(run.console, spared.count, env)
    tables.show_unseen(run.console, work.counts, run.queues)
    if as_json:
        print_json(run.document(interrupted) | json_output.purge_document(work, spared.count))
    left = f"{plural(work.left, 'letter')} in the file and still in the queues" if work.left else None
    run.end(interrupted, work.stopped, left, work.counts.all_unseen)
