"""Outages heal themselves: what failed for a time is handed back once the API answers again.

Oldest first, at a bounded rate, and each event a bounded number of times. What failed for good, and what
a person has to mend, stays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import httpx
from botocore.config import Config

from functions.dead_letters.queue import DeadLetterQueue, Pace
from functions.dead_letters.records import TRANSIENT, DeadLetter
from functions.dead_letters.redrive import FAILED, Result, ToHandler, redrive
from functions.dead_letters.settings import RedriveSettings, redrive_settings
from functions.pipeline import aws, names
from functions.pipeline.api import shared_client
from functions.pipeline.retry import remaining_seconds
from functions.pipeline.table import ConditionFailedError, Table, item_key
from functions.pipeline.telemetry import logger, metrics

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

KIND: Final = "redrives"
# Letters of one queue in one run; more wait for the next.
MOST: Final = 1000
# So many transient failures in a row, and the API is away again.
FAILURES_IN_A_ROW: Final = 3
# Seconds of a run that are kept for giving back what was taken and was not handed over.
GIVE_BACK_SECONDS: Final = 5.0
# The longest that a handler may take, and a margin.
INVOKE_SECONDS: Final = 60
SERVER_ERROR: Final = 500

_INVOKE: Final = aws.CONFIG.merge(Config(read_timeout=INVOKE_SECONDS, retries={"total_max_attempts": 1}))


@dataclass(frozen=True)
class Lane:
    """A handler's dead-letter queue, and the way back to the handler."""

    queue: DeadLetterQueue
    handler: ToHandler


def run(context: LambdaContext) -> dict[str, int]:
    """Hand back what can be, and return how many letters ended how.

    Returns
    -------
    dict
        Counts by result (see :data:`functions.dead_letters.redrive.RESULTS`), and ``left``: letters of
        transient failures that are still in their queues.

    Raises
    ------
    ConfigurationError, TransientError
        A queue, the table or a function refused or did not answer; the next run does the rest.
    """
    settings = redrive_settings()
    if not api_answers(settings.api_url):
        logger.info("nothing handed back", extra={"reason": "the API does not answer"})
        return {}
    counts: Counter[str] = Counter()
    with _taken(settings, context) as letters:
        try:
            _hand_back(letters, settings, context, counts)
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
    settings: RedriveSettings,
    context: LambdaContext,
    counts: Counter[str],
) -> None:
    pace = Pace(settings.per_second)
    table = Table(settings.table, settings.expiry_seconds)
    in_a_row = 0
    counts["left"] = len(letters)
    for letter, lane in list(letters.items()):
        if in_a_row == FAILURES_IN_A_ROW or remaining_seconds(context) < INVOKE_SECONDS + GIVE_BACK_SECONDS:
            return
        if not _may_try(table, letter, settings.attempts):
            continue
        pace.wait()
        result = redrive(letter, lane.queue, lane.handler)
        counts[result.outcome] += 1
        if result.settled:
            counts["left"] -= 1
            del letters[letter]
        _tell_one(letter, result)
        in_a_row = in_a_row + 1 if result.outcome == FAILED and result.kind == TRANSIENT else 0


def _may_try(table: Table, letter: DeadLetter, attempts: int) -> bool:
    """Count an attempt for the event, unless it has had them all."""
    about = letter.event_id or letter.message_id
    try:
        table.update(
            item_key(KIND, about),
            "SET expiration = :expiration ADD attempts :one",
            "attribute_not_exists(attempts) OR attempts < :limit",
            one=1,
            limit=attempts,
            expiration=table.expiration(),
        )
    except ConditionFailedError:
        logger.info("left to a person", extra={"correlation_id": letter.event_id, "reason": letter.reason})
        return False
    return True


@contextmanager
def _taken(settings: RedriveSettings, context: LambdaContext) -> Iterator[dict[DeadLetter, Lane]]:
    """Take the transient failures of all queues, oldest first; what is still there at the end goes back."""
    seconds = max(1, int(remaining_seconds(context)))
    letters: dict[DeadLetter, Lane] = {}
    try:
        for lane in _lanes(settings):
            taken = lane.queue.take(seconds=seconds, most=MOST)
            lane.queue.give_back(letter for letter in taken if letter.kind != TRANSIENT)
            letters |= {letter: lane for letter in taken if letter.kind == TRANSIENT}
        ordered = dict(sorted(letters.items(), key=lambda item: item[0].failed_at))
        letters = ordered
        yield letters
    finally:
        for letter, lane in letters.items():
            lane.queue.give_back([letter])


def _lanes(settings: RedriveSettings) -> list[Lane]:
    sqs = aws.session().client("sqs", config=aws.CONFIG)
    functions = aws.session().client("lambda", config=_INVOKE)
    return [
        Lane(DeadLetterQueue(family, url, sqs), ToHandler(settings.functions[family], functions))
        for family, url in sorted(settings.queue_urls.items())
    ]


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
    settled = sum(count for name, count in counts.items() if name not in (FAILED, "left"))
    metrics.add_metric(names.EVENTS_REDRIVEN, "Count", settled)
    metrics.add_metric(names.EVENTS_LEFT, "Count", counts.get("left", 0))
    logger.info("dead-letter queues seen", extra={"counts": dict(counts)})
