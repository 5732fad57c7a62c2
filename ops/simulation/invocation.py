"""One invocation of a handler: how long it takes, and whether it applies its event.

It is `functions.shared.retry.retry` without a clock; a test compares the two.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Final

from functions.pipeline.api import ATTEMPT_SECONDS, READ_SECONDS
from functions.shared.retry import ATTEMPTS, RECORD_SECONDS, longest_wait

# Invocations of which the mean is taken: it is then within 1 % of that of any other seed.
DRAWS: Final = 2000


@dataclass(frozen=True)
class Api:
    """How the API behaves for a time.

    Parameters
    ----------
    seconds
        Until a call is answered, or fails.
    applies
        Whether it applies what it is sent.
    answers
        Whether its base URL answers, for which the redrive asks before each run.
    """

    seconds: float
    applies: bool = True
    answers: bool = True

    def slower(self, factor: float) -> Api:
        """Return it so many times slower; no call waits longer than the handler does."""
        seconds = self.seconds * factor
        return Api(min(seconds, READ_SECONDS), self.applies and seconds < READ_SECONDS, self.answers)


@dataclass(frozen=True)
class Invocation:
    """What an invocation led to."""

    seconds: float
    applied: bool
    calls: float


def play(api: Api, work_seconds: float, timeout_seconds: float, wait: Callable[[int], float]) -> Invocation:
    """Play one invocation.

    Parameters
    ----------
    work_seconds
        What it takes besides the API.
    wait
        Returns the wait, in seconds, after an attempt; the first is 1.
    """
    clock = work_seconds
    for attempt in range(1, ATTEMPTS + 1):
        clock += api.seconds
        if api.applies:
            return Invocation(clock, applied=True, calls=attempt)
        seconds = wait(attempt)
        if attempt == ATTEMPTS or seconds + ATTEMPT_SECONDS + RECORD_SECONDS > timeout_seconds - clock:
            return Invocation(clock, applied=False, calls=attempt)
        clock += seconds
    raise AssertionError("the last attempt returns")


@cache
def average(api: Api, work_seconds: float, timeout_seconds: float, seed: int) -> Invocation:
    """Return the mean of many invocations; waits are drawn as `functions.shared.retry.wait_after` does."""
    drawn = random.Random(seed)  # noqa: S311 (not for secrecy)
    played = [
        play(api, work_seconds, timeout_seconds, lambda attempt: drawn.uniform(0, longest_wait(attempt)))
        for _ in range(1 if api.applies else DRAWS)
    ]
    return Invocation(
        sum(each.seconds for each in played) / len(played),
        api.applies,
        sum(each.calls for each in played) / len(played),
    )
