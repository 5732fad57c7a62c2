"""What an erasure changes in each store."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.console import Console

from ops.console import PlainTable, confirm_by_typing, plural
from ops.customer import items
from ops.customer.erased import erased_event
from ops.customer.holdings import Holdings, Record
from ops.customer.items import Item
from ops.customer.objects import Version
from ops.customer.refusals import refusals
from ops.dlq.drain import Messages
from ops.dlq.queues import is_unsettled
from ops.progress import Steps
from ops.times import stamp


@dataclass
class Plan:
    """What an erasure changes; make it with `make`.

    Parameters
    ----------
    records
        By version of an object, the lines that hold personal values.
    rows
        By event, the payload that replaces the present one.
    items
        Items of the table that hold a hash of a body.
    messages
        Messages that are deleted from dead-letter queues.
    problems
        Why it must not begin, each with what to do.
    """

    found: Holdings
    at: datetime
    records: dict[Version, list[Record]]
    rows: dict[str, Mapping[str, Any]]
    items: list[Item]
    messages: Messages
    problems: list[str]

    @property
    def customer(self) -> str:
        """The customer's id."""
        return self.found.search.customer

    @property
    def empty(self) -> bool:
        """Whether no store holds a personal value."""
        return not (self.records or self.rows or self.items or self.messages)

    @property
    def events(self) -> list[str]:
        """Ids of the events that are erased, in the ledger or in a queue."""
        ids = {each.document["event_id"] for lines in self.records.values() for each in lines}
        return sorted(ids | self.rows.keys() | {each.event_id for each, _ in self.messages if each.event_id})

    def document(self) -> dict[str, Any]:
        """Return what changes, counted, for programs."""
        return {
            "customer": self.customer,
            "environment": self.found.environment.name,
            "events": len(self.events),
            "objects_rewritten": sum(version.latest for version in self.records),
            "versions_deleted": len(self.records),
            "rows": len(self.rows) if self.found.database_url else None,
            "messages": len(self.messages),
            "items": len(self.items),
            "waiting": self.found.waiting,
        }

    def show(self, console: Console) -> None:
        """Print what changes."""
        counts = self.document()
        table = PlainTable(
            *("Store", "What changes", "Number"), title=f"Erasure of {self.customer}", text=("What changes",)
        )
        table.add_row(
            "ledger in S3", "objects rewritten without the values", str(counts["objects_rewritten"])
        )
        table.add_row("", "versions with the values deleted", str(counts["versions_deleted"]))
        if self.found.database_url:
            table.add_row("PostgreSQL", "payloads replaced", str(counts["rows"]))
        table.add_row("dead-letter queues", "messages deleted", str(counts["messages"]))
        table.add_row("idempotency table", "hashes of bodies removed", str(counts["items"]))
        console.print(table)
        console.print(f"{plural(counts['events'], 'event')}; ids, types, times and amounts stay")
        if self.found.waiting:
            console.print(
                f"{plural(self.found.waiting, 'event')} on the way to the ledger, perhaps of the customer: "
                "repeat the command in some minutes",
                soft_wrap=True,
            )

    def ask(self, *, yes: bool, as_json: bool) -> None:
        """Ask for the customer's id.

        Raises
        ------
        OperatorError
            The text differs, or no terminal can ask.
        """
        unsettled = sum(is_unsettled(*each) for each in self.messages)
        waited_for = f", {unsettled} of unknown outcome among the messages" if unsettled else ""
        question = f"Erase {plural(len(self.events), 'event')} for ever{waited_for}? Type the customer's id"
        confirm_by_typing(question, self.customer, yes=yes, as_json=as_json)


def make(found: Holdings, at: datetime, *, purges: bool, steps: Steps) -> Plan:
    """Return what an erasure changes, and what forbids it.

    Parameters
    ----------
    purges
        Whether messages of dead-letter queues are deleted; without it they forbid the erasure.

    Raises
    ------
    OperatorError
        A lock can't be read.
    """
    customer, time = found.search.customer, stamp(at)
    records: dict[Version, list[Record]] = defaultdict(list)
    for record in found.records:
        event = record.document["envelope"]["detail"]
        if erased_event(event, customer, time) != event:
            records[record.version].append(record)
    replaced: dict[str, Mapping[str, Any]] = {}
    for row in found.rows:
        event = erased_event(row.event, customer, time)
        if event != row.event:
            replaced[row.event_id] = event
    with steps.step("ask for locks") as step:
        locks = found.objects.locks(list(records))
        step.note = plural(len(locks), "lock")
    return Plan(
        found,
        at,
        dict(records),
        replaced,
        items.with_hashes(found.items),
        found.messages if purges else [],
        refusals(found, locks, purges=purges),
    )
