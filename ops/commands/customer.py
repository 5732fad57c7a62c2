"""`huntaze-stripe customer`: export or erase the personal data of one customer."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ops import DEFAULT_ENVIRONMENT, times
from ops.commands.options import DryRun, Env, Json, Yes
from ops.console import open_console, plural, print_error, print_json, print_line, require_terminal
from ops.errors import OperatorError
from ops.progress import Steps

if TYPE_CHECKING:
    from ops.customer.holdings import Holdings
    from ops.environment import Environment

Customer = Annotated[
    str, typer.Argument(metavar="CUSTOMER", help="The customer's id at Stripe, such as cus_NffrFeUfNV2Hib.")
]
Since = Annotated[
    str,
    typer.Option(
        metavar="TIME",
        help="Read no object of the ledger from before: an ISO time in UTC, or 90d. Default: read all.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Export or erase the personal data of one customer.")
    for command in (export, erase):
        group.command()(command)
    app.add_typer(group, name="customer")


def export(
    customer: Customer,
    env: Env = DEFAULT_ENVIRONMENT,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help="The file; default build/customers/ENV-CUSTOMER.json."),
    ] = None,
    since: Since = "",
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    as_json: Json = False,
) -> None:
    """Write everything held about a customer to one JSON file that only you can read.

    It reads the ledger in S3, all versions included, and in PostgreSQL, the dead-letter queues and the
    idempotency table, and changes none of them. It fails if something could not be read; the file then says
    what.
    """
    _check(customer)
    from ops.customer import export as exports

    file = output or exports.default_file(env, customer)
    from ops import environment as environments

    exports.check(file, force=force)
    steps = Steps(open_console(as_json=as_json))
    now = datetime.now(UTC)
    found = _find(customer, environments.connect(env, bus=False), since, now, steps)
    exports.write(file, exports.document(found, now), force=force)
    if found.events:
        done = f"wrote {plural(found.events, 'event')} of {customer} to {file}, which holds personal data"
    else:
        done = f"no store holds an event of {customer}, as {file} says"
    print_line(done, as_json=as_json)
    if as_json:
        print_json(exports.summary(found) | {"file": str(file)})
    if lacking := exports.missing(found):
        raise _refused("the file is not complete", lacking)


def erase(
    customer: Customer,
    reason: Annotated[
        str, typer.Option(metavar="TEXT", help="Why, without personal data; recorded in the ledger's bucket.")
    ],
    env: Env = DEFAULT_ENVIRONMENT,
    since: Since = "",
    parked: Annotated[
        str,
        typer.Option(
            metavar="purge", help="`purge` also deletes the customer's messages from the dead-letter queues."
        ),
    ] = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Erase a customer's personal values; ids, times and amounts stay.

    It rewrites the ledger's objects and deletes their former versions, and replaces the payloads of rows.
    Nothing is applied twice afterwards, and nothing is found missing. It refuses before any change if a lock
    forbids a part, or if messages of the customer wait in a dead-letter queue.

    It shows what it would change and asks for the customer's id. An interrupted run can be repeated.
    """
    _check(customer)
    if not reason.strip():
        raise OperatorError("invalid --reason '': write why the customer is erased", usage=True)
    if parked not in ("", "purge"):
        raise OperatorError(f"invalid --parked {parked!r}: expected purge", usage=True)
    require_terminal(as_json=as_json, yes=yes, dry_run=dry_run)
    from ops import environment as environments
    from ops.customer import erasure
    from ops.customer import plan as plans
    from ops.customer.exclusive import exclusive

    console = open_console(as_json=as_json)
    steps = Steps(console)
    now = datetime.now(UTC)
    environment = environments.connect(env, bus=False)
    with nullcontext() if dry_run else exclusive(environment) as held:
        found = _find(customer, environment, since, now, steps)
        plan = plans.make(found, now, purges=parked == "purge", steps=steps)
        if not plan.empty:
            plan.show(console)
        if plan.problems:
            raise _refused("nothing was changed", plan.problems)
        document = {"dry_run": dry_run, **plan.document(), "record": None}
        if held is None:
            print_line("dry run: nothing was changed", as_json=as_json)
        elif plan.empty:
            print_line(f"nothing to erase: no store holds a personal value of {customer}", as_json=as_json)
        else:
            plan.ask(yes=yes, as_json=as_json)
            held.check()
            document["record"] = erasure.run(plan, reason.strip(), steps)
            print_line(f"erased; who, when and why is in {document['record']}", as_json=as_json)
    if as_json:
        print_json(document)


def _refused(what: str, reasons: list[str]) -> OperatorError:
    """Return the error with its reason; several are printed first, each on its line."""
    if len(reasons) == 1:
        return OperatorError(f"{what}: {reasons[0]}")
    for reason in reasons:
        print_error(reason)
    return OperatorError(f"{what}, for the {len(reasons)} reasons above")


def _check(customer: str) -> None:
    from functions.shared import names

    if not names.STRIPE_ID.fullmatch(customer):
        raise OperatorError(
            f"invalid customer {customer!r}: expected the id of a Stripe customer such as cus_NffrFeUfNV2Hib",
            usage=True,
        )


def _find(customer: str, environment: Environment, since: str, now: datetime, steps: Steps) -> Holdings:
    from ops.customer import holdings

    first = times.parse_past(since, "--since", now) if since else None
    return holdings.find(environment, customer, first, steps)
