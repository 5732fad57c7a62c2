"""What an environment holds about one customer, in all of its stores."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import typer

from functions.ledger.reader import READERS
from ops.console import plural
from ops.customer import items, parked, rows
from ops.customer.items import Item
from ops.customer.objects import FrozenError, LedgerObjects, UnreadableError, Version
from ops.customer.rows import Row
from ops.customer.search import About, Search, about
from ops.dlq import queues as dead_letter_queues
from ops.dlq.drain import Messages, inspect
from ops.dlq.filters import Filters
from ops.dlq.interrupts import interruption
from ops.dlq.queues import FIFO, NamedQueue
from ops.environment import Environment, aws_errors
from ops.progress import Step, Steps

# Failures that a damaged line of the ledger causes.
_DAMAGED: Final = (ValueError, KeyError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Record:
    """A line of an object in S3, as the audit function wrote it; `line` is its number in the object."""

    version: Version
    line: int
    document: dict[str, Any] = field(repr=False)


@dataclass
class Holdings:
    """What was found; make it with `find`.

    Parameters
    ----------
    versions
        The versions of the ledger's objects that hold events of the customer.
    records
        These events in S3, one for each delivery and version.
    rows
        These events in PostgreSQL.
    messages
        Messages of dead-letter queues.
    items
        Items of the idempotency table about all of these events.
    unseen
        How many messages of dead-letter queues others hold now.
    waiting
        How many events are on their way to the ledger, whoever they are about.
    frozen, damaged
        Objects that could not be read: in an archive storage class, and not as they were written.
    """

    environment: Environment
    search: Search
    objects: LedgerObjects
    database_url: str = field(repr=False)
    queues: list[NamedQueue]
    versions: list[Version] = field(default_factory=list)
    records: list[Record] = field(default_factory=list, repr=False)
    rows: list[Row] = field(default_factory=list, repr=False)
    messages: Messages = field(default_factory=list, repr=False)
    items: list[Item] = field(default_factory=list, repr=False)
    unseen: int = 0
    waiting: int = 0
    frozen: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)

    @property
    def audited(self) -> set[str]:
        """Ids of the customer's events that the ledger holds."""
        in_objects = {record.document["event_id"] for record in self.records}
        return in_objects | {row.event_id for row in self.rows}

    @property
    def events(self) -> int:
        """How many events were found, in whatever store."""
        return len(self.audited | {message.event_id for message, _ in self.messages if message.event_id})


def find(environment: Environment, customer: str, since: datetime | None, steps: Steps) -> Holdings:
    """Read all stores.

    Parameters
    ----------
    since
        Objects of the ledger from before are not read; None reads all.

    Raises
    ------
    OperatorError
        A store can't be read.
    typer.Exit
        A signal interrupted while messages were held.
    """
    search = Search(customer)
    queues = dead_letter_queues.find(environment, ())
    objects = LedgerObjects(environment, since)
    found = Holdings(environment, search, objects, rows.database_url(environment), queues)
    messages = _messages(found, steps)
    with steps.step("read the ledger in S3") as step:
        step.note = f"{plural(_search_objects(found, step), 'object')}, former versions included"
    search.settle()
    if found.database_url:
        with steps.step("read PostgreSQL") as step:
            found.rows = rows.find(found.database_url, search)
            step.note = plural(len(found.rows), "row")
    found.versions = [each for each in search.found if isinstance(each, Version)]
    found.messages = [item for item in messages if item[0] in search.found]
    with steps.step("read what was found") as step:
        found.records = list(_records(found, step))
        found.items = items.read(environment, _item_keys(found))
        step.note = plural(found.events, "event")
    return found


def _messages(found: Holdings, steps: Steps) -> Messages:
    """Return all dead-letter messages, and count what nobody can see now."""
    with interruption() as interrupted:
        messages, counts = inspect(found.queues, Filters(), steps, interrupted)
    if interrupted:
        raise typer.Exit(interrupted.exit_code)
    for message, _ in messages:
        found.search.add(message, parked.whom(message, found.search.customer))
    found.unseen = counts.all_unseen
    found.waiting = _waiting(found.environment)
    return messages


def _waiting(environment: Environment) -> int:
    name = f"{environment.resource('events')}{FIFO}"
    client = environment.client("sqs")
    wanted = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    with aws_errors(f"the queue {name}"):
        url = client.get_queue_url(QueueName=name)["QueueUrl"]
        answer = client.get_queue_attributes(QueueUrl=url, AttributeNames=wanted)
        return sum(int(answer["Attributes"][each]) for each in wanted)


def _search_objects(found: Holdings, step: Step) -> int:
    """Search all versions, and return how many there are."""
    done = 0
    with ThreadPoolExecutor(READERS) as pool:
        for page in found.objects.pages():
            for version, events in zip(page, pool.map(lambda each: _events(found, each), page), strict=True):
                done += 1
                step.advance_to(done, None, f"{done} objects")
                for each in events:
                    found.search.add(version, each)
    return done


def _events(found: Holdings, version: Version) -> list[About]:
    """Return what the events of a version are about."""
    return [about(document["envelope"]["detail"]) for _, document in _documents(found, version)]


def _documents(found: Holdings, version: Version) -> list[tuple[int, dict[str, Any]]]:
    """Return the records of a version with their line numbers; note a version that can't be read."""
    try:
        return list(_readable(found, version))
    except FrozenError:
        found.frozen.append(version.key)
    except UnreadableError:
        found.damaged.append(version.key)
    return []


def _readable(found: Holdings, version: Version) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the records of a version with their line numbers.

    Raises
    ------
    FrozenError, UnreadableError
        The version can't be read, or a line that is damaged holds the customer's id.
    """
    for number, line in enumerate(found.objects.lines(version)):
        try:
            document = json.loads(line)
            _ = document["event_id"], document["envelope"]["detail"].items()
        except _DAMAGED:
            # Another line concerns others.
            if found.search.customer.encode() in line:
                raise UnreadableError from None
            continue
        yield number, document


def _records(found: Holdings, step: Step) -> Iterator[Record]:
    for done, version in enumerate(found.versions, 1):
        step.advance_to(done, len(found.versions))
        for number, document in _documents(found, version):
            if found.search.concerns(about(document["envelope"]["detail"])):
                yield Record(version, number, document)


def _item_keys(found: Holdings) -> Sequence[str]:
    envelopes: list[Any] = [record.document["envelope"] for record in found.records]
    envelopes += [{"detail": dict(row.event)} for row in found.rows]
    envelopes += [message.envelope for message, _ in found.messages if isinstance(message.envelope, dict)]
    return list(dict.fromkeys(key for envelope in envelopes for key in items.keys_of(envelope)))
