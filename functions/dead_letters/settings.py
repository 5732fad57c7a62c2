"""The settings of the redrive function, from its environment variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from functions.shared import names, settings

# The rate is kept as long as a call takes no more than these seconds.
SECONDS_AT_RATE: Final = 2
MIN_CALLS_AT_ONCE: Final = 10
# As many threads as the function's memory and processor allow; also a fraction of the handlers' concurrency.
MAX_CALLS_AT_ONCE: Final = 50


@dataclass(frozen=True, slots=True)
class AutoRedriveSettings:
    """What the redrive function needs.

    Parameters
    ----------
    functions
        Function name by handler.
    queue_urls
        URL by dead-letter queue; a handler's queue has the handler's name.
    audit_queue_url
        Where the audit's events are sent.
    attempts
        How many attempts of an event may fail before it is left to an operator.
    per_second
        How many events per second may call the API.
    handler_seconds
        The handlers' longest time-out.
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
        """How long to wait for the answer of a handler."""
        return self.handler_seconds + names.START_SECONDS

    @property
    def reserve_seconds(self) -> int:
        """Seconds at the end of a run in which no call starts."""
        return self.handler_seconds + names.REDRIVE_RESERVE_SECONDS

    @property
    def calls_at_once(self) -> int:
        """How many calls may run at the same time: enough that slow calls do not lower the rate."""
        return min(MAX_CALLS_AT_ONCE, max(MIN_CALLS_AT_ONCE, SECONDS_AT_RATE * self.per_second))


@cache
def auto_redrive_settings() -> AutoRedriveSettings:
    """Read the settings.

    Raises
    ------
    ConfigurationError
        A variable is missing or wrong; the message names it.
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
