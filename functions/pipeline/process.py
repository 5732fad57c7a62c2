"""One delivery from end to end: envelope, validated event, route, API call, outcome."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from functions.pipeline import config, telemetry
from functions.pipeline.api import HuntazeApi, shared_client
from functions.pipeline.envelope import StripeEvent, parse
from functions.pipeline.errors import EventError, InvalidEventError
from functions.pipeline.idempotency import idempotency_id, once, records
from functions.pipeline.route import Request, Route
from functions.pipeline.routing import ROUTES

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

__all__ = ["idempotency_id", "process", "warm_up"]

# Lambda sets it, and nothing else does (AWS Lambda, "Defined runtime environment variables").
LAMBDA_INIT: Final = "AWS_LAMBDA_INITIALIZATION_TYPE"


def process(handler: str, envelope: object, context: LambdaContext) -> dict[str, Any]:
    """Apply the event of an envelope once, and return what became of it.

    Returns
    -------
    dict
        ``outcome`` (applied, recorded or duplicate), ``event_type`` and ``path`` (None without a call).

    Raises
    ------
    EventError
        Why the event was not applied; Lambda tries again twice and then hands it to the handler's
        dead-letter queue.
    """
    subject = telemetry.begin(envelope)
    try:
        settings = config.delivery_settings()
        event = parse(envelope, livemode=settings.livemode)
        request = _route(event, handler).request(event.object)
        result = once(
            _apply,
            handler=handler,
            settings=settings,
            context=context,
            repeated=_as_duplicate,
            idempotency_key=event.id,
            event=event,
            request=request,
            api=HuntazeApi(settings.api_url, settings.api_key),
        )
    except Exception as error:
        telemetry.failed(subject, error)
        raise
    telemetry.finished(event, result["outcome"])
    return result


def warm_up() -> None:
    """In Lambda, make the HTTP and AWS clients and read the secret while a handler module loads.

    Lambda's init phase has a whole CPU whatever the function's memory, so a first event waits less. What
    fails here fails again, and is told, when that event comes. Outside Lambda nothing happens: importing
    a handler has no effect.
    """
    if LAMBDA_INIT in os.environ:
        shared_client()
        with suppress(EventError):
            records(config.delivery_settings().idempotency_table)


def _route(event: StripeEvent, handler: str) -> Route:
    route = ROUTES.get(event.type)
    if route is None or route.handler != handler:
        raise InvalidEventError("detail.type", f"is no type that the {handler} function takes")
    return route


def _apply(
    *, idempotency_key: str, event: StripeEvent, request: Request | None, api: HuntazeApi
) -> dict[str, Any]:
    if request is None:
        return {"outcome": telemetry.RECORDED, "event_type": event.type, "path": None}
    with telemetry.api_latency():
        api.post(request, event, idempotency_key)
    return {"outcome": telemetry.APPLIED, "event_type": event.type, "path": request.path}


def _as_duplicate(result: dict[str, Any]) -> dict[str, Any]:
    return {**result, "outcome": telemetry.DUPLICATE}
