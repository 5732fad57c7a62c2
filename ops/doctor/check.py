"""What a check is, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum, auto
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ops.doctor.context import Context

# Names in one line of the table; `--json` has all.
SHOWN: Final = 4


class Status(StrEnum):
    """How bad a finding is: fail where events are lost, late or refused, warn where somebody should look."""

    PASS = auto()
    WARN = auto()
    FAIL = auto()


_SEVERITY: Final = (Status.FAIL, Status.WARN, Status.PASS)


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Parameters
    ----------
    text
        What is so, in one line.
    next
        The next command or step; empty where nothing is to do.
    names
        Everything that the text counts or cuts, for `--json`.
    """

    status: Status
    text: str
    next: str = ""
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Check:
    """One row of the table.

    Parameters
    ----------
    look
        Reads what it needs. It may raise `OperatorError` and the errors of AWS, which `run.py` explains.
    """

    name: str
    look: Callable[[Context], Finding]


def passed(text: str) -> Finding:
    """Return that all is well."""
    return Finding(Status.PASS, text)


def warned(text: str, next_step: str = "", names: Sequence[str] = ()) -> Finding:
    """Return that somebody should look."""
    return Finding(Status.WARN, text, next_step, tuple(names))


def failed(text: str, next_step: str = "", names: Sequence[str] = ()) -> Finding:
    """Return that events are lost, late or refused."""
    return Finding(Status.FAIL, text, next_step, tuple(names))


def worst(findings: Iterable[Finding], otherwise: str) -> Finding:
    """Return one finding for several: the worst status, the texts of all, the first next step.

    Parameters
    ----------
    otherwise
        The text if there is none.
    """
    found = sorted(findings, key=lambda each: _SEVERITY.index(each.status))
    if not found:
        return passed(otherwise)
    texts = [each.text for each in found]
    step = next((each.next for each in found if each.next), "")
    return Finding(found[0].status, shortened(texts, "; "), step, tuple(texts))


def shortened(names: Sequence[str], separator: str = ", ") -> str:
    """Return the first names, and how many more there are."""
    more = len(names) - SHOWN
    return separator.join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")
