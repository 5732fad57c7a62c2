"""The settings of the redrive function, from its environment variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from functions.pipeline import config, names


@dataclass(frozen=True, slots=True)
class RedriveSettings:
    """What the redrive function needs.

    Parameters
    ----------
    functions, queue_urls
        Handler to its function's name, and to its dead-letter queue's address.
    attempts
        How often one event is handed back at most.
    per_second
        How many events are handed back in a second at most.
    handler_seconds
        The longest that a handler may take.
    """

    api_url: str
    table: str
    expiry_seconds: int
    functions: Mapping[str, str]
    queue_urls: Mapping[str, str]
    attempts: int
    per_second: int
    handler_seconds: int


@cache
def redrive_settings() -> RedriveSettings:
    """Read the settings.

    Raises
    ------
    ConfigurationError
        Names the variable that is missing or wrong.
    """
    return RedriveSettings(
        api_url=config.url(names.HUNTAZE_API_URL),
        table=config.required(names.IDEMPOTENCY_TABLE),
        expiry_seconds=config.positive(names.IDEMPOTENCY_EXPIRY_SECONDS),
        functions=config.by_handler(names.HANDLER_FUNCTIONS),
        queue_urls=config.by_handler(names.DEAD_LETTER_QUEUE_URLS),
        attempts=config.positive(names.AUTO_REDRIVE_ATTEMPTS),
        per_second=config.positive(names.AUTO_REDRIVE_PER_SECOND),
        handler_seconds=config.positive(names.HANDLER_SECONDS),
    )
