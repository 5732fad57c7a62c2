"""`huntaze-stripe destination`: the event destination at Stripe that feeds an environment."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ops import DEFAULT_ENVIRONMENT
from ops.commands.options import DryRun, Env, Json, Yes
from ops.console import (
    confirm,
    confirm_by_typing,
    open_console,
    plural,
    print_json,
    print_line,
    require_terminal,
)
from ops.errors import OperatorError
from ops.progress import Steps
from ops.signals import FAILED

if TYPE_CHECKING:
    from ops.destination.api import Destination
    from ops.destination.session import Session

VARIABLE: Final = "STRIPE_EVENT_SOURCE_NAME"
HELP: Final = """Create and change the event destination at Stripe that feeds an environment.

Export STRIPE_SECRET_KEY with a key that may write event destinations; the key in the environment's
secret reads only. The key's mode must be that of livemode. Unset it afterwards: deploy and secrets push
store what is exported."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help=HELP)
    for command in (create, status, update, enable, disable, ping, delete):
        group.command()(command)
    app.add_typer(group, name="destination")


def create(
    env: Env = DEFAULT_ENVIRONMENT,
    api_version: Annotated[
        str,
        typer.Option(
            metavar="VERSION",
            help="Stripe's API version of the events, which never changes afterwards. Default: that of the "
            "locked stripe library.",
        ),
    ] = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Create the event destination, and write its event source into the environment's file.

    It subscribes to the event types of the routing table and of ledger_event_types, in the AWS account
    and region of the environment, and waits until AWS has the event source. With reconcile_accounts it sends
    the events of connected accounts, too, which nothing changes afterwards. If the environment has its
    destination already, it only does what is left to do. Deploy within 7 days, or Amazon deletes the
    event source.
    """
    require_terminal(as_json=as_json, yes=yes, dry_run=dry_run)
    from ops.destination import event_source, report, settings_file
    from ops.destination.api import ACCOUNTS, DELETED, current_api_version
    from ops.destination.session import begin

    session = begin(env, needed=False)
    console = open_console(as_json=as_json)
    steps, found, wanted = Steps(console), session.found, session.wanted
    path = settings_file.path_of(env)
    before = settings_file.written(path)
    if found is None:
        version = api_version or current_api_version()
        types = len(wanted.event_types(wanted.payload))
        whose = ", also of connected accounts" if ACCOUNTS in wanted.events_from else ""
        console.print(
            f"{wanted.name}: account {wanted.account_id}, region {wanted.region}, "
            f"{'live' if wanted.livemode else 'test'} mode, {plural(types, 'event type')}, "
            f"{wanted.payload} events of API version {version}{whose}",
            soft_wrap=True,
        )
        if dry_run:
            console.print("dry run: the destination would be created")
            return
        replaced = f" In {path.name} it replaces {before}." if before else ""
        confirm(f"Create this event destination at Stripe?{replaced}", yes=yes, as_json=as_json)
        found = session.create(version)
    elif found.source_status == DELETED:
        raise OperatorError(
            f"the event source of {found.id} was deleted: run `huntaze-stripe destination delete --env "
            f"{env}`, then create it again"
        )
    elif dry_run:
        console.print(f"dry run: {found.id} exists", soft_wrap=True)
        return
    found = event_source.named(session.api, found, steps)
    if before != found.source_name:
        settings_file.write(path, found.source_name)
    _warn_of_override(found)
    state = event_source.wait(session.environment, found.source_name, steps)
    if as_json:
        print_json(report.document(session, found) | {"aws_event_source_state": state, "file": str(path)})
    print_line(f"{found.id}: {found.source_name}, in environments/{path.name}", as_json=as_json)
    if state == event_source.PENDING:
        print_line(
            f"next: `make deploy ENV={env}` within {event_source.DAYS_TO_ASSOCIATE} days; what Stripe "
            "sends before "
            "is lost at the bus. Do not click Associate with event bus in the AWS console",
            as_json=as_json,
        )


def status(env: Env = DEFAULT_ENVIRONMENT, as_json: Json = False) -> None:
    """Show the event destination, and how its event types differ from the wanted ones.

    It fails if the destination is disabled, lacks a type, or lacks the events of connected accounts that
    reconcile_accounts compares.
    """
    from ops.destination import report, wanted
    from ops.destination.session import begin

    session = begin(env)
    found, differs = session.its_own, session.difference
    if as_json:
        print_json(report.document(session, found))
    else:
        report.show(open_console(), session, found)
    if not found.enabled or differs.missing or wanted.missing_sources(found, session.wanted):
        raise typer.Exit(FAILED)


def update(
    env: Env = DEFAULT_ENVIRONMENT, dry_run: DryRun = False, yes: Yes = False, as_json: Json = False
) -> None:
    """Subscribe to the types of the routing table and of ledger_event_types, after showing what changes.

    Add a type here before you deploy its row of the routing table; take one out after the deploy.
    """
    require_terminal(as_json=as_json, yes=yes, dry_run=dry_run)
    from ops.destination import report
    from ops.destination.session import begin

    session = begin(env)
    found, differs = session.its_own, session.difference
    console = open_console(as_json=as_json)
    unchangeable = session.unchangeable(found)
    for line in (*report.changes(differs), *unchangeable):
        console.print(line, soft_wrap=True)
    if dry_run:
        _print_unchanged(session, found, as_json=as_json)
        return
    if not differs:
        nothing = "has nothing that an update can change" if unchangeable else "needs no change"
        print_line(f"{found.id} {nothing}", as_json=as_json)
    else:
        confirm(f"Update {found.id}?", yes=yes, as_json=as_json)
        found = session.update()
        print_line(f"{found.id}: {plural(len(found.event_types), 'event type')}", as_json=as_json)
    if as_json:
        print_json(report.document(session, found))


def enable(env: Env = DEFAULT_ENVIRONMENT, as_json: Json = False) -> None:
    """Let Stripe send events to the destination.

    Events from before are not sent: run `reconcile --heal` for the time in which it was disabled.
    """
    from ops.destination import report
    from ops.destination.session import begin

    session = begin(env)
    found = session.enable()
    print_line(f"{found.id} is {found.status}", as_json=as_json)
    print_line(
        f"next: `huntaze-stripe reconcile --env {env} --heal --since TIME` for the time without it",
        as_json=as_json,
    )
    if as_json:
        print_json(report.document(session, found))


def disable(
    env: Env = DEFAULT_ENVIRONMENT, dry_run: DryRun = False, yes: Yes = False, as_json: Json = False
) -> None:
    """Let Stripe send no more events to the destination.

    Stripe drops what happens meanwhile and never sends it again. Stripe lists it for 30 days: `reconcile
    --heal`. To stop a handler without losing events, use `pause`.
    """
    require_terminal(as_json=as_json, yes=yes, dry_run=dry_run)
    from ops.destination import report
    from ops.destination.session import begin

    session = begin(env)
    if dry_run:
        _print_unchanged(session, session.its_own, as_json=as_json)
        return
    confirm(
        f"Disable {session.its_own.id}? Stripe drops each event until you enable it, and never sends it "
        "again (`reconcile --heal` fetches those of the last 30 days).",
        yes=yes,
        as_json=as_json,
    )
    found = session.disable()
    print_line(
        f"{found.id} is {found.status}: `huntaze-stripe destination enable --env {env}`", as_json=as_json
    )
    if as_json:
        print_json(report.document(session, found))


def ping(env: Env = DEFAULT_ENVIRONMENT, as_json: Json = False) -> None:
    """Let Stripe send a ping through the whole path: bus, audit rule, queue and ledger.

    It fails if the destination is disabled, because nothing would arrive.
    """
    from ops.destination.session import begin

    session = begin(env)
    found = session.its_own
    if not found.enabled:
        raise OperatorError(
            f"{found.id} is disabled ({found.why}): run `huntaze-stripe destination enable --env {env}` first"
        )
    event_id = session.api.ping(found.id)
    print_line(f"Stripe sent {event_id} to {found.source_name}", as_json=as_json)
    if as_json:
        print_json({"destination": found.id, "event_id": event_id})


def delete(
    env: Env = DEFAULT_ENVIRONMENT, dry_run: DryRun = False, yes: Yes = False, as_json: Json = False
) -> None:
    """Delete the event destination and its event source, which nobody can undo.

    Bus, archive, queues and ledger stay, and get no more events. A new destination has another event
    source, so that the next deploy makes a new bus and a new archive: docs/operations.md, "A new event
    source".
    """
    require_terminal(as_json=as_json, yes=yes, dry_run=dry_run)
    from ops.destination.session import begin

    session = begin(env)
    found = session.its_own
    open_console(as_json=as_json).print(
        f"{found.id} feeds {found.source_name or env}. Its event source goes with it: what Stripe sends "
        "afterwards is lost, and a new destination needs a new bus and a new archive.",
        soft_wrap=True,
    )
    if dry_run:
        _print_unchanged(session, found, as_json=as_json)
        return
    confirm_by_typing(f"To delete it, type {found.id}", found.id, yes=yes, as_json=as_json)
    session.api.delete(found.id)
    print_line(f"{found.id} is deleted", as_json=as_json)
    if as_json:
        print_json({"destination": found.id, "deleted": True})


def _print_unchanged(session: Session, found: Destination, *, as_json: bool) -> None:
    from ops.destination import report

    print_line(f"dry run: {found.id} was not changed", as_json=as_json)
    if as_json:
        print_json(report.document(session, found) | {"dry_run": True})


def _warn_of_override(found: Destination) -> None:
    exported = os.environ.get(VARIABLE, "")
    if exported and exported != found.source_name:
        print_line(f"warning: the exported {VARIABLE}={exported} wins over the file: unset it", as_json=True)
