"""The obvious peer: what the documentation of Stripe's library, httpx and Powertools leads to.

It has no effects: two events of one fact are two calls. It has no order: an older state may overwrite a newer
one. After a failed call Powertools deletes the event's record, also where the API may have applied it.
"""

from __future__ import annotations

import os
from typing import Any, Final

import httpx
import stripe
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities import parameters
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent,
)
from aws_lambda_powertools.utilities.typing import LambdaContext

from bench.peers.calls import call_of, headers_of

CONFLICT: Final = 409

logger = Logger()
metrics = Metrics()
tracer = Tracer()
records = DynamoDBPersistenceLayer(table_name=os.environ["IDEMPOTENCY_TABLE"])
config = IdempotencyConfig(
    event_key_jmespath="detail.id",
    raise_on_no_idempotency_key=True,
    expires_after_seconds=int(os.environ["IDEMPOTENCY_EXPIRY_SECONDS"]),
)
api = httpx.Client(base_url=os.environ["HUNTAZE_API_URL"], timeout=10.0)


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics(capture_cold_start_metric=True)
@idempotent(config=config, persistence_store=records)
def handler(envelope: dict[str, Any], _: LambdaContext) -> dict[str, str]:
    """Apply an event; Powertools returns the first answer for a repeat."""
    event = stripe.Event.construct_from(envelope["detail"], None)
    call = call_of(event)
    if call is None:
        return {"outcome": "recorded"}
    path, body = call
    secret: Any = parameters.get_secret(os.environ["SECRET_IDS"], transform="json", max_age=300)
    response = api.post(path, json=body, headers=headers_of(event, secret["HUNTAZE_API_KEY"]))
    if response.status_code != CONFLICT:
        response.raise_for_status()
    metrics.add_metric(name="EventsApplied", unit=MetricUnit.Count, value=1)
    logger.info("event applied", event_id=event.id, event_type=event.type)
    return {"outcome": "applied"}
