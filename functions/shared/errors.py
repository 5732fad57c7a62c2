"""Why a delivery failed, by what a retry can do about it.

EventError
├── InvalidEventError         the event breaks Stripe's or our contract; the API was not called
│   └── LivemodeMismatchError a test event in a live environment, or the reverse
├── PermanentError            the API refused the event; the same request gets the same answer
│   └── DoubtfulRefusalError  refused, after a call of unknown outcome that may have applied it
├── TransientError            the API or an AWS service failed for now; the same request may succeed
│   └── UnsettledError        another event comes first, and its outcome is not known yet
└── ConfigurationError        this deployment is set up wrongly; a person has to act
    └── AuthenticationRefusedError  the API refused our key (401, 403)

Messages name fields, settings and statuses. They never hold a value from the event, an answer of the
API, or a secret: whoever reads the logs must not learn from them who paid what.
"""

from __future__ import annotations


class EventError(Exception):
    """One delivery failed.

    Parameters
    ----------
    reason
        One sentence, free of the event's values.
    status
        HTTP status that the API answered, if it answered.
    path
        API path that was called, if it was called.
    unknown_outcome
        Whether the API may have applied the event all the same.
    at_work
        Whether the API may still be at the call, and apply it later.
    """

    def __init__(
        self,
        reason: str,
        *,
        status: int | None = None,
        path: str | None = None,
        unknown_outcome: bool = False,
        at_work: bool = False,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.path = path
        self.unknown_outcome = unknown_outcome
        self.at_work = at_work


class InvalidEventError(EventError):
    """A field of the event is missing, has another type than Stripe documents, or is unknown to us."""

    def __init__(self, field: str, fault: str) -> None:
        super().__init__(f"{field} {fault}")
        self.field = field


class LivemodeMismatchError(InvalidEventError):
    """``detail.livemode`` differs from the environment's setting."""


class PermanentError(EventError):
    """The API refused the event for good. ``answer`` is the beginning of what it said; do not log it."""

    status: int
    path: str

    def __init__(self, reason: str, *, status: int, path: str, answer: str) -> None:
        super().__init__(reason, status=status, path=path)
        self.answer = answer


class DoubtfulRefusalError(PermanentError):
    """An earlier call had an unknown outcome, and the refusal does not show that it was not applied."""


class TransientError(EventError):
    """A later attempt may succeed.

    Parameters
    ----------
    retry_after
        The wait in seconds that the API asked for.
    """

    def __init__(
        self,
        reason: str,
        *,
        status: int | None = None,
        path: str | None = None,
        retry_after: float | None = None,
        unknown_outcome: bool = False,
        at_work: bool = False,
    ) -> None:
        super().__init__(reason, status=status, path=path, unknown_outcome=unknown_outcome, at_work=at_work)
        self.retry_after = retry_after


class UnsettledError(TransientError):
    """The event waits for another one, of the same effect or object; nothing else is wrong."""


class ConfigurationError(EventError):
    """A setting, a secret or a permission is missing or wrong."""


class AuthenticationRefusedError(ConfigurationError):
    """The API answered 401 or 403 to our key."""
