"""The audit during an outage of PostgreSQL, in simulated time: the shipped batch handler and a real server.

The queue follows the rules of Amazon SQS ("FIFO queue delivery logic", "Using dead-letter queues in Amazon
SQS") with the numbers of the synthesised stack. As with Lambda's event source mapping, each message group has
one batch in flight, and a failed batch stays hidden until its visibility timeout is over.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from functions.ledger import batch, s3
from functions.shared import names
from functions.shared.errors import TransientError
from functions.shared.settings import forget_settings
from ops.local.postgres import running_postgres
from tests.infra.terraform_json import Stack
from tests.unit import snapshots

GROUPS = ("payments", "billing", "other")
HOUR = 3600
# How often the event source mapping asks the queue, and how often each group gets an event.
POLL_SECONDS = 20
EVENT_SECONDS = 300
BEGIN = 1_775_037_600


@dataclass(eq=False)
class Message:
    group: str
    event_id: str
    sent: int
    receives: int = 0
    visible_at: int = 0

    def as_record(self) -> dict[str, Any]:
        """The message as Lambda passes it to the function."""
        envelope = snapshots.envelope("invoice.paid", snapshots.invoice(snapshots.CURRENT), id=self.event_id)
        return {
            "messageId": f"message-{self.event_id}",
            "body": json.dumps(envelope | {"id": f"envelope-{self.event_id}"}),
            "attributes": {"SentTimestamp": str(self.sent * 1000), "MessageGroupId": self.group},
        }


@dataclass
class FifoQueue:
    """The events queue, and the function that reads it."""

    visibility_timeout: int
    max_receives: int
    batch_size: int
    messages: list[Message] = field(default_factory=list)
    dead_letters: list[Message] = field(default_factory=list)
    failed_batches: int = 0
    sent: int = 0

    def send(self, group: str, now: int) -> None:
        self.sent += 1
        self.messages.append(Message(group, f"evt_{self.sent}", now))

    def receive(self, group: str, now: int) -> list[Message]:
        waiting = [message for message in self.messages if message.group == group]
        if any(message.visible_at > now for message in waiting):
            return []
        received: list[Message] = []
        for message in waiting:
            if len(received) == self.batch_size:
                break
            if message.receives == self.max_receives:
                self.messages.remove(message)
                self.dead_letters.append(message)
                continue
            message.receives += 1
            message.visible_at = now + self.visibility_timeout
            received.append(message)
        return received

    def run(self, begin: int, end: int) -> None:
        """Let events arrive and the function work from one time to another."""
        for now in range(begin, end, POLL_SECONDS):
            for group in GROUPS:
                if now % EVENT_SECONDS == 0:
                    self.send(group, now)
                if received := self.receive(group, now):
                    self.invoke(received)

    def invoke(self, received: list[Message]) -> None:
        try:
            answer = batch.store({"Records": [message.as_record() for message in received]})
        except TransientError:
            self.failed_batches += 1
            return
        assert answer == {"batchItemFailures": []}
        self.messages = [message for message in self.messages if message not in received]


class Bucket:
    """Stands for S3."""

    def put_object(self, **_arguments: Any) -> None:
        """Accept every object."""


@pytest.fixture
def queue(stack_of: Callable[[str], Stack], monkeypatch: pytest.MonkeyPatch) -> Iterator[FifoQueue]:
    """The events queue of prod as synthesised."""
    stack = stack_of("prod")
    properties = stack.queues()["huntaze-stripe-events-prod.fifo"]
    monkeypatch.setattr(s3, "_client", Bucket)
    monkeypatch.setenv(names.LEDGER_BUCKET, "ledger")
    monkeypatch.setenv(names.DEAD_LETTER_QUEUE_URL, "https://sqs.example.com/audit-dlq.fifo")
    forget_settings()
    yield FifoQueue(
        properties["VisibilityTimeout"],
        properties["RedrivePolicy"]["maxReceiveCount"],
        stack.only("aws_lambda_event_source_mapping")["batch_size"],
    )
    forget_settings()


def stored(database_url: str) -> set[str]:
    with psycopg.connect(database_url) as connection:
        return {event_id for (event_id,) in connection.execute("SELECT event_id FROM stripe_event_ledger")}


def close_connection(database_url: str) -> None:
    with suppress(psycopg.Error):
        batch._table(database_url).close()
    batch._table.cache_clear()


@pytest.mark.parametrize(("hours", "healed"), [(6, True), (13, False)], ids=["6 hours", "13 hours"])
def test_outage_of_postgresql_heals_without_an_operator_for_twelve_hours(
    queue: FifoQueue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, hours: int, healed: bool
) -> None:
    outage, back = BEGIN + HOUR, BEGIN + (1 + hours) * HOUR
    with running_postgres(tmp_path / "postgres") as database_url:
        monkeypatch.setenv(names.DATABASE_URL, database_url)
        queue.run(BEGIN, outage)
        assert len(stored(database_url)) == queue.sent
        assert not queue.messages
    queue.run(outage, back)
    # Each group's first batch was tried again after each visibility timeout, and nothing else was.
    assert queue.failed_batches >= len(GROUPS) * hours * HOUR // (queue.visibility_timeout + POLL_SECONDS)
    with running_postgres(tmp_path / "postgres", urlsplit(database_url).port):
        # A batch that failed just before the end is visible again by then.
        queue.run(back, back + queue.visibility_timeout + HOUR)
        lost = {message.event_id for message in queue.dead_letters}
        everything = {f"evt_{number}" for number in range(1, queue.sent + 1)}
        waiting = {message.event_id for message in queue.messages}
        close_connection(database_url)
        assert stored(database_url) == everything - lost
        assert not waiting
    assert bool(lost) is not healed
