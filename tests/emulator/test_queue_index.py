"""A standard queue does what MiniStack's does, without looking at every message for each call."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from typing import Any

import pytest
from ministack.services import sqs

from ops.emulator import queue_index
from ops.emulator.fixes import in_flight
from ops.emulator.fixes import queue_index as fix

pytestmark = pytest.mark.unit

Data = dict[str, Any]
REPLACED = {
    sqs: ("_collect_msgs", "_expire_retained", "_act_change_visibility", "_act_change_visibility_batch"),
    in_flight: ("count", "held"),
}
MESSAGES = 1_000
RETENTION_SECONDS = 600


class Clock:
    """The time, which tests move."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Counted(dict[str, Any]):
    """A message that counts how often anyone looks whether it is visible."""

    looks = 0

    def __getitem__(self, key: str) -> Any:
        Counted.looks += key == "visible_at"
        return super().__getitem__(key)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(time, "time", made)
    return made


@pytest.fixture
def emptied(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Iterator[None]:
    """No queues, and every function as it was after the test."""
    del clock
    for owner, names in REPLACED.items():
        for name in names:
            monkeypatch.setattr(owner, name, getattr(owner, name))
    for name, table in vars(sqs).items():
        if type(table) is dict and name.startswith("_HANDLERS"):
            monkeypatch.setattr(sqs, name, dict(table))
    sqs.reset()
    yield
    sqs.reset()
    queue_index._indexes.clear()


def create() -> str:
    attributes = {"MessageRetentionPeriod": str(RETENTION_SECONDS), "VisibilityTimeout": "30"}
    url: str = sqs._act_create_queue({"QueueName": "messages", "Attributes": attributes}, "")["QueueUrl"]
    return url


def receive(url: str, most: int, seconds: int) -> list[Data]:
    asked = {"QueueUrl": url, "MaxNumberOfMessages": most, "VisibilityTimeout": seconds}
    found: list[Data] = asyncio.run(sqs._act_receive_message(asked, "")).get("Messages", [])
    return found


def history(seed: int, clock: Clock) -> list[object]:
    """Do the same random calls for a seed, and return what each of them answered."""
    chance, url = random.Random(seed), create()  # noqa: S311 (a test that can be repeated)
    queue = sqs._get_q(url)
    receipts: list[str] = []
    answers: list[object] = []
    for step in range(150):
        clock.now += chance.choice((0, 0, 0.5, 5, 40))
        action = chance.randrange(8)
        if action < 3:
            sent = {"QueueUrl": url, "MessageBody": str(step), "DelaySeconds": chance.choice((0, 0, 3))}
            sqs._act_send_message(sent, "")
        elif action < 6:
            found = receive(url, chance.randint(1, 10), chance.choice((0, 5, 30)))
            receipts += [message["ReceiptHandle"] for message in found]
            answers.append([message["Body"] for message in found])
        elif receipts and action == 6:
            entries = [
                {
                    "Id": str(number),
                    "ReceiptHandle": chance.choice(receipts),
                    "VisibilityTimeout": chance.choice((0, 7, 60)),
                }
                for number in range(3)
            ]
            answers.append(sqs._act_change_visibility_batch({"QueueUrl": url, "Entries": entries}, ""))
        elif receipts:
            try:
                sqs._act_delete_message({"QueueUrl": url, "ReceiptHandle": chance.choice(receipts)}, "")
            except sqs._Err as error:
                answers.append(error.code)
        answers.append(in_flight.count(queue))
    sqs._act_delete_queue({"QueueUrl": url}, "")
    return answers


@pytest.mark.usefixtures("emptied")
@pytest.mark.parametrize("seed", range(20))
def test_random_calls_are_answered_as_without_the_index(seed: int, clock: Clock) -> None:
    began = clock.now
    plain = history(seed, clock)
    fix.apply()
    clock.now = began
    assert history(seed, clock) == plain


def looks(count: int) -> int:
    """Receive all messages of a queue, ten by ten, release them, and return how often one was looked at."""
    url = create()
    queue = sqs._get_q(url)
    for number in range(count):
        sqs._act_send_message({"QueueUrl": url, "MessageBody": str(number)}, "")
    queue["messages"][:] = [Counted(message) for message in queue["messages"]]
    Counted.looks = 0
    bodies = []
    while found := receive(url, 10, 120):
        bodies += [message["Body"] for message in found]
        in_flight.count(queue)
        entries = [
            {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"], "VisibilityTimeout": 600}
            for number, message in enumerate(found)
        ]
        sqs._act_change_visibility_batch({"QueueUrl": url, "Entries": entries}, "")
    assert bodies == [str(number) for number in range(count)]
    return Counted.looks


@pytest.mark.usefixtures("emptied")
def test_a_message_is_looked_at_a_few_times_and_not_for_each_receive() -> None:
    assert looks(MESSAGES) > MESSAGES * MESSAGES / 10
    fix.apply()
    sqs.reset()
    assert looks(MESSAGES) < MESSAGES * 10


@pytest.mark.usefixtures("emptied")
def test_a_message_that_another_service_removes_or_appends_is_noticed() -> None:
    fix.apply()
    url = create()
    queue = sqs._get_q(url)
    for number in range(4):
        sqs._act_send_message({"QueueUrl": url, "MessageBody": str(number)}, "")
    assert [message["Body"] for message in receive(url, 2, 60)] == ["0", "1"]
    queue["messages"].remove(queue["messages"][0])
    queue["messages"].append({"id": "other", "body": "4", "sent_at": time.time(), "visible_at": time.time()})
    assert in_flight.count(queue) == 1
    assert [message["Body"] for message in receive(url, 10, 60)] == ["2", "3", "4"]
