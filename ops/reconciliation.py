"""Reconciliation from the command line: Stripe's list against the ledger and the handlers' records."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from functions.pipeline.idempotency import COMPLETED
from functions.pipeline.routing_table import ROUTES
from functions.reconciliation.gap import GRACE_SECONDS, Batch, Event, Gap, compare
from functions.reconciliation.heal import Healer, HealTargets
from functions.shared import names
from functions.shared.errors import ConfigurationError, EventError
from functions.stripe_api import client
from functions.stripe_api.client import StripeApi
from ops import denials, records, times
from ops.console import plural
from ops.environment import Environment, aws_errors
from ops.errors import OperatorError
from ops.ledger import Ledger
from ops.progress import Steps

KEPT: Final = timedelta(days=names.STRIPE_LIST_DAYS)
# Younger events may still be on their way to the ledger.
GRACE: Final = timedelta(seconds=GRACE_SECONDS)


def stripe(environment: Environment, account: str | None = None) -> StripeApi:
    """Return Stripe's API with the exported STRIPE_SECRET_KEY, or else the one in the environment's secret.

    Parameters
    ----------
    account
        The connected account whose events are listed; None for the key's own.

    Raises
    ------
    OperatorError
        The key is missing or invalid, its mode is not that of the environment, or the account's id is
        invalid.
    """
    if account is not None and not names.ACCOUNT_ID.fullmatch(account):
        raise OperatorError(
            f"invalid --account {account!r}: expected an id like acct_1Nv0FGQ9RKHgCVdK", usage=True
        )
    key = os.environ.get(names.STRIPE_SECRET_KEY, "").strip() or _key_of_secret(environment)
    try:
        return replace(client.with_key(key, livemode=environment.settings.livemode), account=account)
    except ConfigurationError as error:
        raise OperatorError(error.reason, usage=True) from error


def _key_of_secret(environment: Environment) -> str:
    key = environment.secret(names.STRIPE_SECRET_KEY)
    if not key:
        raise OperatorError(
            f"the secret {environment.secret_id(names.STRIPE_SECRET_KEY)} has no {names.STRIPE_SECRET_KEY}: "
            "export it, or deploy with it exported"
        )
    return key


@dataclass
class Findings:
    """The outcome for the events of a window.

    Parameters
    ----------
    gap
        Events that the ledger lacks.
    unhandled
        Events that the ledger holds and that no handler has a record of, although their time for it is over.
    unapplied
        Events that a handler received and did not apply: they are in a dead-letter queue, or were purged or
        expired there.
    """

    gap: Gap = field(default_factory=Gap)
    unhandled: Gap = field(default_factory=Gap)
    unapplied: Gap = field(default_factory=Gap)

    @property
    def open_count(self) -> int:
        """How many events the ledger lacks or no handler has received, and were not sent."""
        return self.gap.open_count + self.unhandled.open_count

    @property
    def healed_count(self) -> int:
        """How many events were sent."""
        return sum(len(gap.healed) for gap in (self.gap, self.unhandled, self.unapplied))

    def summary(self) -> str:
        """Return the counts in one line."""
        return (
            f"{plural(self.gap.compared.total(), 'event')} compared, {self.gap.missing_count} missing, "
            f"{self.unhandled.missing_count} reached no handler"
        )


@dataclass(frozen=True)
class Comparison:
    """Compares Stripe's events with the ledger and with the handlers' records.

    Parameters
    ----------
    healer
        Sends missing events, and those that no handler has received; None sends nothing.
    with_unapplied
        Whether to send also events that a handler received and did not apply.
    """

    api: StripeApi
    ledger: Ledger
    environment: Environment
    healer: Healer | None
    with_unapplied: bool = False

    def find(
        self, since: datetime, until: datetime, types: Collection[str], handled_until: datetime, steps: Steps
    ) -> Findings:
        """Compare the events of a window.

        Parameters
        ----------
        types
            Event types to compare; empty for all.
        handled_until
            Events made later may still be on their way to a handler.

        Raises
        ------
        OperatorError
            Stripe, the ledger or AWS failed. Events that were sent before stay sent.
        """
        findings = Findings()
        first, last = int(since.timestamp()), int(until.timestamp())
        received_until = int(handled_until.timestamp())
        with steps.step("compare with Stripe") as step:
            self.ledger.progress = lambda done, total: step.advance_to(done, total, "objects of the ledger")
            try:
                for batch in compare(self.api.events(first, last, types), self._in_ledger):
                    self._of_ledger(batch, findings)
                    self._of_handlers(batch, received_until, findings)
                    step.advance_to(
                        batch.last_created - first,
                        last - first,
                        f"{findings.gap.missing_count + findings.unhandled.missing_count} missing so far",
                    )
            except EventError as error:
                counts = f"{findings.summary()}, {findings.healed_count} sent"
                raise denials.cause(f"to go on ({counts})", error) or OperatorError(
                    f"{error.reason}; {counts}: repeat the command"
                ) from error
            step.note = findings.summary()
        return findings

    def _in_ledger(self, events: Sequence[Event]) -> set[str]:
        return self.ledger.known([event["id"] for event in events])

    def _of_ledger(self, batch: Batch, findings: Findings) -> None:
        findings.gap.add_compared(batch.events)
        for event in batch.missing:
            findings.gap.add_missing(event, self.healer.heal if self.healer else None)

    def _of_handlers(self, batch: Batch, received_until: int, findings: Findings) -> None:
        lacking = {event["id"] for event in batch.missing}
        due = [
            event
            for event in batch.events
            if event["type"] in ROUTES and event["created"] <= received_until and event["id"] not in lacking
        ]
        with records.reading(self.environment) as read:
            statuses = read.of_events(due)
        for event in due:
            status = statuses.get(event["id"])
            if status == COMPLETED:
                continue
            gap = findings.unhandled if status is None else findings.unapplied
            heals = self.healer is not None and (status is None or self.with_unapplied)
            gap.add_missing(event, self._send_to_handler if heals else None)

    def _send_to_handler(self, event: Event) -> bool:
        # From the ledger, so that the API gets the original body: Stripe may list an older version.
        return self.healer is not None and self.healer.invoke_handler(self.ledger.event(event["id"]) or event)


def healer(environment: Environment) -> Healer:
    """Return what sends missing events.

    Raises
    ------
    OperatorError
        The audit queue or a function does not exist.
    """
    queue = f"{environment.resource('events')}.fifo"
    sqs, functions = environment.client("sqs"), environment.client("lambda")
    with aws_errors(f"the queue {queue}"):
        queue_url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    handlers = {handler: environment.resource(handler) for handler in names.HANDLERS}
    for name in handlers.values():
        with aws_errors(f"the function {name}"):
            functions.get_function_configuration(FunctionName=name)
    destination = HealTargets(
        event_source=environment.bus,
        partition=environment.caller[1].split(":")[1],
        account_id=environment.account_id,
        region=environment.region,
        functions=handlers,
        queue_url=queue_url,
    )
    return Healer(destination, lambda_client=functions, sqs_client=sqs)


def check_window(first: datetime, last: datetime, now: datetime) -> None:
    """Refuse a window that Stripe's list or the ledger does not cover.

    Raises
    ------
    OperatorError
        It is empty, begins too early, or ends too late.
    """
    begins, ends = times.format_time(first), times.format_time(last)
    if last <= first:
        raise OperatorError(
            f"the window ends ({ends}) before it begins ({begins}): correct --since or --until", usage=True
        )
    if first < now - KEPT:
        raise OperatorError(
            f"the window begins {begins}, and Stripe lists the last {KEPT.days} days only: use "
            f"--since {KEPT.days}d or later, and `huntaze-stripe replay` for older events",
            usage=True,
        )
    if last > now - GRACE:
        raise OperatorError(
            f"the window ends {ends}, and events of the last 10 minutes may still be on their way: use "
            "--until 10m or earlier",
            usage=True,
        )
