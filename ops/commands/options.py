"""The options that several commands share, each declared once."""

from typing import Annotated

import typer

Env = Annotated[
    str,
    typer.Option("--env", metavar="NAME", help="Environment: the name of a file in environments/."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON to standard output, and the rest to stderr.")]
Yes = Annotated[bool, typer.Option("--yes", help="Skip the confirmation.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would happen, and change nothing.")]
