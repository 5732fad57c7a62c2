"""`huntaze-stripe ledger`: ask the ledger in SQL, or export its deliveries to a file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ops import DEFAULT_ENVIRONMENT, times
from ops.commands.options import Env, Json
from ops.console import open_console, plural, print_error, print_json, print_line
from ops.errors import OperatorError
from ops.progress import Steps

if TYPE_CHECKING:
    from ops.ledger_copy.folder import LedgerCopy

FORMATS: Final = ("jsonl", "csv", "parquet")
# Rows of a table that a person reads; --json and --csv print all.
SHOWN_ROWS: Final = 100
# Keys of damaged objects that are named; the rest is counted.
SHOWN_KEYS: Final = 5
SECONDS: Final = 60.0
LONGEST_SECONDS: Final = 3600.0

Since = Annotated[
    str,
    typer.Option(metavar="TIME", help="What reached the bus since: 48h, 7d or an ISO time in UTC."),
]
Until = Annotated[
    str,
    typer.Option(metavar="TIME", help="What reached the bus before: 2h or an ISO time in UTC; 0m is now."),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Ask the ledger in S3 in SQL, or export it to a file.")
    for command in (query, export):
        group.command()(command)
    app.add_typer(group, name="ledger")


def query(
    statement: Annotated[str, typer.Argument(metavar="SQL", help="One statement that reads, in quotes.")],
    env: Env = DEFAULT_ENVIRONMENT,
    since: Since = "48h",
    until: Until = "0m",
    timeout: Annotated[
        float,
        typer.Option(
            metavar="SECONDS", min=1, max=LONGEST_SECONDS, help="End a statement that takes longer."
        ),
    ] = SECONDS,
    as_json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV to standard output, all rows.")] = False,
) -> None:
    """Run SQL over a local copy of the ledger in S3, which is fetched and kept below build/ledger.

    The view deliveries has one row for each delivery: received_at, time, event_id, event_type, object_id,
    customer_id, api_version, livemode, account, delivery_id, replayed, envelope. The view events has one row
    for each event, its thin twin joined: event_id, event_type, thin_event_id, first_time, last_time,
    deliveries, replays, and the columns of its first delivery. Times are UTC. envelope is JSON:
    envelope->>'$.detail.data.object.amount'. The SQL is DuckDB's; it can read the two views and nothing else.

    For example: huntaze-stripe ledger query "SELECT event_type, count(*) FROM events GROUP BY ALL ORDER BY
    ALL" --since 7d

    A table shows 100 rows; --json and --csv print all. The rows are as Stripe sent them: they may hold
    personal data. docs/ledger.md has the columns and more examples.
    """
    if as_json and as_csv:
        raise OperatorError("--json and --csv exclude each other: use one of them", usage=True)
    quiet = as_json or as_csv
    now = datetime.now(UTC)
    first, last = _window(since, until, now)
    from ops.ledger_copy import output, session

    session.check(statement)
    copy = _refreshed(env, first, last, Steps(open_console(as_json=quiet)), quiet=quiet)
    with session.opened(copy, first, last, timeout) as opened:
        columns = opened.execute(statement)
        if as_json:
            output.print_rows_as_json(columns, opened.rows())
        elif as_csv:
            output.print_rows_as_csv(columns, opened.rows())
        else:
            output.print_rows(open_console(), columns, opened.rows(), SHOWN_ROWS)


def export(
    since: Since,
    until: Until = "0m",
    env: Env = DEFAULT_ENVIRONMENT,
    form: Annotated[
        str,
        typer.Option(
            "--format", metavar="FORMAT", help=f"{', '.join(FORMATS)}.", autocompletion=lambda: FORMATS
        ),
    ] = "jsonl",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", metavar="FILE", help="The file; default build/exports/ledger-ENV-SINCE-UNTIL.FORMAT."
        ),
    ] = None,
    reveal: Annotated[
        bool, typer.Option("--reveal", help="Write envelopes as Stripe sent them, personal data included.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    as_json: Json = False,
) -> None:
    """Write the ledger's deliveries of a window to one file that only you can read, in order of time.

    The columns are those of the view deliveries of `ledger query`. In envelopes, what may be personal is ***
    unless you add --reveal, as in `dlq show`.
    """
    if form not in FORMATS:
        raise OperatorError(f"invalid --format {form!r}: expected {', '.join(FORMATS)}", usage=True)
    now = datetime.now(UTC).replace(microsecond=0)
    first, last = _window(since, until, now)
    from ops.ledger_copy import export as exports

    file = output or exports.default_file(env, first, last, form)
    exports.check(file, force=force)
    steps = Steps(open_console(as_json=as_json))
    copy = _refreshed(env, first, last, steps, quiet=as_json)
    with steps.step("write the file") as step:
        count = exports.write(copy, first, last, file, form, step, reveal=reveal, force=force)
        step.note = plural(count, "row")
    ids = "personal data" if reveal else "ids of customers and no other personal data"
    deliveries = "1 delivery" if count == 1 else f"{count} deliveries"
    print_line(f"wrote {deliveries} to {file}, which holds {ids}", as_json=as_json)
    if as_json:
        window = {"since": times.stamp(first), "until": times.stamp(last)}
        print_json({**window, "deliveries": count, "revealed": reveal, "file": str(file)})


def _window(since: str, until: str, now: datetime) -> tuple[datetime, datetime]:
    first, last = times.parse_time(since, "--since", now), times.parse_time(until, "--until", now)
    if last <= first:
        raise OperatorError(
            f"the window ends ({times.format_time(last)}) before it begins ({times.format_time(first)}): "
            "correct --since or --until",
            usage=True,
        )
    return first, last


def _refreshed(env: str, since: datetime, until: datetime, steps: Steps, *, quiet: bool) -> LedgerCopy:
    """Make the copy equal to the bucket, and say what could not be read and where personal data is."""
    from ops import environment as environments
    from ops.ledger_copy import folder
    from ops.ledger_copy.refresh import refresh

    environment = environments.connect(env, bus=False)
    copy = folder.of(environment.name, environment.account_id)
    with steps.step("fetch the ledger") as step:
        done = refresh(copy, environment, since, until, step)
        step.note = f"{plural(done.fetched, 'object')} fetched, {done.kept} in the copy"
    for line in _lacking(done.damaged, done.frozen):
        print_error(line)
    shown = folder.shown(copy.folder)
    print_line(f"the copy in {shown} holds personal data: remove it with rm -r {shown}", as_json=quiet)
    return copy


def _lacking(damaged: dict[str, int], frozen: int) -> list[str]:
    lines = [
        f"{key}: {plural(count, 'line')} can't be read" if count else f"{key} can't be read"
        for key, count in list(damaged.items())[:SHOWN_KEYS]
    ]
    if more := len(damaged) - SHOWN_KEYS:
        lines += [f"{plural(more, 'more object')} can't be read whole"] if more > 0 else []
    if frozen:
        lines.append(f"{plural(frozen, 'object')} in Glacier: restore them to read them")
    return lines
