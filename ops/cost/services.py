"""What an environment costs a month, service by service."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from functions.pipeline.routing_table import ROUTES
from functions.shared.names import BILLING, HANDLERS, PAYMENTS
from ops.cost.assumptions import WORKING, Assumptions
from ops.cost.measured import Measured
from ops.cost.prices import Prices
from ops.cost.stack import Stack
from ops.cost.units import MILLION, THOUSAND, million_invocations

GB: Final = 10**9
# EventBridge, SQS and DynamoDB bill an event, a request and a write by parts of this size.
EVENT_PART: Final = 64 * 1024
WRITE_PART: Final = 1024
# A month of AWS's price pages.
HOURS: Final = 730
SECONDS: Final = HOURS * 3600
DAYS: Final = HOURS / 24
# DynamoDB, "Read/write capacity mode": a write in a transaction takes two units. All are counted so.
TRANSACTION: Final = 2
WRITES: Final = ("dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:UpdateItem")
# The audit's receive, delete, and EventBridge's send.
REQUESTS_PER_MESSAGE: Final = 3
# AWS X-Ray pricing and Lambda, "Visualize Lambda function invocations using AWS X-Ray": one request a second,
# and 5 % of the others.
TRACED_PER_SECOND: Final = 1
TRACED_SHARE: Final = 0.05
SERVICES: Final = {"cloudwatch": "CloudWatch", "secretsmanager": "Secrets Manager", "kms": "KMS"}
NOT_INCLUDED: Final = (
    "free tiers, tax, starts of execution environments, data transfer, NAT gateways and VPC endpoints, "
    "PostgreSQL, e-mails of alarms, retries, replays, runs of redrive, reconcile and compact, requests to "
    "KMS and Secrets Manager, the state's bucket"
)


@dataclass(frozen=True)
class Cost:
    """One line: what, how it is computed, and US dollars a month.

    Parameters
    ----------
    fixed
        Whether it is due without any event.
    """

    service: str
    what: str
    how: str
    dollars: float
    fixed: bool = False


@dataclass(frozen=True)
class Usage:
    """A month of an environment.

    Parameters
    ----------
    events
        Events that Stripe sends in a month.
    """

    stack: Stack
    measured: Measured
    assumptions: Assumptions
    prices: Prices
    events: int

    @property
    def handled(self) -> float:
        """Events that a handler gets."""
        return self.events * self.assumptions["handled_share"]

    def share(self, family: str) -> float:
        """The share of a handler in the handled events."""
        payments = self.assumptions["payments_share"]
        return {PAYMENTS: payments, BILLING: 1 - payments}[family]

    def seconds(self, family: str) -> float:
        """How long one invocation takes; a handler also waits for the API."""
        waits = self.assumptions["api_ms"] if family in HANDLERS else 0.0
        return (self.assumptions[f"{family}_ms"] + waits) / THOUSAND

    def invocations(self, family: str) -> float:
        """Invocations in a month."""
        if family in HANDLERS:
            return self.handled * self.share(family)
        return self.events / max(1.0, self.assumptions["events_per_batch"])

    def write_units(self, family: str) -> float:
        """Write request units of one invocation."""
        writes = sum(self.measured.functions[family].calls.get(each, 0.0) for each in WRITES)
        return writes * TRANSACTION * math.ceil(self.assumptions["item_bytes"] / WRITE_PART)


def costs(usage: Usage) -> list[Cost]:
    """Return every line, in the order in which an event passes what is billed."""
    return [
        *_eventbridge(usage),
        *_functions(usage),
        *_table(usage),
        *_queue(usage),
        *_ledger(usage),
        *_logs(usage),
        *_traces(usage),
        *_fixed(usage),
    ]


def _eventbridge(usage: Usage) -> Iterator[Cost]:
    size = usage.assumptions["event_bytes"]
    parts = usage.events * math.ceil(size / EVENT_PART)
    price = usage.prices.of("eventbridge", "million_partner_events")
    yield Cost("EventBridge", "partner events", f"{_n(parts)} x {price} / million", parts * price / MILLION)
    gb, archived = usage.events * size / GB, usage.prices.of("eventbridge", "archived_gb")
    yield Cost("EventBridge", "archive, writing", f"{gb:.2f} GB x {archived}", gb * archived)
    kept = gb * _months(usage.stack.settings.archive_retention_days, usage)
    price = usage.prices.of("eventbridge", "archive_gb_month")
    how = f"{kept:.2f} GB of {usage.stack.settings.archive_retention_days} days x {price}"
    yield Cost("EventBridge", "archive, storage", how, kept * price)


def _functions(usage: Usage) -> Iterator[Cost]:
    request = usage.prices.of("lambda", "million_requests")
    for family in WORKING:
        function, number, seconds = (
            usage.stack.functions[family],
            usage.invocations(family),
            usage.seconds(family),
        )
        price = usage.prices.of("lambda", f"million_gb_seconds_{function.architecture}")
        million = million_invocations(usage.prices, function.memory_mb, function.architecture, seconds)
        how = (
            f"{_n(number)} x ({request} / million + {seconds * THOUSAND:.0f} ms x {function.memory_mb} MiB x "
            f"{price} / million GB-s)"
        )
        yield Cost("Lambda", family, how, number * million / MILLION)


def _table(usage: Usage) -> Iterator[Cost]:
    price = usage.prices.of("dynamodb", "million_write_units")
    units = sum(usage.invocations(family) * usage.write_units(family) for family in HANDLERS)
    yield Cost("DynamoDB", "write units", f"{_n(units)} x {price} / million", units * price / MILLION)
    gb = usage.handled * usage.assumptions["item_bytes"] / GB * _months(usage.stack.remembered_days, usage)
    storage = usage.prices.of("dynamodb", "gb_month")
    recovery = usage.prices.of("dynamodb", "recovery_gb_month") if usage.stack.recovery else 0.0
    how = f"{gb:.2f} GB of {usage.stack.remembered_days:.0f} days x ({storage} + {recovery} recovery)"
    yield Cost("DynamoDB", "storage", how, gb * (storage + recovery))


def _queue(usage: Usage) -> Iterator[Cost]:
    price = usage.prices.of("sqs", "million_fifo_requests")
    number = usage.events * REQUESTS_PER_MESSAGE * math.ceil(usage.assumptions["event_bytes"] / EVENT_PART)
    yield Cost("SQS", "audit queue", f"{_n(number)} x {price} / million", number * price / MILLION)
    idle = usage.assumptions["idle_polls_per_second"] * SECONDS
    yield Cost("SQS", "empty receives", f"{_n(idle)} x {price} / million", idle * price / MILLION, fixed=True)


def _ledger(usage: Usage) -> Iterator[Cost]:
    number, price = usage.invocations("audit"), usage.prices.of("s3", "thousand_puts")
    yield Cost("S3", "ledger, writing", f"{_n(number)} x {price} / thousand", number * price / THOUSAND)
    # S3 moves no object under 128 KB to another class, and a batch of ten is smaller.
    kept = usage.stack.settings.ledger_expiration_days
    months = _months(kept, usage) if kept else usage.assumptions["months"]
    gb, price = (
        usage.events * usage.assumptions["object_bytes"] / GB * months,
        usage.prices.of("s3", "gb_month"),
    )
    yield Cost("S3", "ledger, storage", f"{gb:.2f} GB of {months:.0f} months x {price}", gb * price)


def _logs(usage: Usage) -> Iterator[Cost]:
    size = sum(usage.invocations(family) * usage.measured.functions[family].log_bytes for family in WORKING)
    size += usage.events * usage.assumptions["event_bytes"] * usage.stack.settings.bus_logs
    gb, price = size / GB, usage.prices.of("cloudwatch", "logs_gb")
    yield Cost("CloudWatch", "logs, writing", f"{gb:.2f} GB x {price}", gb * price)
    kept = gb * _months(usage.stack.settings.log_retention_days, usage)
    price = usage.prices.of("cloudwatch", "logs_gb_month")
    how = f"{kept:.2f} GB of {usage.stack.settings.log_retention_days} days x {price}"
    yield Cost("CloudWatch", "logs, storage", how, kept * price)
    types = len(ROUTES)
    number = types * usage.assumptions["metrics_per_type"]
    # The hours of a month in which a type arrives, if its events come at random.
    hours = HOURS * (1 - math.exp(-usage.handled / types / HOURS))
    price = usage.prices.of("cloudwatch", "custom_metric")
    each = usage.assumptions["metrics_per_type"]
    how = f"{types} types x {each:g} x {price} x {hours:.0f} of {HOURS} hours"
    yield Cost("CloudWatch", "custom metrics", how, number * price * hours / HOURS)


def _traces(usage: Usage) -> Iterator[Cost]:
    if usage.stack.settings.lambda_tracing:
        number = sum(map(usage.invocations, WORKING))
        traced = min(number, TRACED_PER_SECOND * SECONDS) + TRACED_SHARE * max(0.0, number - SECONDS)
        price = usage.prices.of("xray", "million_traces")
        yield Cost("X-Ray", "traces", f"{_n(traced)} x {price} / million", traced * price / MILLION)


def _fixed(usage: Usage) -> Iterator[Cost]:
    stack = usage.stack
    for service, what, number, price in (
        ("cloudwatch", "alarm metrics", stack.alarm_metrics, "metric_of_alarm"),
        ("cloudwatch", "composite alarms", stack.composite_alarms, "composite_alarm"),
        ("cloudwatch", "dashboard", stack.dashboards, "dashboard"),
        ("secretsmanager", "secrets", stack.secrets, "secret"),
        ("kms", "key", stack.keys, "key"),
    ):
        if number:
            each = usage.prices.of(service, price)
            yield Cost(SERVICES[service], what, f"{number} x {each}", number * each, fixed=True)


def _months(days: float, usage: Usage) -> float:
    """Return how many months of data are stored where each is kept for some days."""
    return min(days / DAYS, usage.assumptions["months"])


def _n(number: float) -> str:
    return f"{number / MILLION:.2f} M" if number >= MILLION / 10 else f"{number:,.0f}"
