"""The options that several commands share, each declared once."""

from collections.abc import Sequence
from typing import Annotated

import typer

from functions.shared import names
from ops.errors import OperatorError, did_you_mean
from ops.local.variants import VARIANTS


def _environments() -> tuple[str, ...]:
    from infra.settings.loading import environments

    return environments()


Env = Annotated[
    str,
    typer.Option(
        "--env",
        metavar="NAME",
        help="Environment: the name of a file in environments/.",
        autocompletion=_environments,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON to standard output, and the rest to stderr.")]
Until = Annotated[str, typer.Option(metavar="TIME", help="End of the window, at least 10 minutes ago.")]
EventTypes = Annotated[
    list[str] | None, typer.Option("--type", metavar="TYPE", help="Only this event type; repeatable.")
]
Account = Annotated[
    str | None,
    typer.Option("--account", metavar="ID", help="Id of a connected account of Stripe Connect."),
]
Yes = Annotated[bool, typer.Option("--yes", help="Skip the confirmation.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would happen, and change nothing.")]
Variant = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help=f"Deploy dev with more than its defaults: {', '.join(VARIANTS)}.",
        autocompletion=lambda: list(VARIANTS),
    ),
]


def known_variant(name: str) -> str:
    """Return a value of --variant.

    Raises
    ------
    OperatorError
        The name is not one of VARIANTS.
    """
    if name not in VARIANTS:
        raise OperatorError(f"invalid --variant {name!r}: expected {', '.join(VARIANTS)}", usage=True)
    return name


def known_types(types: Sequence[str]) -> tuple[str, ...]:
    """Return values of --type.

    Raises
    ------
    OperatorError
        Stripe has no such event type.
    """
    from infra.patterns import stripe_event_types

    known = stripe_event_types()
    for event_type in types:
        if event_type.removeprefix(names.THIN_PREFIX) not in known:
            advice = did_you_mean(event_type, known, "expected one of Stripe's event types")
            raise OperatorError(f"invalid --type {event_type!r}: {advice}", usage=True)
    return tuple(types)
