"""`huntaze-stripe verify`: the acceptance test of a deployment in Stripe's test mode."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from ops import DEFAULT_ENVIRONMENT
from ops.commands.options import Account, Env, Json
from ops.console import open_console, print_json
from ops.errors import OperatorError
from ops.progress import Steps
from ops.signals import FAILED

DEADLINE_SECONDS: Final = 300


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(verify)


def verify(
    env: Env = DEFAULT_ENVIRONMENT,
    ping: Annotated[
        bool,
        typer.Option(
            "--ping",
            help="Only let Stripe send its ping through the event destination, and follow it to the ledger.",
        ),
    ] = False,
    account: Account = None,
    deadline: Annotated[
        int,
        typer.Option(
            metavar="SECONDS",
            min=1,
            help="How long to wait for the events of the objects, and again for those of their removal.",
        ),
    ] = DEADLINE_SECONDS,
    as_json: Json = False,
) -> None:
    """Prove a deployment: create objects in Stripe's test mode, and follow their events to the end.

    It creates a customer, a subscription with a paid invoice, a failed payment and a change of the
    subscription, follows each event through logs, idempotency table and ledger, removes everything, and
    follows those events too. The Huntaze API of the environment gets the calls. It fails if an event did
    not reach its end.

    It needs a STRIPE_SECRET_KEY of test mode that may write customers, products, subscriptions and payment
    intents, and read events; with --ping, one that may write event destinations.
    """
    from ops import environment as environments
    from ops import reconciliation
    from ops.local.report import events_table
    from ops.verify import report, run

    if ping and account is not None:
        raise OperatorError("--ping and --account exclude each other: use one of them", usage=True)
    environment = environments.connect(env)
    if environment.settings.livemode:
        raise OperatorError(
            f"{env} handles live events (livemode = true), and verify works in Stripe's test mode only: use "
            "an environment of test mode",
            usage=True,
        )
    api = reconciliation.stripe(environment, account)
    console = open_console(as_json=as_json)
    steps = Steps(console)
    if ping:
        found = run.ping(environment, api, deadline, steps)
    else:
        found = run.verify(environment, api, account, deadline, steps)
    if as_json:
        print_json(report.document(env, found))
    else:
        console.print(events_table(found.rows))
    for line in report.next_steps(env, found):
        console.print(line, soft_wrap=True)
    console.print(report.verdict(found), style="green" if found.passed else "bold red", soft_wrap=True)
    if not found.passed:
        raise typer.Exit(FAILED)
