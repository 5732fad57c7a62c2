"""What the handlers did with an event: their attempts, and their calls of the Huntaze API, by their log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from functions.shared import names
from ops.function_log import LogLine
from ops.verify.log_lines import ENDS

START: Final = "platform.start"
REPORT: Final = "platform.report"
# What each line of Powertools repeats about its function.
_OF_FUNCTION: Final = frozenset(
    {
        *("location", "service", "cold_start", "function_name", "function_memory_size", "function_arn"),
        *("function_request_id", "correlation_id", "xray_trace_id", "timestamp"),
    }
)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run of a handler for the event.

    Parameters
    ----------
    start
        When it began, in Unix seconds, as far as the log says.
    end
        The handler's last line about it, else None: Lambda cut it off, or it still runs.
    report
        What Lambda measured, else None.
    """

    function: str
    number: int
    start: float
    lines: tuple[LogLine, ...] = field(repr=False)
    end: LogLine | None
    report: Mapping[str, Any] | None = field(default=None, repr=False)

    @property
    def request_id(self) -> str | None:
        """The id of the invocation; Lambda's retries of an event keep it."""
        return next((line.request_id for line in self.lines if line.request_id), None)

    @property
    def cut_off(self) -> bool:
        """Whether Lambda ended it before the handler did."""
        return self.end is None and self.report is not None

    @property
    def milliseconds(self) -> float | None:
        """How long it took by Lambda's measure."""
        return _number((self.report or {}).get("metrics"), "durationMs")

    @property
    def init_milliseconds(self) -> float | None:
        """How long its execution environment took to start; None for one that was there."""
        return _number((self.report or {}).get("metrics"), "initDurationMs")


@dataclass(frozen=True, slots=True)
class LoggedCall:
    """A call of the API as the log has it: see `ops.story.story.Call`."""

    at: float
    path: str
    status: int | None
    milliseconds: float | None


def attempts(lines: Sequence[LogLine]) -> tuple[Attempt, ...]:
    """Return the attempts of the handlers, in the order in which they began."""
    by_invocation: dict[tuple[str, str | None], list[LogLine]] = {}
    for line in sorted(lines, key=lambda each: each.at):
        if line.function in names.HANDLERS:
            by_invocation.setdefault((line.function, line.request_id), []).append(line)
    found = [
        _attempt(function, part) for (function, _), some in by_invocation.items() for part in _parts(some)
    ]
    found.sort(key=lambda attempt: attempt.start)
    return tuple(replace(attempt, number=number) for number, attempt in enumerate(found, 1))


def calls(lines: Sequence[LogLine]) -> tuple[LoggedCall, ...]:
    """Return the calls of the API, oldest first; a line repeats the call that was made before it."""
    found: dict[object, LoggedCall] = {}
    for line in lines:
        call = line.record.get("api_call")
        if isinstance(call, Mapping) and isinstance(call.get("path"), str):
            at = _number(call, "at")
            status = call.get("status")
            found[at] = LoggedCall(
                line.at if at is None else at / 1000,
                call["path"],
                status if isinstance(status, int) else None,
                _number(call, "ms"),
            )
    return tuple(sorted(found.values(), key=lambda call: call.at))


def plain_lines(attempt: Attempt) -> list[dict[str, Any]]:
    """Return what the handler logged in an attempt, without what is the same in each of its lines."""
    return [
        {key: value for key, value in line.record.items() if key not in _OF_FUNCTION}
        for line in attempt.lines
        if "record" not in line.record
    ]


def _parts(lines: Sequence[LogLine]) -> Iterator[list[LogLine]]:
    """Split the lines of an invocation's id, which Lambda's retries share, into its runs."""
    part: list[LogLine] = []
    ended = False
    for line in lines:
        if part and (line.message == START or (ended and line.message != REPORT)):
            yield part
            part, ended = [], False
        part.append(line)
        ended = ended or line.message in ENDS or line.message == REPORT
    if part:
        yield part


def _attempt(function: str, lines: Sequence[LogLine]) -> Attempt:
    report = next((line.record["record"] for line in lines if line.message == REPORT), None)
    end = next((line for line in lines if line.message in ENDS), None)
    return Attempt(function, 0, lines[0].at, tuple(lines), end, report)


def _number(value: object, key: str) -> float | None:
    found = value.get(key) if isinstance(value, Mapping) else None
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None
