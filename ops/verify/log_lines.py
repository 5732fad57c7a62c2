"""What the handlers logged about events, read from CloudWatch Logs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from functions.shared import names
from ops import function_log
from ops.environment import Environment

FINISHED: Final = "event finished"
PARKED: Final = "event parked"
FAILED: Final = "event failed"
MILLISECONDS: Final = 1000
# CloudWatch Logs user guide, "Filter pattern syntax" (JSON).
PATTERN: Final = "{ " + " || ".join(f'($.message = "{each}")' for each in (FINISHED, PARKED, FAILED)) + " }"
# A line may become visible after later ones.
OVERLAP_MILLISECONDS: Final = 30 * MILLISECONDS


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
        self._environment = environment
        groups = (function_log.group(environment, handler) for handler in names.HANDLERS)
        self._position = dict.fromkeys(groups, since * MILLISECONDS)
        self._seen: set[tuple[str, int, str]] = set()

    def new(self) -> Iterator[Line]:
        """Yield the lines that were not read before.

        Raises
        ------
        OperatorError
            CloudWatch Logs refuses or does not answer.
        """
        for group, since in list(self._position.items()):
            for event in function_log.events(self._environment, group, PATTERN, since):
                identity = (event["logStreamName"], event["timestamp"], event["message"])
                if identity in self._seen:
                    continue
                self._seen.add(identity)
                reached = event["timestamp"] - OVERLAP_MILLISECONDS
                self._position[group] = max(self._position[group], reached)
                yield _line(json.loads(event["message"]), event["timestamp"])


def _line(record: dict[str, Any], at: float) -> Line:
    return Line(
        str(record.get("event_id")), record["message"], at, record.get("outcome"), record.get("reason")
    )
