"""One delivery from end to end: envelope, validated event, route, API call, outcome."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from functions.pipeline import idempotency_table, outcomes, parking
from functions.pipeline.api import shared_client
from functions.pipeline.apply import Delivery, apply
from functions.pipeline.envelope import StripeEvent, parse
from functions.pipeline.idempotency import CompletedError, record_key, record_seen
from functions.pipeline.idempotency_table import Table
from functions.pipeline.replay_names import started_at
from functions.pipeline.route import Route
from functions.pipeline.routing_table import ROUTES
from functions.shared.errors import (
    ConfigurationError,
    EventError,
    InvalidEventError,
    PermanentError,
)
from functions.shared.settings import DeliverySettings, delivery_settings, forget_settings
from functions.shared.telemetry import logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

# Lambda sets it, and nothing else does (AWS Lambda, "Defined runtime environment variables").
LAMBDA_INIT: Final = "AWS_LAMBDA_INITIALIZATION_TYPE"


def process(handler: str, envelope: object, context: LambdaContext) -> dict[str, Any]:
    """Apply the event of an envelope once, and return its outcome.

    An event that no retry can help is parked in the handler's dead-letter queue at once. If the queue does
    not accept it, the error is raised, and Lambda sends the event there after its retries.

    Returns
    -------
    dict
        `outcome` (applied, recorded, duplicate, stale or parked), `event_type`, and `path` (None without a
        call).

    Raises
    ------
    EventError
        Why the event was not applied. Lambda retries twice and then sends it to the handler's dead-letter
        queue.
    """
    subject = outcomes.start(envelope)
    try:
        settings = delivery_settings()
        try:
            return _deliver(handler, envelope, context, settings)
        except (InvalidEventError, PermanentError) as refusal:
            _park(handler, envelope, settings, subject, refusal)
            return {"outcome": outcomes.PARKED, "event_type": subject.event_type, "path": refusal.path}
    except Exception as error:
        if isinstance(error, ConfigurationError):
            forget_settings()
        outcomes.failed(subject, error)
        raise


def warm_up() -> None:
    """In Lambda, create the HTTP and AWS clients and read the secret while a handler module loads.

    Lambda's init phase has a whole CPU whatever the function's memory, so the first event waits less. An
    error here is ignored: it occurs again, and is logged, with the first event. Outside Lambda nothing
    happens: importing a handler has no effect.
    """
    if LAMBDA_INIT in os.environ:
        shared_client()
        with suppress(EventError):
            idempotency_table.client()
            delivery_settings()


def _deliver(
    handler: str, envelope: object, context: LambdaContext, settings: DeliverySettings
) -> dict[str, Any]:
    event = parse(envelope, livemode=settings.livemode)
    route = _route(event, handler)
    request = route.unread_request() if event.is_reference else route.request(event.object)
    delivery = Delivery(event, route, request, settings, context)
    result = _apply_unless_done(delivery)
    outcomes.finished(event, result["outcome"])
    return result


def _apply_unless_done(delivery: Delivery) -> dict[str, Any]:
    """Apply an event unless it is completed; a forced replay applies again what was completed before it."""
    try:
        return apply(delivery)
    except CompletedError as done:
        replay = delivery.event.forced_replay
        replayed_at = None if replay is None else started_at(replay)
        if replayed_at is None or done.completed_at >= replayed_at * 1000:
            return delivery.result(outcomes.DUPLICATE)
    try:
        return apply(replace(delivery, reapplied_by=replay))
    except CompletedError:
        return delivery.result(outcomes.DUPLICATE)


def _park(
    handler: str,
    envelope: object,
    settings: DeliverySettings,
    subject: outcomes.Subject,
    refusal: EventError,
) -> None:
    try:
        parking.park(
            settings.dead_letter_queue_url,
            handler=handler,
            api_key=settings.api_key,
            subject=subject,
            envelope=envelope,
            refusal=refusal,
        )
    except EventError as error:
        logger.warning("event not parked", extra={"reason": error.reason})
        # Lambda writes this error into its dead-letter record, so raise why the event was refused.
        raise refusal from error
    outcomes.parked(subject, refusal)
    route = ROUTES.get(subject.event_type)
    if isinstance(refusal, InvalidEventError) and subject.event_id and route and route.handler == handler:
        _record_seen(handler, subject.event_id, settings)


def _record_seen(handler: str, event_id: str, settings: DeliverySettings) -> None:
    """Record an event that was refused before it was claimed, so that reconcile knows it as handled."""
    records = Table(settings.idempotency_table, settings.idempotency_expiry_seconds)
    try:
        record_seen(records, record_key(handler, event_id))
    except EventError as error:
        # The event is in the queue all the same.
        logger.warning("event not remembered", extra={"reason": error.reason})


def _route(event: StripeEvent, handler: str) -> Route:
    route = ROUTES.get(event.type)
    if route is None or route.handler != handler:
        raise InvalidEventError("detail.type", f"is not handled by the {handler} function")
    if event.is_reference and event.object["object"] != route.object_name:
        raise InvalidEventError("detail.related_object.type", f"must be {route.object_name}")
    return route
