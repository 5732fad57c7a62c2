"""`huntaze-stripe doctor`: whether an environment can do its work, and what to do where it can't."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import typer

from ops import DEFAULT_ENVIRONMENT
from ops.commands.options import Env, Json
from ops.console import PlainTable, open_console, print_json, styled
from ops.progress import Steps
from ops.signals import FAILED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from ops.doctor.run import Result

STYLES: Final = {"pass": "green", "warn": "yellow", "fail": "red"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(doctor)


def doctor(env: Env = DEFAULT_ENVIRONMENT, as_json: Json = False) -> None:
    """Check an environment from Stripe's event destination to the ledger, and say what to do next.

    It reads and changes nothing; the only call that could, to the Huntaze API, sends an event that the
    API must refuse. A check that your rights do not allow is a warning that names the right. It fails if
    a check fails.
    """
    from ops import environment as environments
    from ops.doctor.check import Status
    from ops.doctor.context import Context
    from ops.doctor.run import run

    environment = environments.connect(env, bus=False, check_account=False)
    console = open_console(as_json=as_json)
    with Steps(console).step(f"check {env}") as step:
        found = run(Context(environment, datetime.now(UTC)), step.advance_to)
        step.note = _summary(found)
    if as_json:
        print_json({"environment": env, "checks": [_document(each) for each in found]})
    else:
        _show(console, found)
    if any(each.finding.status is Status.FAIL for each in found):
        raise typer.Exit(FAILED)


def _show(console: Console, found: Sequence[Result]) -> None:
    table = PlainTable("Check", "Result", "Found", text=("Found",))
    for each in found:
        status = each.finding.status.value
        table.add_row(each.check.name, styled(status, STYLES[status]), each.finding.text)
    console.print(table)
    for each in found:
        if each.finding.next:
            # To copy, whatever the terminal's width.
            console.print(f"next for {each.check.name}: {each.finding.next}", soft_wrap=True)


def _summary(found: Sequence[Result]) -> str:
    counts = Counter(each.finding.status.value for each in found)
    return ", ".join(f"{counts[status]} {status}" for status in STYLES if counts[status])


def _document(result: Result) -> dict[str, Any]:
    finding = result.finding
    return {
        "check": result.check.name,
        "status": finding.status.value,
        "found": finding.text,
        "next": finding.next or None,
        "names": list(finding.names),
    }
