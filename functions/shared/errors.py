"""Why a delivery failed, by what a retry can do about it.

EventError
├── InvalidEventError         the event breaks Stripe's or our contract; the API was not called
│   └── LivemodeMismatchError a test event in a live environment, or the reverse
├── PermanentError            the API refused the event; the same request gets the same answer
│   └── DoubtfulRefusalError  refused, but an earlier call with unknown outcome may have applied it
├── TransientError            the API or an AWS service failed temporarily; the same request may succeed
│   └── UnsettledError        another event comes first, and its outcome is not known yet
└── ConfigurationError        the deployment is set up wrongly; an operator has to fix it
    └── AuthenticationRefusedError  the API refused our key (401, 403)

Messages contain fields, settings and statuses. They never contain a value of the event, an answer of the API
or a secret: a reader of the logs must not learn who paid what.
"""

from __future__ import annotations


class EventError(Exception):
    """One delivery failed.

    Parameters
    ----------
    reason
        One sentence, without values of the event.
    status
        HTTP status of the API's answer, if there was one.
    path
        API path, if the API was called.
    unknown_outcome
        Whether the API may have applied the event nevertheless.
    in_flight
        Whether the API may still be processing the call, and apply it later.
    """

    def __init__(
        self,
        reason: str,
        *,
        status: int | None = None,
        path: str | None = None,
        unknown_outcome: bool = False,
        in_flight: bool = False,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.path = path
        self.unknown_outcome = unknown_outcome
        self.in_flight = in_flight


class InvalidEventError(EventError):
    """A field of the event is missing, unknown, or of a type that Stripe does not document."""

    def __init__(self, field: str, fault: str) -> None:
        super().__init__(f"{field} {fault}")
        self.field = field


class LivemodeMismatchError(InvalidEventError):
    """`detail.livemode` differs from the environment's setting."""


class PermanentError(EventError):
    """The API refused the event permanently. `answer` is the beginning of its answer; do not log it."""

    status: int
    path: str

    def __init__(self, reason: str, *, status: int, path: str, answer: str) -> None:
        super().__init__(reason, status=status, path=path)
        self.answer = answer


class DoubtfulRefusalError(PermanentError):
    """The API refused the event, but an earlier call with unknown outcome may have applied it."""


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
        in_flight: bool = False,
    ) -> None:
        super().__init__(
            reason, status=status, path=path, unknown_outcome=unknown_outcome, in_flight=in_flight
        )
        self.retry_after = retry_after


class UnsettledError(TransientError):
    """The event waits for another one with the same effect or object; nothing else is wrong."""


class ConfigurationError(EventError):
    """A setting, a secret or a permission is missing or wrong."""


class AuthenticationRefusedError(ConfigurationError):
    """The API answered 401 or 403 to our key."""
