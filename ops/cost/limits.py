"""Which limit a peak of events meets first, and what moves it.

What is above a limit waits; nothing is lost as long as it fits into the time that each part keeps it
(docs/failures.md).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from functions.shared.names import HANDLERS, REFETCH
from ops.cost.services import Usage

# Amazon EventBridge quotas: "Invocations throttle limit in transactions per second".
INVOCATIONS: Final[Mapping[str, int]] = {
    "us-east-1": 18_750,
    "us-east-2": 4_500,
    "us-west-1": 2_250,
    "us-west-2": 18_750,
    "af-south-1": 750,
    "ap-northeast-1": 2_250,
    "ap-northeast-3": 750,
    "ap-southeast-1": 2_250,
    "ap-southeast-2": 2_250,
    "ap-southeast-3": 750,
    "eu-central-1": 4_500,
    "eu-south-1": 750,
    "eu-west-1": 18_750,
    "eu-west-2": 2_250,
}
OTHER_INVOCATIONS: Final = 1_100
# Amazon SQS message quotas: requests a second of a FIFO queue, or of each of its groups.
FIFO_REQUESTS: Final = 300
# DynamoDB, "On-demand capacity mode": writes a second of a new table; "Partitions": of one partition.
NEW_TABLE_UNITS: Final = 4_000
# Quotas in Amazon DynamoDB, "Table-level write throughput": of an on-demand table, until it is raised.
TABLE_UNITS: Final = 40_000
PARTITION_UNITS: Final = 1_000
# Amazon S3, "Performance guidelines": writes a second of a prefix.
S3_WRITES: Final = 3_500


@dataclass(frozen=True)
class Limit:
    """A limit.

    Parameters
    ----------
    events
        Events a second at which it is met; None if nobody has said.
    how
        How that follows.
    moves
        The setting or the quota that moves it.
    rare
        Whether it needs events that are unlike the others.
    """

    name: str
    events: float | None
    how: str
    moves: str
    rare: bool = False


def limits(usage: Usage) -> list[Limit]:
    """Return the limits, the first one met first; the unknown and the rare ones last."""
    every = [_eventbridge(usage), *_functions(usage), *_lanes(usage), *_table(usage), _ledger(usage)]
    every += [_api(usage), *_stripe(usage)]
    return sorted(every, key=lambda limit: (limit.rare, math.inf if limit.events is None else limit.events))


def _eventbridge(usage: Usage) -> Limit:
    region = usage.stack.settings.aws_region
    quota = INVOCATIONS.get(region, OTHER_INVOCATIONS)
    targets = usage.stack.invocations_per_handled_event
    return Limit(
        "EventBridge",
        quota / targets,
        f"{quota:,} / s in {region}, {targets} targets for an event",
        'quota "Invocations throttle limit in transactions per second"',
    )


def _functions(usage: Usage) -> Iterator[Limit]:
    account = usage.assumptions["account_concurrency"]
    reserved = sum(max(0, each.reserved) for each in usage.stack.functions.values())
    for family in HANDLERS:
        function, seconds = usage.stack.functions[family], usage.seconds(family)
        own = function.reserved >= 0
        executions = function.reserved if own else max(0, account - reserved)
        share = usage.share(family) * usage.assumptions["handled_share"]
        moves = (
            f"{family}.reserved_concurrency" if own else 'quota "Concurrent executions", which others share'
        )
        yield Limit(
            f"Lambda {family}",
            executions / seconds / share if share else None,
            f"{executions:.0f} at once, {seconds * 1000:.0f} ms each, {share:.0%} of the events",
            moves,
        )
    yield _account(usage)


def _account(usage: Usage) -> Limit:
    account, handled = usage.assumptions["account_concurrency"], usage.assumptions["handled_share"]
    handling = sum(usage.share(family) * handled * usage.seconds(family) for family in HANDLERS)
    seconds = handling + usage.seconds("audit") / max(1.0, usage.assumptions["events_per_batch"])
    return Limit(
        "Lambda account",
        account / seconds,
        f"{account:,.0f} at once in the account, {seconds * 1000:.0f} ms for an event in all functions",
        'quota "Concurrent executions"',
    )


def _lanes(usage: Usage) -> Iterator[Limit]:
    seconds, batch = usage.seconds("audit"), usage.stack.batch
    handled = usage.assumptions["handled_share"]
    shares = {family: usage.share(family) * handled for family in HANDLERS}
    lane = max(shares, key=lambda family: shares[family])
    share = max(shares[lane], 1 - handled)
    yield Limit(
        "audit lane",
        batch / seconds / share,
        f"one batch of {batch} at once, {seconds * 1000:.0f} ms each; {share:.0%} of the events in one lane",
        "audit.memory_mb; the lanes are in infra/patterns.py",
    )
    high = usage.stack.settings.audit_high_throughput
    yield Limit(
        "audit queue",
        FIFO_REQUESTS / (share if high else 1.0),
        f"{FIFO_REQUESTS} / s for {'each lane' if high else 'all lanes'}",
        "audit_high_throughput" if not high else "the lanes are in infra/patterns.py",
    )


def _table(usage: Usage) -> Iterator[Limit]:
    units = max(usage.write_units(family) for family in HANDLERS)
    if units:
        yield Limit(
            "DynamoDB table",
            NEW_TABLE_UNITS / units,
            f"{NEW_TABLE_UNITS:,} write units / s, {units:.1f} for an event; grows with the traffic",
            "warm throughput of the table",
        )
        yield Limit(
            "DynamoDB quota",
            TABLE_UNITS / units,
            f"{TABLE_UNITS:,} write units / s of a table, {units:.1f} for an event",
            'quota "Table-level write throughput"',
        )
        yield Limit(
            "DynamoDB item",
            PARTITION_UNITS / units,
            f"{PARTITION_UNITS:,} write units / s of a partition, if all events are about one object",
            "nothing: the events of one object share an item",
            rare=True,
        )


def _ledger(usage: Usage) -> Limit:
    batch = max(1.0, usage.assumptions["events_per_batch"])
    return Limit("S3 ledger", S3_WRITES * batch, f"{S3_WRITES:,} writes / s of a prefix", "nothing to set")


def _api(usage: Usage) -> Limit:
    rate, handled = usage.assumptions["api_per_second"], usage.assumptions["handled_share"]
    known = rate > 0 and handled > 0
    return Limit(
        "Huntaze API",
        rate / handled if known else None,
        f"{rate:g} calls / s" if known else "unknown: ask its owners, then --set api_per_second=N",
        "the API; reserved_concurrency of payments and billing protects it",
    )


def _stripe(usage: Usage) -> Iterator[Limit]:
    settings = usage.stack.settings
    if settings.order == REFETCH or settings.thin_events:
        yield Limit(
            "Stripe reads",
            float(settings.stripe_reads_per_second),
            "one read for each event that is fetched",
            "stripe_reads_per_second",
        )
