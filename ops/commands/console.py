"""`huntaze-stripe console`: the pipeline in a browser, on this machine."""

from __future__ import annotations

from datetime import UTC, datetime
from threading import Event
from typing import Annotated

import typer

from ops import DEFAULT_ENVIRONMENT, signals, times
from ops.commands.options import Env, Json
from ops.console import open_console, print_json, print_line
from ops.errors import OperatorError


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(console)


def console(
    env: Env = DEFAULT_ENVIRONMENT,
    port: Annotated[int, typer.Option(metavar="PORT", help="Port on 127.0.0.1; a free one by default.")] = 0,
    allow_changes: Annotated[
        bool,
        typer.Option("--allow-changes", help="Allow redrives, replays and purges; each one still asks."),
    ] = False,
    since: Annotated[
        str,
        typer.Option(
            metavar="TIME",
            help="Where the list of events begins: 24h, 7d, or an ISO time in UTC; by default 1h, or 48h on "
            "the embedded AWS. The first look reads each object of the ledger since then.",
        ),
    ] = "",
    as_json: Json = False,
) -> None:
    """Show an environment in the browser: events, dead-letter queues, alarms and costs. Ctrl-C ends it.

    It listens on this machine only, and prints an address that works once, for one browser. Without
    --allow-changes nothing can be changed. docs/console.md shows the pages.
    """
    if not 0 <= port <= 65535:
        raise OperatorError(f"invalid --port {port}: expected 1 to 65535, or leave it out", usage=True)
    first = times.parse_past(since, "--since", datetime.now(UTC)) if since else None
    from ops import environment as environments
    from ops.progress import Steps
    from ops.web import jobs, server, site

    environment = environments.connect(env)
    with Steps(open_console(as_json=as_json)).step(f"draw {env}"):
        opened = site.of(environment, allow_changes=allow_changes, since=first)
    try:
        with server.serving(opened, port) as url:
            if as_json:
                print_json({"environment": env, "url": url, "allow_changes": allow_changes})
            else:
                print_line(f"open {url}")
                print_line("the address works once; Ctrl-C ends the console")
            Event().wait()
    except KeyboardInterrupt:
        # This is how a console ends, not an interrupt: forget the signal.
        signals.raise_exceptions()
    all_jobs = jobs.of(opened)
    for job in all_jobs.unfinished():
        print_line(f"{job.title}: finishing the current step", as_json=as_json)
        all_jobs.wait(job)
        print_line(job.ending, as_json=as_json)
    print_line("stopped", as_json=as_json)
