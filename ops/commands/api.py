"""`huntaze-stripe api`: check a running Huntaze API against its contract."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ops.commands.options import DryRun, Json, Yes
from ops.console import confirm, open_console, print_json, styled
from ops.errors import OperatorError

if TYPE_CHECKING:
    from ops.api import probe

KEY_VARIABLE: Final = "HUNTAZE_API_KEY"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Check a Huntaze API (docs/huntaze-api.md).")
    group.callback()(lambda: None)
    group.command()(check)
    app.add_typer(group, name="api")


def check(
    url: Annotated[
        str, typer.Option("--url", metavar="URL", help="Base URL of a test deployment of the API.")
    ],
    key_variable: Annotated[
        str,
        typer.Option("--key-from-env", metavar="NAME", help="Environment variable that holds the API key."),
    ] = KEY_VARIABLE,
    path: Annotated[
        list[str] | None,
        typer.Option("--path", metavar="PATH", help="Only this path; repeatable. Default: every path."),
    ] = None,
    customer_id: Annotated[
        str,
        typer.Option(
            "--customer-id", metavar="ID", help="Customer to send, if the API accepts known ones only."
        ),
    ] = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Send made-up events to a test deployment of the API, and report which promises it keeps.

    The API applies two events of each path and event type.
    """
    from ops.api import probe

    samples = probe.samples(path or (), customer_id)
    base, key = _address(url), os.environ.get(key_variable, "")
    if not key:
        raise OperatorError(
            f"invalid --key-from-env {key_variable}: the variable is empty; export the API key in it",
            usage=True,
        )
    console = open_console(as_json=as_json)
    if dry_run:
        console.print(*(f"{one.path}  {one.event_type}" for one in samples), sep="\n")
        return
    confirm(f"Apply {2 * len(samples)} made-up events at {base}?", yes=yes, as_json=as_json)

    def print_finding(finding: probe.PromiseCheck) -> None:
        line = f"{finding.path}  {finding.event_type}  {finding.promise}: {finding.problem or 'kept'}"
        console.print(styled(line, "red" if finding.problem else "green"), soft_wrap=True)

    findings = probe.run(base, key, samples, print_finding)
    if as_json:
        print_json([finding.as_json() for finding in findings])
    broken = sum(bool(finding.problem) for finding in findings)
    if broken:
        raise OperatorError(f"{broken} of {len(findings)} promises broken: read docs/huntaze-api.md")


def _address(url: str) -> str:
    from pydantic import TypeAdapter, ValidationError

    from infra.settings.checks import ApiUrl

    try:
        return TypeAdapter(ApiUrl).validate_python(url)
    except ValidationError as error:
        problem = str(error.errors()[0]["ctx"]["error"])
        raise OperatorError(
            f"invalid --url {url!r}: it {problem}; use for example https://api.example.com", usage=True
        ) from None
