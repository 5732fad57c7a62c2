"""Retries within one invocation: after a transient failure, while the function's time allows it.

The waits grow exponentially with full jitter (AWS Architecture Blog, "Exponential Backoff And Jitter"), so
that functions that failed together do not retry together. A wait that the API asked for is added to the
jitter.
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

# If four quick attempts fail, Lambda's own retries follow a minute later.
ATTEMPTS: Final = 4
FIRST_WAIT_SECONDS: Final = 0.25
LONGEST_WAIT_SECONDS: Final = 5.0
# Time that is kept for writing the outcome: one attempt of a DynamoDB call (functions.shared.aws).
RECORD_SECONDS: Final = 4.0


def retry(
    action: Callable[[], Result],
    *,
    context: LambdaContext,
    attempt_seconds: float,
    attempts: int = ATTEMPTS,
) -> Result:
    """Run `action` until it succeeds.

    Parameters
    ----------
    attempt_seconds
        How long an attempt may take. Without that time, and the time to write the outcome, none is begun.
    attempts
        Most attempts.

    Raises
    ------
    TransientError
        The error of the last attempt.
    UnsettledError
        At once: another event comes first, and waiting within this invocation does not help.
    """
    for attempt in range(1, attempts):
        try:
            return action()
        except UnsettledError:
            raise
        except TransientError as error:
            wait = (error.retry_after or 0.0) + wait_after(attempt)
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


def wait_after(attempt: int) -> float:
    """Return a random wait, in seconds, after an attempt; the first is 1."""
    return random.uniform(0, longest_wait(attempt))  # noqa: S311 (not for secrecy)


def longest_wait(attempt: int) -> float:
    """Return the upper limit, in seconds, of the wait after an attempt; the first is 1."""
    return min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** (attempt - 1))


def remaining_seconds(context: LambdaContext) -> float:
    """Return the seconds until the invocation times out."""
    return float(context.get_remaining_time_in_millis()) / 1000


def retry_after(header: str | None, now: datetime | None = None) -> float | None:
    """Read a Retry-After header: the wait in seconds, or None if it is missing or invalid.

    RFC 9110, section 10.2.3, has two forms: a number of seconds, or an HTTP date.
    """
    if header is None:
        return None
    if re.fullmatch(r"[0-9]{1,9}", header.strip()):
        return float(header)
    try:
        date = parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return None
    # The zone "-0000" makes a naive time; HTTP dates are in UTC.
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, (date - (now or datetime.now(UTC))).total_seconds())
