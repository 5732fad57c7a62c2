"""Outages heal themselves: what failed for a time is handed back once the API answers again.

Oldest first, at a bounded rate, and each event a bounded number of times. What failed for good, and what
a person has to mend, stays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import httpx

from functions.dead_letters.lanes import START_SECONDS, Lane, taken
from functions.dead_letters.limits import Attempts, Turn
from functions.dead_letters.queue import Pace
from functions.dead_letters.records import CONFIGURATION, TRANSIENT, DeadLetter
from functions.dead_letters.redrive import FAILED, UNSETTLED, Result, redrive
from functions.dead_letters.settings import RedriveSettings, redrive_settings
from functions.pipeline import names
from functions.pipeline.api import shared_client
from functions.pipeline.retry import remaining_seconds
from functions.pipeline.table import Table
from functions.pipeline.telemetry import logger, metrics

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

LEFT: Final = "left"
# So many transient failures in a row, and the API is away again.
FAILURES_IN_A_ROW: Final = 3
# Seconds of a run that are kept for giving back what was taken and was not handed over.
GIVE_BACK_SECONDS: Final = 5
SERVER_ERROR: Final = 500


def run(context: LambdaContext) -> dict[str, int]:
    """Hand back what can be, and return how many letters ended how.

    Returns
    -------
    dict
        Counts by result (see :data:`functions.dead_letters.redrive.RESULTS`), and ``left``: letters of
        transient failures that are still in their queues. Empty where nothing was looked at.

    Raises
    ------
    ConfigurationError, TransientError
        A queue, the table or a function refused, or a queue or the table did not answer; the next run
        does the rest.
    """
    settings = redrive_settings()
    counts: Counter[str] = Counter()
    table = Table(settings.table, settings.expiry_seconds)
    attempts = Attempts(table, settings.attempts)
    turn = Turn(table, settings.handler_seconds + START_SECONDS + GIVE_BACK_SECONDS)
    try:
        if not api_answers(settings.api_url):
            logger.info("nothing handed back", extra={"reason": "the API does not answer"})
            return {}
        if not turn.take():
            logger.info("nothing handed back", extra={"reason": "another run is at work"})
            return {}
        try:
            with taken(settings, attempts, context) as letters:
                _hand_back(letters, turn, settings, context, counts)
        finally:
            turn.end()
    finally:
        _tell(counts)
    return dict(counts)


def api_answers(url: str) -> bool:
    """Ask the API for anything: each answer but a server error shows that it is there."""
    try:
        with shared_client().stream("GET", url) as response:
            return response.status_code < SERVER_ERROR
    except httpx.TransportError:
        return False


def _hand_back(
    letters: dict[DeadLetter, Lane],
    turn: Turn,
    settings: RedriveSettings,
    context: LambdaContext,
    counts: Counter[str],
) -> None:
    pace = Pace(settings.per_second)
    in_a_row = 0
    counts[LEFT] = len(letters)
    for letter, lane in list(letters.items()):
        if in_a_row == FAILURES_IN_A_ROW or remaining_seconds(context) < turn.seconds or not turn.keep():
            return
        if not lane.handler.attempts.take(letter):
            logger.info(
                "left to a person", extra={"correlation_id": letter.event_id, "reason": letter.reason}
            )
            continue
        pace.wait()
        result = redrive(letter, lane.queue, lane.handler)
        counts[result.outcome] += 1
        if result.settled:
            counts[LEFT] -= 1
            del letters[letter]
        _tell_one(letter, result)
        if result.kind == CONFIGURATION:
            # Every other letter would meet the same, and lose an attempt by it.
            return
        if result.kind != UNSETTLED:
            in_a_row = in_a_row + 1 if result.kind == TRANSIENT else 0


def _tell_one(letter: DeadLetter, result: Result) -> None:
    logger.info(
        "event handed back",
        extra={
            "correlation_id": letter.event_id,
            "event_id": letter.event_id,
            "event_type": letter.event_type,
            "outcome": result.outcome,
            "reason": result.reason,
        },
    )


def _tell(counts: Mapping[str, int]) -> None:
    settled = sum(count for name, count in counts.items() if name not in (FAILED, LEFT))
    metrics.add_metric(names.EVENTS_REDRIVEN, "Count", settled)
    if LEFT in counts:
        metrics.add_metric(names.EVENTS_LEFT, "Count", counts[LEFT])
        logger.info("dead-letter queues seen", extra={"counts": dict(counts)})
