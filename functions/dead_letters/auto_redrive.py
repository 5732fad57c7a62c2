"""Automatic redrive: after an outage, events that failed temporarily are redriven once the API answers again.

Permanent failures, and failures that need an operator, stay in their queues.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import httpx
from botocore.config import Config

from functions.dead_letters.backlog import RedriveSource
from functions.dead_letters.drain import GIVEN_UP, LEFT, WAITING, Drain
from functions.dead_letters.lease import RunLease
from functions.dead_letters.queue import DeadLetterQueue
from functions.dead_letters.redrive import FAILED, AuditQueueTarget, HandlerTarget, RedriveTarget
from functions.dead_letters.settings import AutoRedriveSettings, auto_redrive_settings
from functions.dead_letters.workers import Workers
from functions.pipeline.api import shared_client
from functions.pipeline.idempotency_table import Table
from functions.shared import aws, names
from functions.shared.telemetry import logger, metrics

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

SERVER_ERROR: Final = 500


def run(context: LambdaContext) -> dict[str, int]:
    """Redrive what can be redriven.

    Returns
    -------
    dict
        Messages by outcome: `functions.dead_letters.drain.Drain.counts`. Empty if another run is active.

    Raises
    ------
    ConfigurationError, TransientError
        A queue, the idempotency table or a function refused, or did not answer. The events of the others were
        redriven, and the next run continues.
    """
    settings = auto_redrive_settings()
    lease = RunLease(Table(settings.table, settings.expiry_seconds), settings.reserve_seconds)
    if not lease.acquire():
        logger.info("nothing redriven", extra={"reason": "another run is active"})
        metrics.add_metric(names.EVENTS_REDRIVEN, "Count", 0)
        return {}
    workers = Workers(settings.calls_at_once)
    try:
        api_available = api_answers(settings.api_url)
        sources = _sources(settings, handlers=api_available)
        drain = Drain(sources, settings, lease, workers, context)
        try:
            drain.run()
        finally:
            _log_result(drain, all_queues=api_available)
    finally:
        lease.release()
        workers.close()
    if drain.errors:
        raise drain.errors[0]
    return dict(drain.counts)


def api_answers(url: str) -> bool:
    """Whether the API answers at all; any status except a server error counts."""
    try:
        with shared_client().stream("GET", url) as response:
            return response.status_code < SERVER_ERROR
    except httpx.TransportError:
        return False


def _sources(settings: AutoRedriveSettings, *, handlers: bool) -> list[RedriveSource]:
    """Return the dead-letter queues with their targets: the audit's queues, and the handlers' on request."""
    pool = Config(max_pool_connections=settings.calls_at_once)
    sqs = aws.session().client("sqs", config=aws.config().merge(pool))
    # A second attempt of a call would invoke the handler twice.
    once = Config(read_timeout=settings.invocation_seconds, retries={"total_max_attempts": 1})
    functions = aws.session().client("lambda", config=aws.config().merge(pool).merge(once))
    audit = AuditQueueTarget(settings.audit_queue_url, sqs)
    targets: dict[str, RedriveTarget] = {
        name: HandlerTarget(function, functions, settle=False)
        for name, function in settings.functions.items()
    }
    if not handlers:
        logger.info("nothing redriven to the handlers", extra={"reason": "the API does not answer"})
    return [
        RedriveSource(DeadLetterQueue(name, url, sqs), targets.get(name, audit))
        for name, url in sorted(settings.queue_urls.items())
        if handlers or name not in targets
    ]


def _log_result(drain: Drain, *, all_queues: bool) -> None:
    settled = sum(
        count for name, count in drain.counts.items() if name not in (FAILED, LEFT, WAITING, GIVEN_UP)
    )
    metrics.add_metric(names.EVENTS_REDRIVEN, "Count", settled)
    if all_queues:
        metrics.add_metric(names.EVENTS_LEFT, "Count", drain.counts[LEFT])
    metrics.add_metric(names.EVENTS_GIVEN_UP, "Count", drain.counts[GIVEN_UP])
    if drain.oldest is not None:
        metrics.add_metric(names.OLDEST_MESSAGE_AGE, "Seconds", round(time.time() - drain.oldest))
    logger.info("dead-letter queues seen", extra={"counts": dict(drain.counts)})
