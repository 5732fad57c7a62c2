"""`huntaze-stripe chaos`: let everything fail on an embedded AWS, and judge what became of the events."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

FAILED = 1


def command(console: Console, seed: int, events: int, only: str) -> None:
    """Run the suite; exit 1 where a promise was broken."""
    from ops.chaos.run import Options, run

    names = tuple(name.strip() for name in only.split(",") if name.strip())
    if not run(Options(seed, events, names), console).passed:
        raise typer.Exit(FAILED)


Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same events and the same faults.")]
Events = Annotated[int, typer.Option(help="Deliveries of all phases together.")]
Only = Annotated[str, typer.Option(help="Play these phases only, names with commas between.")]
