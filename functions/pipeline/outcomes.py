"""The outcomes of a delivery, and what it writes to logs and metrics.

One log line per invocation: "event finished", "event parked" or "event failed", with the Stripe event id as
its correlation id; and "attempt failed" for each attempt before the last. After a call of the API, its path,
status, start (Unix milliseconds) and duration are in `api_call` of each line.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from aws_lambda_powertools.metrics import MetricUnit

from functions.pipeline.envelope import StripeEvent, identity
from functions.pipeline.routing_table import ROUTES
from functions.shared import names, telemetry
from functions.shared.errors import AuthenticationRefusedError, EventError
from functions.shared.telemetry import logger, metrics

APPLIED: Final = "applied"
RECORDED: Final = "recorded"
DUPLICATE: Final = "duplicate"
STALE: Final = "stale"
PARKED: Final = "parked"

_COUNTED_AS: Final = {
    APPLIED: names.EVENTS_APPLIED,
    RECORDED: names.EVENTS_RECORDED,
    DUPLICATE: names.DUPLICATES_SKIPPED,
    STALE: names.STALE_SKIPPED,
}

# The dimension event_type of types that the routing table does not have: each type that a sender makes up
# would be another metric.
UNROUTED: Final = "unrouted"


@dataclass(frozen=True, slots=True)
class Subject:
    """The event that a log line or metric is about, as far as the envelope could be read."""

    event_id: str | None
    event_type: str


def start(envelope: object) -> Subject:
    """Start the logs and metrics of a delivery, whose envelope is not yet checked."""
    subject = subject_of(envelope)
    if subject.event_id:
        logger.set_correlation_id(subject.event_id)
    metrics.add_dimension(names.DIMENSION_EVENT_TYPE, subject.event_type)
    return subject


def subject_of(envelope: object) -> Subject:
    """Read an event's id and type from an envelope that is not yet checked."""
    detail = envelope.get("detail") if isinstance(envelope, dict) else None
    event_id, event_type = identity(detail) if isinstance(detail, dict) else (None, None)
    return Subject(
        event_id=event_id if isinstance(event_id, str) and names.STRIPE_ID.fullmatch(event_id) else None,
        event_type=event_type if isinstance(event_type, str) and event_type in ROUTES else UNROUTED,
    )


def finished(event: StripeEvent, outcome: str) -> None:
    """Count and log a delivery that ended well, and how old its event is."""
    age_ms = max(0, round((time.time() - event.created) * 1000))
    metrics.add_metric(_COUNTED_AS[outcome], MetricUnit.Count, 1)
    if outcome not in (DUPLICATE, STALE):
        # A replayed event is as old as its archive, and says nothing about the speed of the pipeline.
        metrics.add_metric(names.EVENT_AGE, MetricUnit.Milliseconds, age_ms)
    thin = {} if event.thin_id is None else {"thin_event_id": event.thin_id}
    logger.info(
        "event finished",
        extra={"outcome": outcome, "event_id": event.id, "event_type": event.type, "age_ms": age_ms, **thin},
    )


def parked(subject: Subject, refusal: EventError) -> None:
    """Count and log an event that the handler itself put into the dead-letter queue."""
    metrics.add_metric(names.EVENTS_PARKED, MetricUnit.Count, 1)
    telemetry.count(names.MESSAGES_PARKED)
    _log("event parked", subject, refusal)


def parked_of_many(subject: Subject, refusal: EventError, **extra: str) -> None:
    """Count and log one parked event of several in an invocation, with `extra` fields in the log line."""
    telemetry.count(names.EVENTS_PARKED, **{names.DIMENSION_EVENT_TYPE: subject.event_type})
    telemetry.count(names.MESSAGES_PARKED)
    _log("event parked", subject, refusal, correlation_id=subject.event_id, **extra)


def failed(subject: Subject, error: Exception) -> None:
    """Count and log a failed attempt. Of an error that is not an EventError, only the class is logged."""
    metrics.add_metric(names.EVENTS_FAILED, MetricUnit.Count, 1)
    if isinstance(error, AuthenticationRefusedError):
        telemetry.count(names.AUTHENTICATION_REFUSED)
    _log("event failed", subject, error)


def _log(message: str, subject: Subject, error: Exception, **extra: str | None) -> None:
    known = error if isinstance(error, EventError) else EventError("an error that no code path expects")
    logger.error(
        message,
        extra={
            **extra,
            "event_id": subject.event_id,
            "event_type": subject.event_type,
            "error": type(error).__name__,
            "reason": known.reason,
            "status": known.status,
            "path": known.path,
        },
    )


@dataclass(slots=True)
class ApiCall:
    """A call of the API; `status` is that of its answer, None without one."""

    status: int | None = None


@contextmanager
def api_call(path: str) -> Iterator[ApiCall]:
    """Measure an API call, however it ends; the lines that are logged after it say what it was."""
    call, at, started = ApiCall(), round(time.time() * 1000), time.perf_counter()
    try:
        yield call
    except EventError as error:
        call.status = error.status
        raise
    finally:
        elapsed_ms = (time.perf_counter() - started) * 1000
        metrics.add_metric(names.API_LATENCY, MetricUnit.Milliseconds, elapsed_ms)
        about = {"path": path, "status": call.status, "at": at, "ms": round(elapsed_ms, 1)}
        logger.append_keys(api_call=about)
