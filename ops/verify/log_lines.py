"""What the handlers logged about the ends of events, read from CloudWatch Logs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from functions.shared import names
from ops import function_log
from ops.environment import Environment
from ops.function_log import NewLines

FINISHED: Final = "event finished"
PARKED: Final = "event parked"
FAILED: Final = "event failed"
ENDS: Final = (FINISHED, PARKED, FAILED)
MILLISECONDS: Final = function_log.MILLISECONDS


@dataclass(frozen=True, slots=True)
class Line:
    """A handler's line about one event; `at` is Unix milliseconds."""

    event_id: str
    message: str
    at: float
    outcome: str | None
    reason: str | None


class HandlerLines:
    """The lines of both handlers since a time, read as they come.

    Parameters
    ----------
    since
        Unix seconds.
    """

    def __init__(self, environment: Environment, since: int) -> None:
        conditions = function_log.equals("message", ENDS)
        self._lines = NewLines(environment, names.HANDLERS, conditions, since)

    def new(self) -> Iterator[Line]:
        """Yield the lines that were not read before.

        Raises
        ------
        OperatorError
            CloudWatch Logs refuses or does not answer.
        """
        for line in self._lines.read():
            record = line.record
            yield Line(
                str(record.get("event_id")),
                line.message,
                line.at * MILLISECONDS,
                record.get("outcome"),
                record.get("reason"),
            )
