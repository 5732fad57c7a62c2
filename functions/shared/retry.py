"""Attempts within one invocation: again after a transient failure, while the function's time allows it.

The waits grow exponentially with full jitter (AWS Architecture Blog, "Exponential Backoff And Jitter"), so
that functions which failed together do not come again together. A wait that the API asked for is kept, with
the jitter on top.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final, TypeVar

from functions.shared.errors import TransientError, UnsettledError
from functions.shared.telemetry import logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

Result = TypeVar("Result")

# What four quick attempts can't do, Lambda's own retries a minute later can.
ATTEMPTS: Final = 4
FIRST_WAIT_SECONDS: Final = 0.25
LONGEST_WAIT_SECONDS: Final = 5.0
# What is left for writing down how it ended: one attempt of a DynamoDB call (functions.shared.aws).
RECORD_SECONDS: Final = 4.0


def retry(
    action: Callable[[], Result],
    *,
    context: LambdaContext,
    attempt_seconds: float,
    attempts: int = ATTEMPTS,
) -> Result:
    """Run ``action`` until it succeeds, as often as is useful.

    Parameters
    ----------
    attempt_seconds
        How long one more attempt may take; without that time, and the time to record it, none is begun.
    attempts
        How many there are at most.

    Raises
    ------
    TransientError
        The last attempt's.
    UnsettledError
        At once: another event comes first, and no wait of this invocation brings its end.
    """
    for attempt in range(1, attempts):
        try:
            return action()
        except UnsettledError:
            raise
        except TransientError as error:
            wait = (error.retry_after or 0.0) + wait_before(attempt)
            if wait + attempt_seconds + RECORD_SECONDS > remaining_seconds(context):
                raise
            logger.warning(
                "attempt failed",
                extra={
                    "attempt": attempt,
                    "reason": error.reason,
                    "status": error.status,
                    "path": error.path,
                    "wait_ms": round(wait * 1000),
                },
            )
            time.sleep(wait)
    return action()


def wait_before(attempt: int) -> float:
    """Draw the wait, in seconds, after an attempt; the first is 1."""
    return random.uniform(0, longest_wait(attempt))  # noqa: S311 (not for secrecy)


def longest_wait(attempt: int) -> float:
    """Return the upper limit, in seconds, of the wait after an attempt; the first is 1."""
    return min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** (attempt - 1))


def remaining_seconds(context: LambdaContext) -> float:
    """Return the time in seconds that the invocation still has."""
    return float(context.get_remaining_time_in_millis()) / 1000


def retry_after(header: str | None, now: datetime | None = None) -> float | None:
    """Read a Retry-After header: the wait in seconds, or None where there is none that can be read.

    Both forms of RFC 9110, section 10.2.3: a number of seconds, or an HTTP date.
    """
    if header is None:
        return None
    if re.fullmatch(r"[0-9]{1,9}", header.strip()):
        return float(header)
    try:
        date = parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return None
    # "-0000" instead of a zone makes a naive time; HTTP dates are in UTC.
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, (date - (now or datetime.now(UTC))).total_seconds())
