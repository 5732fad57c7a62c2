"""The settings of the redrive function, from its environment variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from functions.shared import names, settings

# Calls at once: as many as begin within these seconds, so that events which take so long keep the rate.
SECONDS_AT_RATE: Final = 2
LEAST_AT_ONCE: Final = 10
# Threads that the function's memory and processor bear, and of the handlers' concurrency a part.
MOST_AT_ONCE: Final = 50


@dataclass(frozen=True, slots=True)
class AutoRedriveSettings:
    """What the redrive function needs.

    Parameters
    ----------
    functions
        Handler to its function's name.
    queue_urls
        Dead-letter queues to their addresses: each handler's by the handler's name, the audit's by others.
    audit_queue_url
        Where the audit's events go back to.
    attempts
        How many attempts of one event may fail that could have succeeded; then it is left to a person.
    per_second
        How many events a second may call the API.
    handler_seconds
        The longest that a handler may take.
    """

    api_url: str
    table: str
    expiry_seconds: int
    functions: Mapping[str, str]
    queue_urls: Mapping[str, str]
    audit_queue_url: str
    attempts: int
    per_second: int
    handler_seconds: int

    @property
    def invocation_seconds(self) -> int:
        """The longest that an invocation of a handler may take, seen from here."""
        return self.handler_seconds + names.START_SECONDS

    @property
    def reserve_seconds(self) -> int:
        """The time of a run in which it begins nothing more."""
        return self.handler_seconds + names.REDRIVE_RESERVE_SECONDS

    @property
    def most_at_once(self) -> int:
        """How many calls go on at the same time at most, so that slow ones do not lower the rate."""
        return min(MOST_AT_ONCE, max(LEAST_AT_ONCE, SECONDS_AT_RATE * self.per_second))


@cache
def auto_redrive_settings() -> AutoRedriveSettings:
    """Read the settings.

    Raises
    ------
    ConfigurationError
        Names the variable that is missing or wrong.
    """
    return AutoRedriveSettings(
        api_url=settings.url(names.HUNTAZE_API_URL),
        table=settings.required(names.IDEMPOTENCY_TABLE),
        expiry_seconds=settings.positive(names.IDEMPOTENCY_EXPIRY_SECONDS),
        functions=settings.by_handler(names.HANDLER_FUNCTIONS),
        queue_urls=settings.by_handler(names.DEAD_LETTER_QUEUE_URLS),
        audit_queue_url=settings.url(names.EVENTS_QUEUE_URL),
        attempts=settings.positive(names.AUTO_REDRIVE_ATTEMPTS),
        per_second=settings.positive(names.AUTO_REDRIVE_PER_SECOND),
        handler_seconds=settings.positive(names.HANDLER_SECONDS),
    )
