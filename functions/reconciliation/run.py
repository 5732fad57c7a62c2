"""One scheduled reconciliation: from the checkpoint on, in steps, as far as the time allows."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import boto3
from aws_lambda_powertools import single_metric
from aws_lambda_powertools.metrics import MetricUnit
from botocore.config import Config

from functions import stripe_api
from functions.ledger.reader import READERS, KnownEvents, LedgerReader
from functions.pipeline import aws, config, names
from functions.pipeline.errors import ConfigurationError, EventError
from functions.pipeline.routing import ROUTES
from functions.pipeline.telemetry import environment, logger
from functions.reconciliation.checkpoint import Checkpoint, Position
from functions.reconciliation.gap import GRACE_SECONDS, Batch, Gap, compare
from functions.reconciliation.heal import Destination, Healer
from functions.reconciliation.settings import ReconcileSettings, reconcile_settings
from functions.stripe_api import StripeApi

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

# How far the first run looks back.
FIRST_WINDOW_SECONDS: Final = 24 * 3600
# What is compared again each time: Stripe does not promise that its list shows each event at once.
OVERLAP_SECONDS: Final = 3600
# The checkpoint moves at least this often, even where Stripe made no event.
STEP_SECONDS: Final = 3600
# A batch of a hundred takes Stripe a second or two, and healing all of it five.
SAFETY_MILLISECONDS: Final = 60_000
# Ids in one log line; Lambda cuts lines at 1 MB, readers get tired earlier.
LOGGED_IDS: Final = 100


def reconcile(context: LambdaContext) -> dict[str, Any]:
    """Compare what Stripe made since the checkpoint with the ledger, and heal where that is set.

    Only routed types are compared: which others the event destination sends is not known here.

    Returns
    -------
    dict
        ``compared``, ``missing`` and ``healed`` as numbers of events, ``compared_until`` in Unix seconds,
        and ``complete``: whether the time was enough. Where it was not, the next run goes on.

    Raises
    ------
    EventError
        Stripe or AWS failed. What was compared before stays compared.
    """
    try:
        settings = reconcile_settings()
        job = Job(
            stripe=stripe_api.from_settings(),
            checkpoint=Checkpoint(_client("dynamodb"), settings.table),
            ledger_bucket=settings.ledger_bucket,
            healer=_healer(settings, context) if settings.heal else None,
        )
        try:
            complete = job.run(int(time.time()) - GRACE_SECONDS, context)
        except EventError:
            # What was found on the way is told; that nothing is missing can't be said.
            if job.gap.missing_count:
                _tell(job.gap)
            raise
        _tell(job.gap)
    except EventError as error:
        if isinstance(error, ConfigurationError):
            # A key may be rotated before the next run.
            config.forget()
        logger.error("reconciliation failed", extra={"error": type(error).__name__, "reason": error.reason})
        raise
    result = {
        "compared": job.gap.compared.total(),
        "missing": job.gap.missing_count,
        "healed": len(job.gap.healed),
        "compared_until": job.compared_until,
        "complete": complete,
    }
    logger.info("reconciliation finished", extra=result)
    return result


@dataclass
class Job:
    """One run; ``compared_until`` is how far it came, in Unix seconds."""

    stripe: StripeApi
    checkpoint: Checkpoint
    ledger_bucket: str
    healer: Healer | None
    gap: Gap = field(default_factory=Gap)
    compared_until: int = 0

    def run(self, until: int, context: LambdaContext) -> bool:
        """Compare up to ``until``, in Unix seconds; return whether the time was enough."""
        since = self._since(until)
        ledger = KnownEvents(LedgerReader(_client("s3"), self.ledger_bucket), since)
        for first, last in _steps(since, until):
            for batch in compare(self.stripe.events(first, last, ROUTES), ledger):
                self._take(batch)
                # Other events of the batch's newest second may follow in the next one.
                self._keep(batch.last_created)
                # A run that did not come on must not end: the next one would do the same again.
                if _is_short(context) and self.compared_until > since:
                    return False
            self._keep(last + 1)
            if last < until and _is_short(context):
                return False
        self._keep(until + 1, complete=True)
        return True

    def _since(self, until: int) -> int:
        position = self.checkpoint.read()
        if position is None:
            since = until - FIRST_WINDOW_SECONDS
        else:
            since = position.compared_until - (OVERLAP_SECONDS if position.complete else 0)
        oldest = until + GRACE_SECONDS - stripe_api.EVENTS_KEPT_SECONDS
        if since < oldest:
            # Stripe has forgotten what was made before; only the archive may still hold it.
            logger.error("reconciliation gap", extra={"reason": f"nothing compared from {since} to {oldest}"})
        return min(max(since, oldest), until)

    def _take(self, batch: Batch) -> None:
        self.gap.add(batch)
        for event in batch.missing:
            if self.healer is not None and self.healer.hand_over(event):
                self.gap.healed.add(event["id"])

    def _keep(self, compared_until: int, *, complete: bool = False) -> None:
        self.checkpoint.write(Position(compared_until, complete))
        self.compared_until = compared_until


def _is_short(context: LambdaContext) -> bool:
    return context.get_remaining_time_in_millis() < SAFETY_MILLISECONDS


def _steps(since: int, until: int) -> Iterator[tuple[int, int]]:
    """Cut a window into steps that meet and share no second; both ends of each are included."""
    first = since
    while first <= until:
        last = min(first + STEP_SECONDS - 1, until)
        yield first, last
        first = last + 1


def _tell(gap: Gap) -> None:
    for event_type, event_ids in sorted(gap.missing.items()):
        open_ids = [event_id for event_id in event_ids if event_id not in gap.healed]
        logger.warning(
            "events missing",
            extra={
                "event_type": event_type,
                "missing": len(event_ids),
                "healed": len(event_ids) - len(open_ids),
                "event_ids": event_ids[:LOGGED_IDS],
            },
        )
    with single_metric(
        names.EVENTS_MISSING,
        MetricUnit.Count,
        gap.missing_count,
        namespace=names.METRICS_NAMESPACE,
        default_dimensions={names.DIMENSION_ENVIRONMENT: environment},
    ):
        pass


def _healer(settings: ReconcileSettings, context: LambdaContext) -> Healer:
    arn = context.invoked_function_arn.split(":")
    return Healer(
        Destination(
            event_source=settings.event_source,
            partition=arn[1],
            account_id=arn[4],
            region=os.environ["AWS_REGION"],
            functions=settings.functions,
            queue_url=settings.queue_url,
        ),
        lambda_client=_client("lambda"),
        sqs_client=_client("sqs"),
    )


@cache
def _client(service: str) -> Any:
    make: Any = boto3.client
    return make(service, config=aws.CONFIG.merge(Config(max_pool_connections=READERS)))
