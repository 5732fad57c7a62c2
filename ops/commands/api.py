"""`huntaze-stripe api`: the Huntaze API's contract, and a check of a running API against it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from ops.console import confirm, open_console, print_json
from ops.errors import OperatorError

if TYPE_CHECKING:
    from ops.api import probe

KEY_VARIABLE = "HUNTAZE_API_KEY"

app = typer.Typer(no_args_is_help=True, help="The Huntaze API's contract (docs/huntaze-api.md).")


@app.callback()
def group() -> None:
    """The Huntaze API's contract (docs/huntaze-api.md)."""


@app.command()
def check(
    url: Annotated[str, typer.Option("--url", help="Base URL of a test deployment of the API.")],
    key_variable: Annotated[
        str, typer.Option("--key-from-env", metavar="NAME", help="Environment variable with the API key.")
    ] = KEY_VARIABLE,
    path: Annotated[
        list[str] | None, typer.Option("--path", help="Only this path; repeatable. Default: every path.")
    ] = None,
    customer_id: Annotated[
        str, typer.Option("--customer-id", help="Customer to name, where the API takes known ones only.")
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show which paths would be called, and send nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Send made-up events to a test deployment of the API, and tell which promises it keeps.

    Two events of each path and event type are applied there. Exit codes: 0 every promise is kept; 1 one is
    broken, or nothing answers; 2 called wrongly; 130 interrupted (143 by SIGTERM).
    """
    from ops.api import probe

    samples = probe.samples(path or (), customer_id)
    base, key = _address(url), os.environ.get(key_variable, "")
    if not key:
        raise OperatorError(
            f"--key-from-env {key_variable}: the variable is empty; export the API key", usage=True
        )
    console = open_console(as_json=as_json)
    if dry_run:
        console.print(*(f"{one.path}  {one.event_type}" for one in samples), sep="\n", highlight=False)
        return
    confirm(f"Apply {2 * len(samples)} made-up events at {base}?", yes=yes, as_json=as_json)

    def tell(finding: probe.Finding) -> None:
        line = f"{finding.path}  {finding.event_type}  {finding.promise}: {finding.problem or 'kept'}"
        console.print(line, highlight=False, markup=False, soft_wrap=True)

    findings = probe.run(base, key, samples, tell)
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
            f"--url {url!r} {problem}: give one like https://api.example.com", usage=True
        ) from None
