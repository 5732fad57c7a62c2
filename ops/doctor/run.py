"""Make all checks at once; one that can't be made says why."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from json import JSONDecodeError
from typing import Final

from ops.destination.api import DeniedByStripeError
from ops.doctor.check import Check, Finding, Status, failed, warned
from ops.doctor.checks import CHECKS, FIRST
from ops.doctor.context import Context
from ops.environment import aws_errors
from ops.errors import DeniedError, OperatorError

# Most checks wait for AWS.
AT_ONCE: Final = 8


@dataclass(frozen=True)
class Result:
    """A check and what it found."""

    check: Check
    finding: Finding


def run(
    context: Context,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
    checks: Sequence[Check] = CHECKS,
) -> list[Result]:
    """Make all checks, and return what they found in their order.

    Parameters
    ----------
    progress
        Called with how many are done, and how many there are.
    """
    first = list(_until_failed(context))
    broken = next((each for each in first if each.finding.status is Status.FAIL), None)
    total = len(FIRST) + len(checks)
    if broken is not None:
        why = f"not checked: {broken.finding.text}"
        made = {each.check.name for each in first}
        skipped = [check for check in (*FIRST, *checks) if check.name not in made]
        return [*first, *(Result(check, warned(why, broken.finding.next)) for check in skipped)]
    found: dict[str, Finding] = {}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        running = {pool.submit(made_by, check, context): check for check in checks}
        for done in as_completed(running):
            found[running[done].name] = done.result()
            progress(len(first) + len(found), total)
    return [*first, *(Result(check, found[check.name]) for check in checks)]


def made_by(check: Check, context: Context) -> Finding:
    """Return what a check found, or why it could not be made: a missing right is a warning."""
    try:
        with aws_errors(f"what {check.name} needs"):
            return check.look(context)
    except DeniedError as error:
        return warned(f"not checked: needs {error.needed}", "docs/permissions.md has the rights of doctor")
    except DeniedByStripeError as error:
        return warned(f"not checked: {error}", "let the key read event destinations")
    except OperatorError as error:
        return failed(*_split(str(error)))
    except ValueError as error:
        # Only what a parser of JSON says quotes no value.
        why = str(error) if isinstance(error, JSONDecodeError) else type(error).__name__
        return failed(
            f"what AWS has for {check.name} is not the JSON that it documents ({why})", context.deploy
        )


def _until_failed(context: Context) -> Iterator[Result]:
    for check in FIRST:
        result = Result(check, made_by(check, context))
        yield result
        if result.finding.status is Status.FAIL:
            return


def _split(message: str) -> tuple[str, str]:
    """Split the line of an error into what is wrong and what to do."""
    # What AWS says stands in brackets, has colons of its own, and is followed by no step.
    if message.endswith(")"):
        return message, ""
    problem, colon, step = message.rpartition(": ")
    return (problem, step) if colon else (message, "")
