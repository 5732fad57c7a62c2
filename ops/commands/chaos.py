"""`huntaze-stripe chaos`: failures of every part on an embedded AWS, and what became of each event."""

from __future__ import annotations

from typing import Annotated

import typer

from ops.commands.options import Json, Variant, known_variant
from ops.console import open_console, print_json
from ops.local.variants import DEFAULT
from ops.signals import FAILED


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(chaos)


def chaos(
    seed: Annotated[
        int, typer.Option(min=0, metavar="N", help="The same seed makes the same events and faults.")
    ] = 1,
    deliveries: Annotated[
        int, typer.Option(metavar="N", help="Deliveries of events in all phases together.")
    ] = 2000,
    events: Annotated[int | None, typer.Option(hidden=True, help="The former name of --deliveries.")] = None,
    examples: Annotated[
        int, typer.Option(min=0, metavar="N", help="Fuzzed envelopes; 0 skips fuzzing.")
    ] = 20_000,
    only: Annotated[
        str, typer.Option(metavar="PHASES", help="Run these phases only, separated by commas.")
    ] = "",
    variant: Variant = DEFAULT,
    as_json: Json = False,
) -> None:
    """Inject failures in phases on an embedded AWS and verify what became of every event.

    It fails if a promise is broken. The report is written to build/chaos/report.json.
    """
    from ops.chaos.run import ChaosOptions, run

    names = tuple(name.strip() for name in only.split(",") if name.strip())
    report = run(
        ChaosOptions(seed, deliveries if events is None else events, examples, names, known_variant(variant)),
        open_console(as_json=as_json),
    )
    if as_json:
        print_json(report.as_json())
    if not report.passed:
        raise typer.Exit(FAILED)
