"""The handlers' dead-letter queues and the ways back, as the redrive function takes from them."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from botocore.config import Config
from botocore.exceptions import ClientError

from functions.dead_letters.limits import Attempts
from functions.dead_letters.queue import DeadLetterQueue
from functions.dead_letters.records import TRANSIENT, DeadLetter
from functions.dead_letters.redrive import FAILED, Result, ToHandler
from functions.dead_letters.settings import RedriveSettings
from functions.pipeline import aws, names
from functions.pipeline.errors import TransientError
from functions.pipeline.retry import remaining_seconds
from functions.pipeline.telemetry import metrics

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

# What one run holds of one queue to hand it back; more waits for the next. A letter takes some five times its
# body in memory, and the function has 256 MiB.
MOST: Final = 1000
MOST_BYTES: Final = 4 * 1024 * 1024
# Letters that are taken at a time: with the largest bodies of 256 KiB, 5 MiB beyond the limit.
STEP: Final = 20
# Letters of one queue that one run looks at; those that stay are held meanwhile, or they would come again.
MOST_SEEN: Final = 10_000
TOO_MANY_REQUESTS: Final = 429
SERVER_ERROR: Final = 500
# Seconds beyond a handler's own that an invocation may take: its start, and the way there and back.
START_SECONDS: Final = 15


@dataclass(frozen=True)
class Handler(ToHandler):
    """A handler that Lambda throttles, or can't be reached for, fails as one does whose API is away."""

    attempts: Attempts

    def hand_over(self, letter: DeadLetter) -> Result:
        """Hand a letter over. Raises ConfigurationError where Lambda refuses."""
        try:
            return super().hand_over(letter)
        except TransientError as error:
            if _is_busy(error.__cause__):
                # Lambda could not start the handler: it is no attempt of the event.
                self.attempts.give_back(letter)
            return Result(FAILED, TRANSIENT, error.reason)


def _is_busy(cause: BaseException | None) -> bool:
    """Whether AWS answered that it could not do it now, and not that the request is wrong."""
    if not isinstance(cause, ClientError):
        return False
    status: int = cause.response["ResponseMetadata"]["HTTPStatusCode"]
    return status == TOO_MANY_REQUESTS or status >= SERVER_ERROR


@dataclass(frozen=True)
class Lane:
    """A handler's dead-letter queue, and the way back to the handler."""

    queue: DeadLetterQueue
    handler: Handler


@contextmanager
def taken(
    settings: RedriveSettings, attempts: Attempts, context: LambdaContext
) -> Iterator[dict[DeadLetter, Lane]]:
    """Take the transient failures of all queues, oldest first; what is still there at the end goes back.

    Raises
    ------
    ConfigurationError, TransientError
        A queue refused or did not answer; what was taken is given back.
    """
    seconds = max(1, int(remaining_seconds(context)))
    letters: dict[DeadLetter, Lane] = {}
    lanes = _lanes(settings, attempts)
    try:
        for lane in lanes:
            letters |= dict.fromkeys(_transient(lane.queue, seconds), lane)
        letters = dict(sorted(letters.items(), key=lambda item: item[0].failed_at))
        yield letters
    finally:
        for lane in lanes:
            lane.queue.give_back(letter for letter, its in letters.items() if its is lane)


def _transient(queue: DeadLetterQueue, seconds: int) -> list[DeadLetter]:
    """Take letters until enough of them are transient failures; the others are given back.

    Who receives messages again and again hides them from SQS' own metric of the oldest one's age (Amazon SQS,
    "Available CloudWatch metrics"), so it is published here.
    """
    found: list[DeadLetter] = []
    others: list[DeadLetter] = []
    # The other queue has as much, and half of the run is left for handing back.
    end = time.monotonic() + seconds / 4
    try:
        while _has_room(found) and len(found) + len(others) < MOST_SEEN and time.monotonic() < end:
            taken = queue.take(seconds=seconds, most=STEP)
            found += (letter for letter in taken if letter.kind == TRANSIENT)
            # Without what fills the memory: all that is needed of them is how they are given back.
            others += (
                replace(letter, envelope=None, body="") for letter in taken if letter.kind != TRANSIENT
            )
            if len(taken) < STEP:
                break
        if found or others:
            oldest = min(letter.failed_at for letter in (*found, *others))
            metrics.add_metric(names.OLDEST_LETTER_AGE, "Seconds", round(time.time() - oldest))
    except BaseException:
        queue.give_back(found)
        raise
    finally:
        queue.give_back(others)
    return found


def _has_room(letters: Collection[DeadLetter]) -> bool:
    return len(letters) < MOST and sum(len(letter.body) for letter in letters) < MOST_BYTES


def _lanes(settings: RedriveSettings, attempts: Attempts) -> list[Lane]:
    sqs = aws.session().client("sqs", config=aws.CONFIG)
    # A second attempt of a call would invoke the handler twice.
    patient = Config(read_timeout=settings.handler_seconds + START_SECONDS, retries={"total_max_attempts": 1})
    functions = aws.session().client("lambda", config=aws.CONFIG.merge(patient))
    return [
        Lane(
            DeadLetterQueue(family, url, sqs),
            Handler(settings.functions[family], functions, settle=False, attempts=attempts),
        )
        for family, url in sorted(settings.queue_urls.items())
    ]
