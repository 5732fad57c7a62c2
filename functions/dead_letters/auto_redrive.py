"""Outages heal themselves: what failed for a time is redriven once the API answers again.

What failed for good, and what a person has to mend, stays.
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
    """Redrive what can be, and return how many messages ended how.

    Returns
    -------
    dict
        See :attr:`functions.dead_letters.drain.Drain.counts`. Empty where nothing was looked at.

    Raises
    ------
    ConfigurationError, TransientError
        A queue, the table or a function refused, or did not answer; the others' events were redriven, and the
        next run does the rest.
    """
    settings = auto_redrive_settings()
    lease = RunLease(Table(settings.table, settings.expiry_seconds), settings.reserve_seconds)
    if not lease.acquire():
        return _nothing("another run is at work")
    workers = Workers(settings.most_at_once)
    try:
        api_there = api_answers(settings.api_url)
        sources = _sources(settings, handlers=api_there)
        drain = Drain(sources, settings, lease, workers, context)
        try:
            drain.run()
        finally:
            _tell(drain, whole=api_there)
    finally:
        lease.release()
        workers.close()
    if drain.errors:
        raise drain.errors[0]
    return dict(drain.counts)


def api_answers(url: str) -> bool:
    """Ask the API for anything: each answer but a server error shows that it is there."""
    try:
        with shared_client().stream("GET", url) as response:
            return response.status_code < SERVER_ERROR
    except httpx.TransportError:
        return False


def _sources(settings: AutoRedriveSettings, *, handlers: bool) -> list[RedriveSource]:
    """Return the dead-letter queues with their targets: the audit's, and the handlers' if asked for."""
    calls = Config(max_pool_connections=settings.most_at_once)
    sqs = aws.session().client("sqs", config=aws.CONFIG.merge(calls))
    # A second attempt of a call would invoke the handler twice.
    once = Config(read_timeout=settings.invocation_seconds, retries={"total_max_attempts": 1})
    functions = aws.session().client("lambda", config=aws.CONFIG.merge(calls).merge(once))
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


def _nothing(reason: str) -> dict[str, int]:
    logger.info("nothing redriven", extra={"reason": reason})
    metrics.add_metric(names.EVENTS_REDRIVEN, "Count", 0)
    return {}


def _tell(drain: Drain, *, whole: bool) -> None:
    settled = sum(
        count for name, count in drain.counts.items() if name not in (FAILED, LEFT, WAITING, GIVEN_UP)
    )
    metrics.add_metric(names.EVENTS_REDRIVEN, "Count", settled)
    if whole:
        metrics.add_metric(names.EVENTS_LEFT, "Count", drain.counts[LEFT])
    metrics.add_metric(names.EVENTS_GIVEN_UP, "Count", drain.counts[GIVEN_UP])
    if drain.oldest is not None:
        metrics.add_metric(names.OLDEST_MESSAGE_AGE, "Seconds", round(time.time() - drain.oldest))
    logger.info("dead-letter queues seen", extra={"counts": dict(drain.counts)})
