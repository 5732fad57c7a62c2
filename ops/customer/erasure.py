"""The erasure of a customer.

Each step can be interrupted and repeated: a new version is written before the one that it replaces is
deleted, and what is erased already does not change.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Final

import typer

from functions.shared import names
from ops import ledger_record
from ops.console import plural, print_error
from ops.customer import items, parked, rows
from ops.customer.erased import erased_event
from ops.customer.holdings import Record
from ops.customer.plan import Plan
from ops.dlq.interrupts import interruption
from ops.errors import OperatorError
from ops.progress import Step, Steps
from ops.times import stamp

STARTED: Final = "started"
COMPLETED: Final = "completed"


def run(plan: Plan, reason: str, steps: Steps) -> str:
    """Erase, and return the key of the record of who did it and why.

    Raises
    ------
    OperatorError
        A store refuses or does not answer; the same command continues.
    """
    key = _write_record(plan, reason, STARTED)
    done = False
    try:
        _delete_messages(plan, steps)
        with steps.step("rewrite the ledger in S3") as step:
            _rewrite(plan, step)
        if plan.rows:
            with steps.step("replace the rows"):
                rows.replace(plan.found.database_url, list(plan.rows.items()))
        with steps.step("remove the hashes") as step:
            for number, item in enumerate(plan.items, 1):
                items.remove_hashes(plan.found.environment, item)
                step.advance_to(number, len(plan.items))
        _write_record(plan, reason, COMPLETED)
        done = True
    finally:
        if not done:
            print_error("the erasure is not complete: repeat the same command, which continues it")
    return key


def _delete_messages(plan: Plan, steps: Steps) -> None:
    if not plan.messages:
        return
    with interruption() as interrupted:
        deleted = parked.delete(plan.found.queues, plan.messages, steps, interrupted)
    if interrupted:
        raise typer.Exit(interrupted.exit_code)
    if left := len(plan.messages) - deleted:
        raise OperatorError(f"{plural(left, 'message')} not deleted, because others hold them now")


def _rewrite(plan: Plan, step: Step) -> None:
    time = stamp(plan.at)
    for done, (version, records) in enumerate(plan.records.items()):
        step.advance_to(done, len(plan.records))
        if version.latest:
            lines = plan.found.objects.present_lines(version)
            for record in records:
                lines[record.line] = _line(record, plan.customer, time)
            plan.found.objects.replace(version, lines)
        plan.found.objects.delete(version)
    step.note = plural(len(plan.records), "version")


def _line(record: Record, customer: str, time: str) -> bytes:
    envelope = record.document["envelope"]
    event = erased_event(envelope["detail"], customer, time)
    # As functions.ledger.records writes it.
    document = record.document | {"envelope": envelope | {"detail": event}}
    return json.dumps(document, separators=(",", ":"), allow_nan=False).encode()


def _write_record(plan: Plan, reason: str, state: str) -> str:
    """Write who erases which customer, when and why, before the first change and after the last one.

    The customer's id stays: without it, nobody could prove or repeat the erasure. It names nobody once Stripe
    has redacted the customer.
    """
    environment = plan.found.environment
    day, second = plan.at.date().isoformat(), plan.at.strftime("%Y%m%dT%H%M%SZ")
    key = f"{names.ERASURES_PREFIX}dt={day}/{plan.customer}-{second}.json"
    counts = {name: value for name, value in plan.document().items() if name not in ("events", "waiting")}
    since = plan.found.objects.since
    document = {
        **counts,
        "state": state,
        "at": stamp(plan.at),
        "completed_at": stamp(datetime.now(UTC)) if state == COMPLETED else None,
        "reason": reason,
        "since": None if since is None else stamp(since),
        "events": plan.events,
        "objects": sorted({version.key for version in plan.records}),
    }
    # Written again, as completed, after the last change.
    return ledger_record.write(environment, key, document, once=False)
