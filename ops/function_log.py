"""What functions logged, read from CloudWatch Logs: their own lines, and those of the Lambda platform."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from ops.environment import Environment, aws_errors

MILLISECONDS: Final = 1000
# A filter pattern has at most 1,024 characters (CloudWatch Logs quotas); a condition takes up to 60.
CONDITIONS: Final = 15
# A line may become visible after later ones.
OVERLAP_MILLISECONDS: Final = 30 * MILLISECONDS


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of a function.

    Parameters
    ----------
    function
        The function's short name, such as `payments`.
    at
        When it was written, in Unix seconds, by the function's own clock.
    """

    function: str
    at: float
    record: Mapping[str, Any] = field(repr=False)

    @property
    def message(self) -> str:
        """What the function logged; the type of a line of the Lambda platform."""
        return str(self.record.get("message") or self.record.get("type") or "")

    @property
    def request_id(self) -> str | None:
        """The id of the invocation; Lambda's retries of an event keep it."""
        platform = self.record.get("record")
        of_platform = platform.get("requestId") if isinstance(platform, dict) else None
        found = self.record.get("function_request_id") or of_platform
        return found if isinstance(found, str) else None


@dataclass
class NewLines:
    """The lines of functions since a time, read as they come.

    Parameters
    ----------
    conditions
        Terms of a filter pattern; see `lines`.
    since
        Unix seconds.
    """

    environment: Environment
    functions: Sequence[str]
    conditions: Sequence[str]
    since: float
    _position: dict[str, int] = field(default_factory=dict, init=False, repr=False)
    _seen: set[int] = field(default_factory=set, init=False, repr=False)

    def read(self) -> Iterator[LogLine]:
        """Yield the lines that were not read before.

        Raises
        ------
        OperatorError
            CloudWatch Logs refuses or does not answer.
        """
        for function in self.functions:
            since = self._position.setdefault(function, int(self.since * MILLISECONDS))
            for event in events(
                self.environment, group(self.environment, function), _any(self.conditions), since
            ):
                identity = hash((event["logStreamName"], event["timestamp"], event["message"]))
                if identity in self._seen:
                    continue
                self._seen.add(identity)
                reached = event["timestamp"] - OVERLAP_MILLISECONDS
                self._position[function] = max(self._position[function], reached)
                yield from _line(function, event)


def group(environment: Environment, function: str) -> str:
    """Return the log group of a function by its short name."""
    return f"/aws/lambda/{environment.resource(function)}"


def events(
    environment: Environment, log_group: str, pattern: str, since: int, until: int | None = None
) -> list[dict[str, Any]]:
    """Return the log events that match a filter pattern.

    Parameters
    ----------
    since, until
        Unix milliseconds.

    Raises
    ------
    OperatorError
        CloudWatch Logs refuses or does not answer, or the group does not exist.
    """
    end = {} if until is None else {"endTime": until}
    with aws_errors(f"the log group {log_group}"):
        pages = (
            environment.client("logs")
            .get_paginator("filter_log_events")
            .paginate(logGroupName=log_group, startTime=since, filterPattern=pattern, **end)
        )
        return [event for page in pages for event in page["events"]]


def lines(environment: Environment, function: str, conditions: Sequence[str], since: float) -> list[LogLine]:
    """Return the lines of a function that meet one of the conditions, oldest first.

    Parameters
    ----------
    conditions
        Terms of a filter pattern, such as `$.message = "event finished"`.
    since
        Unix seconds.

    Raises
    ------
    OperatorError
        CloudWatch Logs refuses or does not answer, or the function has no log.
    """
    found: list[LogLine] = []
    for first in range(0, len(conditions), CONDITIONS):
        some = conditions[first : first + CONDITIONS]
        start_ms = int(since * MILLISECONDS)
        for event in events(environment, group(environment, function), _any(some), start_ms):
            found += _line(function, event)
    return sorted(found, key=lambda line: line.at)


def equals(path: str, values: Collection[str]) -> list[str]:
    """Return a condition for each value of a field; a value is an id, which needs no quoting."""
    return [f'$.{path} = "{value}"' for value in values]


def _any(conditions: Sequence[str]) -> str:
    """Return a filter pattern (CloudWatch Logs user guide, "Filter pattern syntax": JSON)."""
    return f"{{ {' || '.join(f'({each})' for each in conditions)} }}"


def _line(function: str, event: Mapping[str, Any]) -> Iterator[LogLine]:
    try:
        record = json.loads(event["message"])
    except (ValueError, RecursionError):
        return
    if isinstance(record, dict):
        written = record.get("timestamp") or record.get("time")
        yield LogLine(function, _seconds(written, event["timestamp"] / MILLISECONDS), record)


def _seconds(written: object, received: float) -> float:
    """Return when a line was written; when CloudWatch received it, if the line does not say."""
    try:
        time = datetime.fromisoformat(written) if isinstance(written, str) else None
    except ValueError:
        time = None
    return time.timestamp() if time is not None and time.tzinfo else received
