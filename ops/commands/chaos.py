"""`huntaze-stripe chaos`: let everything fail on an embedded AWS, and judge what became of the events."""

from __future__ import annotations

from typing import Annotated

import typer

from ops.console import open_console, print_json

FAILED = 1


def chaos(
    seed: Annotated[
        int, typer.Option(min=0, help="The same seed gives the same events and the same faults.")
    ] = 1,
    events: Annotated[int, typer.Option(help="Deliveries of all phases together.")] = 2000,
    examples: Annotated[int, typer.Option(min=0, help="Envelopes of the fuzzing; 0 leaves it out.")] = 20_000,
    only: Annotated[str, typer.Option(help="Play these phases only, names with commas between.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON for programs.")] = False,
) -> None:
    """Let every part fail in phases on an embedded AWS, and judge what became of each event.

    Writes build/chaos/report.json. Exit codes: 0 every promise was kept; 1 one was broken, or a step
    failed; 2 called wrongly.
    """
    from ops.chaos.run import Options, run

    names = tuple(name.strip() for name in only.split(",") if name.strip())
    report = run(Options(seed, events, examples, names), open_console(as_json=as_json))
    if as_json:
        print_json(report.as_json())
    if not report.passed:
        raise typer.Exit(FAILED)
