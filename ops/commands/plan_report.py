"""`huntaze-stripe plan-report`, and what `plan` shares with it: a verdict, and whether it fails a job."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ops import DEFAULT_ENVIRONMENT
from ops.commands.options import Json
from ops.console import plural, print_error, print_json, print_line
from ops.errors import OperatorError
from ops.signals import REFUSED

if TYPE_CHECKING:
    from ops.plan_report import Acceptance, Verdict

# What a Markdown link can hold without an escape.
LINK: Final = re.compile(r"https?://[^\s()<>\[\]]+")


class FailOn(StrEnum):
    """What fails a command: the least verdict, or drift."""

    REVIEW = "review"
    DANGER = "danger"
    DRIFT = "drift"


FailOnOption = Annotated[
    FailOn | None,
    typer.Option(
        "--fail-on",
        help="End with exit code 3 if the verdict is this or worse (accepted dangers do not count), or if "
        "others changed AWS since the last apply (drift: a plan that was made without a refresh has none).",
    ),
]
AcceptOption = Annotated[
    Path | None,
    typer.Option(
        "--accept",
        metavar="FILE",
        help="Text with lines `accept-danger: RULE RESOURCE REASON`, such as a pull request's description.",
    ),
]
LinkOption = Annotated[
    str,
    typer.Option("--link", metavar="URL", help="Where the whole report is, for what a comment leaves out."),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="plan-report")(plan_report)


def plan_report(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="PLAN.json", help="What `terraform show -json PLAN` printed.", show_default=False
        ),
    ],
    env: Annotated[
        str,
        typer.Option("--env", metavar="NAME", help="Name for the heading; needs no file in environments/."),
    ] = DEFAULT_ENVIRONMENT,
    fail_on: FailOnOption = None,
    accept: AcceptOption = None,
    link: LinkOption = "",
    whole: Annotated[
        bool, typer.Option("--whole", help="Leave nothing out, however long the report is.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Say what a saved plan would do to events and money: safe, review or danger, and why.

    It reads files alone, no account and no state. It prints Markdown of at most 65,000 bytes for a pull
    request's comment; docs/plan-report.md lists the rules.
    """
    from ops import plan_report as reports

    accepted = acceptances(accept)
    check_link(link)
    verdicts = []
    drifted: list[str] = []
    for file in files:
        document = read_plan(file)
        drifted += reports.drifted(document)
        verdict = reports.assess(document, accepted)
        verdicts.append(verdict)
        if not as_json:
            report = reports.render(document, env, accepted=accepted, link=link, whole=whole)
            for line in report.splitlines():
                print_line(line)
    if as_json:
        documents = [described(each) for each in verdicts]
        print_json([{"file": str(file), **each} for file, each in zip(files, documents, strict=True)])
    fail(verdicts, drifted, fail_on)


def read_plan(file: Path) -> dict[str, Any]:
    """Read a plan in Terraform's JSON form.

    Raises
    ------
    OperatorError
        It can't be read, or is something else.
    """
    from ops import plan_report as reports

    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise OperatorError(f"invalid PLAN.json {file}: {error.strerror}", usage=True) from error
    except (ValueError, RecursionError):
        document = None
    if not reports.is_plan(document):
        raise OperatorError(
            f"invalid PLAN.json {file}: expected what `terraform show -json PLAN` prints", usage=True
        )
    found: dict[str, Any] = document
    return found


def acceptances(file: Path | None) -> tuple[Acceptance, ...]:
    """Read the dangers that a text accepts.

    Raises
    ------
    OperatorError
        The file can't be read.
    """
    from ops import plan_report as reports

    if file is None:
        return ()
    try:
        return reports.acceptances(file.read_text(encoding="utf-8", errors="replace"))
    except OSError as error:
        raise OperatorError(f"invalid --accept {file}: {error.strerror}", usage=True) from error


def check_link(link: str) -> None:
    """Check the address of the whole report.

    Raises
    ------
    OperatorError
        It is not a web address, or would end a Markdown link.
    """
    if link and not LINK.fullmatch(link):
        raise OperatorError(
            f"invalid --link {link!r}: an https address without spaces and brackets", usage=True
        )


def described(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as JSON."""
    return {
        "verdict": verdict.level.word,
        "findings": [
            {
                "rule": each.rule,
                "level": each.level.word,
                "resource": each.hit.address,
                "what": each.hit.what,
                "why": each.hit.why,
                "do": each.hit.do,
                "accepted": each.accepted,
            }
            for each in verdict.findings
        ],
    }


def fail(verdicts: Sequence[Verdict], drifted: Sequence[str], fail_on: FailOn | None) -> None:
    """End the command with exit code 3 if a verdict is as bad as asked, and say what accepts it.

    Parameters
    ----------
    drifted
        The addresses of resources that others changed.
    """
    if fail_on is None:
        return
    if fail_on is FailOn.DRIFT:
        _fail_on_drift(drifted)
        return
    dangers = [each for verdict in verdicts for each in verdict.open_dangers]
    to_review = [each for verdict in verdicts for each in verdict.findings if each not in verdict.dangers]
    if dangers:
        first = dangers[0]
        print_error(
            f"refused: {plural(len(dangers), 'danger')} that nobody accepts; to accept one, write into the "
            f"description of the pull request: accept-danger: {first.rule} {first.hit.address} REASON"
        )
    elif fail_on is FailOn.REVIEW and to_review:
        print_error(f"refused: {len(to_review)} to review")
    else:
        return
    raise typer.Exit(REFUSED)


def _fail_on_drift(drifted: Sequence[str]) -> None:
    if drifted:
        print_error(
            f"drift: {plural(len(drifted), 'resource')} changed in AWS since the last apply, {drifted[0]} "
            "first; a deploy changes them back, or bring the change into the code"
        )
        raise typer.Exit(REFUSED)
