"""What a verification found, for people and programs, and what to look at next. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from functions.shared import names
from infra.names import PROJECT
from ops.console import plural
from ops.local.accounting import Row
from ops.verify.run import Verification


def document(environment: str, found: Verification) -> dict[str, Any]:
    """Return the findings as JSON."""
    return {
        "environment": environment,
        "run": found.run,
        "passed": found.passed,
        "events": [
            {
                "event_id": row.sent.event_id,
                "event_type": row.sent.event_type,
                "handler": row.sent.handler,
                "outcome": row.outcome,
                "audited": row.audited,
                "latency_ms": row.latency_ms,
                "reason": _reason(found, row),
            }
            for row in found.rows
        ],
        "never_made": list(found.never_made),
        "left": list(found.left),
        "timings": {step: round(seconds, 2) for step, seconds in found.timings.items()},
    }


def verdict(found: Verification) -> str:
    """Return the last line: whether it passed, and the figures that decide it."""
    accounted, total = sum(row.accounted for row in found.rows), plural(len(found.rows), "event")
    parked = sum(row.outcome == "parked" for row in found.rows)
    return (
        f"{'passed' if found.passed else 'FAILED'}: {accounted} of {total} at their end, {parked} parked, "
        f"{len(found.never_made)} never made by Stripe, {len(found.left)} left in Stripe"
    )


def next_steps(environment: str, found: Verification) -> Iterator[str]:
    """Yield one line for each event without a good end, and for what is left, with what to look at next."""
    for event_type in found.never_made:
        yield (
            f"{event_type}: Stripe lists no event of run {found.run}: look at the objects in the Dashboard, "
            "and check that the key is of the same account"
        )
    for row in found.rows:
        problem = _problem(environment, found, row)
        if problem:
            yield f"{row.sent.event_id} ({row.sent.event_type}) {problem}"
    for each in found.left:
        yield f"{each} is left in Stripe: remove it in the Dashboard"


def _problem(environment: str, found: Verification, row: Row) -> str | None:
    show = f"`huntaze-stripe dlq show --env {environment} --event-id {row.sent.event_id}`"
    if row.outcome == "parked":
        return f"was parked: {_reason(found, row)}: {show}"
    if row.outcome is not None:
        return None if row.audited else "is not in the ledger: docs/runbooks/audit-errors.md"
    if not row.audited:
        return (
            "has not reached the ledger: check the event destination's status and its types in Workbench, "
            f"and the queue {PROJECT}-bus-dlq-{environment}"
        )
    reason = _reason(found, row)
    if reason:
        return f"failed in its handler: {reason}: it is retried, then in a dead-letter queue: {show}"
    return (
        f"is in the ledger, and its handler has not finished it: see the log group "
        f"/aws/lambda/{PROJECT}-{row.sent.handler or names.PAYMENTS}-{environment}, and {show}"
    )


def _reason(found: Verification, row: Row) -> str | None:
    trouble = found.troubles.get(row.sent.event_id)
    done = row.outcome is not None and row.outcome != "parked"
    return None if trouble is None or done else trouble.reason
