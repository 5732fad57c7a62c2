"""One scheduled reconciliation: Stripe's list against the ledger, then against the handlers' records."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.config import Config

from functions.ledger.reader import CLOCK_SKEW, READERS, KnownEvents, LedgerReader
from functions.pipeline.routing_table import ROUTES
from functions.reconciliation.accounts import in_turn
from functions.reconciliation.checkpoint import Checkpoint, LastAccount, table_created_at
from functions.reconciliation.gap import GRACE_SECONDS, Event, Known
from functions.reconciliation.handler_records import HandlerRecords
from functions.reconciliation.heal import Healer, HealTargets
from functions.reconciliation.job import OVERLAP_SECONDS, Job, StartTime, is_short
from functions.reconciliation.settings import ReconcileSettings, reconcile_settings
from functions.shared import aws, names
from functions.shared.errors import ConfigurationError, EventError
from functions.shared.settings import forget_settings
from functions.shared.telemetry import count, logger
from functions.stripe_api import client
from functions.stripe_api.client import StripeApi

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

# The newest ids of a log line; Lambda cuts lines at 1 MB.
LOGGED_IDS: Final = 100


def reconcile(context: LambdaContext) -> dict[str, Any]:
    """Compare what Stripe created since the checkpoints, and heal what is missing if healing is on.

    The ledger comes first. The handlers' records are compared once an event must have reached its handler.
    Only routed types are compared: which others the event destination sends is not known here. Connected
    accounts come last, in turn, each with checkpoints of its own; a failure of one is raised at the end.

    Returns
    -------
    dict
        `compared`, `missing` and `healed` as numbers of events, `compared_until` in Unix seconds, and
        `complete`: whether the time was enough; if not, the next run continues. `unhandled` has the same of
        the second comparison. With connected accounts, `accounts` is the number of those compared.

    Raises
    ------
    EventError
        Stripe or AWS failed. What was compared before stays compared.
    """
    try:
        settings = reconcile_settings()
        healer = _healer(settings, context) if settings.heal else None
        comparison = _Comparison(settings, healer, _start_time(settings), context, client.from_settings())
        result = comparison.of_account(None)
        if settings.accounts != ():
            result["accounts"] = comparison.of_connected_accounts()
    except EventError as error:
        if isinstance(error, ConfigurationError):
            # The key may be rotated before the next run.
            forget_settings()
        logger.error("reconciliation failed", extra={"error": type(error).__name__, "reason": error.reason})
        raise
    logger.info("reconciliation finished", extra=result)
    return result


@dataclass(frozen=True)
class _Comparison:
    """The comparisons of one run."""

    settings: ReconcileSettings
    healer: Healer | None
    start: StartTime
    context: LambdaContext
    stripe: StripeApi

    def of_account(self, account: str | None) -> dict[str, Any]:
        """Make both comparisons for a connected account; None for the key's own."""
        stripe, now = replace(self.stripe, account=account), int(time.time())
        ledger = ledger_job(self.settings, self.healer, self.start, stripe)
        until = now - GRACE_SECONDS
        result = _run(ledger, until, self.context, names.EVENTS_MISSING, "events missing")
        handled = handled_job(self.settings, self.healer, self.start, stripe)
        until = now - self.settings.handled_within
        result["unhandled"] = _run(handled, until, self.context, names.EVENTS_UNHANDLED, "events unhandled")
        return result

    def of_connected_accounts(self) -> int:
        """Compare connected accounts in turn while there is time; return how many were compared.

        Raises
        ------
        EventError
            The first failure of an account, after the others were compared.
        """
        last = LastAccount(_client("dynamodb"), self.settings.table)
        compared = 0
        failure: EventError | None = None
        for place, account in enumerate(in_turn(self.settings.accounts, last.read(), self.stripe)):
            # A run that made no progress must not end: the next one would do the same again.
            if place and is_short(self.context):
                logger.info("reconciliation of accounts continues in the next run")
                break
            try:
                self.of_account(account)
                compared += 1
            except EventError as error:
                failure = failure or error
                extra = {"account": account, "error": type(error).__name__, "reason": error.reason}
                logger.error("reconciliation of account failed", extra=extra)
            last.write(account)
        if failure is not None:
            raise failure
        return compared


def ledger_job(
    settings: ReconcileSettings, healer: Healer | None, start: StartTime, stripe: StripeApi
) -> Job:
    """Return the comparison with the ledger; an event that is missing there usually never reached the bus."""

    def known_since(since: int, checked_at: int | None = None) -> Known:
        written_since = None if checked_at is None else datetime.fromtimestamp(checked_at, UTC) - CLOCK_SKEW
        known = KnownEvents(_ledger(settings), since, written_since=written_since).known
        return lambda events: known([event["id"] for event in events])

    return Job(
        stripe=stripe,
        checkpoint=_checkpoint(settings, stripe, names.RECONCILE_CHECKPOINT),
        known_since=known_since,
        heal=healer.heal if healer else None,
        start=start,
    )


def handled_job(
    settings: ReconcileSettings, healer: Healer | None, start: StartTime, stripe: StripeApi
) -> Job:
    """Return the comparison with the handlers' records; an event without one reached no handler."""
    records = HandlerRecords(_client("dynamodb"), settings.table)

    def known(events: Sequence[Event]) -> set[str]:
        # A type that is no longer routed has no handler.
        return {*records.of_events(events), *(each["id"] for each in events if each["type"] not in ROUTES)}

    def known_since(_since: int, _checked_at: int | None = None) -> Known:
        return known

    return Job(
        stripe=stripe,
        checkpoint=_checkpoint(settings, stripe, names.RECONCILE_HANDLED_CHECKPOINT),
        known_since=known_since,
        heal=_LedgerHealer(_ledger(settings), healer).heal if healer else None,
        start=start,
    )


def _checkpoint(settings: ReconcileSettings, stripe: StripeApi, key: str) -> Checkpoint:
    """Return the checkpoint of a comparison; a connected account has its own."""
    of_account = key if stripe.account is None else f"{key}#{stripe.account}"
    return Checkpoint(_client("dynamodb"), settings.table, of_account)


@dataclass
class _LedgerHealer:
    """Sends events to their handlers as the ledger holds them, so that the API gets the original body."""

    reader: LedgerReader
    healer: Healer
    _known: KnownEvents | None = None

    def heal(self, event: Event) -> bool:
        if self._known is None:
            # Events come in the order in which they were created, except in the overlap.
            self._known = KnownEvents(self.reader, event["created"] - OVERLAP_SECONDS)
        return self.healer.invoke_handler(self._known.event(event["id"]) or event)


def _run(job: Job, until: int, context: LambdaContext, metric: str, message: str) -> dict[str, Any]:
    try:
        complete = job.run(until, context)
    except EventError:
        # Report what was found so far, but not that nothing is missing.
        if job.gap.missing_count:
            _report(job, metric, message)
        raise
    _report(job, metric, message)
    return {
        "compared": job.gap.compared.total(),
        "missing": job.gap.missing_count,
        "healed": len(job.gap.healed),
        "compared_until": job.compared_until,
        "complete": complete,
    }


def _report(job: Job, metric: str, message: str) -> None:
    gap, account = job.gap, job.stripe.account
    of_account = {} if account is None else {"account": account}
    for event_type, event_ids in sorted(gap.missing.items()):
        logger.warning(
            message,
            extra={
                "event_type": event_type,
                "missing": len(event_ids),
                "healed": sum(event_id in gap.healed for event_id in event_ids),
                "event_ids": event_ids[-LOGGED_IDS:],
                **of_account,
            },
        )
    count(metric, gap.missing_count)


def _start_time(settings: ReconcileSettings) -> StartTime:
    if settings.compare_from is not None:
        return StartTime(settings.compare_from, explicit=True)
    # Events created before the first deploy were not meant for this pipeline.
    return StartTime(table_created_at(_client("dynamodb"), settings.table), explicit=False)


def _ledger(settings: ReconcileSettings) -> LedgerReader:
    return LedgerReader(_client("s3"), settings.ledger_bucket)


def _healer(settings: ReconcileSettings, context: LambdaContext) -> Healer:
    arn = context.invoked_function_arn.split(":")
    return Healer(
        HealTargets(
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
    return make(service, config=aws.config().merge(Config(max_pool_connections=READERS)))
