"""An outage and the recovery from it, in simulated time: the shipped redrive with fakes around it.

The handlers keep the pipeline's rules: after a call of unknown outcome, an older state of the object waits
until the newer one is settled, and an event that waits does not call the API.
"""

from __future__ import annotations

import heapq
import itertools
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from functions.dead_letters import auto_redrive, drain, lease
from functions.dead_letters.settings import AutoRedriveSettings
from functions.pipeline.idempotency_table import ConditionFailedError
from functions.shared import aws, names, telemetry
from tests.unit import snapshots

INTERVAL = 300.0
# The time-out that the stack gives the function for this interval, and handlers of 30 s.
TIMEOUT = 410.0
RATE = 5
ATTEMPTS = 10
RECEIVE_SECONDS = 0.02
EMPTY_SECONDS = 1.0
WAITING_SECONDS = 0.05
CALL_SECONDS = 0.3
# Four attempts within one invocation, with their waits.
FAILING_SECONDS = 1.5


class KilledError(BaseException):
    """The function has timed out: nothing that it does now has an effect."""


@dataclass
class Clock:
    """Replaces the time module."""

    now: float = 1_000_000.0

    def time(self) -> float:
        return self.now

    monotonic = time

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Workers:
    """Concurrent calls: each ends after its own duration."""

    def __init__(self, clock: Clock, most: int) -> None:
        self.most = most
        self.busy = 0
        self._clock = clock
        self._ends: list[tuple[float, int, Any, Callable[[Any], None]]] = []
        self._numbers = itertools.count()

    def start(self, call: Callable[[], Any], then: Callable[[Any], None]) -> None:
        began = self._clock.now
        result = call()
        heapq.heappush(self._ends, (self._clock.now, next(self._numbers), result, then))
        self._clock.now = began
        self.busy += 1

    def wait(self, seconds: float) -> None:
        until = self._clock.now + max(0.0, seconds)
        if not self._ends or self._ends[0][0] > until:
            self._clock.now = until
            return
        ended, _, result, then = heapq.heappop(self._ends)
        self._clock.now = max(self._clock.now, ended)
        self.busy -= 1
        then(result)

    def close(self) -> None:
        assert not self.busy


class Queues:
    """SQS, which returns the oldest message first: the worst order for newer states."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._numbers = itertools.count()
        self.bodies: dict[str, dict[str, tuple[float, str]]] = {"payments": {}, "billing": {}, "audit": {}}
        self._visible: dict[str, list[int]] = {name: [] for name in self.bodies}
        self._hidden: list[tuple[float, int, str]] = []
        self._until: dict[int, float] = {}

    def put(self, queue: str, body: Any) -> None:
        number = next(self._numbers)
        self.bodies[queue][str(number)] = (self._world.clock.now, json.dumps(body))
        heapq.heappush(self._visible[queue], number)

    def receive_message(self, **call: Any) -> dict[str, Any]:
        self._world.begin_call(RECEIVE_SECONDS)
        now = self._world.clock.now
        queue = call["QueueUrl"].rpartition("/")[2]
        while self._hidden and self._hidden[0][0] <= now:
            until, number, its = heapq.heappop(self._hidden)
            if self._until.get(number) == until and str(number) in self.bodies[its]:
                del self._until[number]
                heapq.heappush(self._visible[its], number)
        found: list[dict[str, Any]] = []
        while self._visible[queue] and len(found) < call["MaxNumberOfMessages"]:
            number = heapq.heappop(self._visible[queue])
            sent, body = self.bodies[queue][str(number)]
            self._hide(queue, number, now + call["VisibilityTimeout"])
            found.append(
                {
                    "MessageId": str(number),
                    "ReceiptHandle": str(number),
                    "Body": body,
                    "Attributes": {"SentTimestamp": str(int(sent * 1000))},
                }
            )
        if not found:
            self._world.clock.sleep(EMPTY_SECONDS)
        return {"Messages": found}

    def _hide(self, queue: str, number: int, until: float) -> None:
        self._until[number] = until
        heapq.heappush(self._hidden, (until, number, queue))

    def change_message_visibility_batch(self, **call: Any) -> None:
        self._world.begin_call(RECEIVE_SECONDS)
        for entry in call["Entries"]:
            until = self._world.clock.now + entry["VisibilityTimeout"]
            self._hide(call["QueueUrl"].rpartition("/")[2], int(entry["ReceiptHandle"]), until)

    def delete_message(self, **call: Any) -> None:
        self._world.begin_call(RECEIVE_SECONDS)
        self.bodies[call["QueueUrl"].rpartition("/")[2]].pop(call["ReceiptHandle"])
        self._until.pop(int(call["ReceiptHandle"]), None)


class Runs:
    """The item that runs share, with the conditions of the shipped updates."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.item: dict[str, Any] = {}

    def update(self, key: str, expression: str, condition: str, **values: Any) -> Mapping[str, Any]:
        self._world.begin_call(0.005)
        assert key == names.REDRIVE_RUN
        before = dict(self.item)
        free = self.item.get("lease_until", 0) < values.get("now", 0)
        mine = self.item.get("holder") == values["holder"]
        if not (mine if condition == "holder = :holder" else free):
            raise ConditionFailedError(before)
        written = {"holder": "holder", "until": "lease_until", "failed": "failed"}
        self.item |= {written[name]: values[name] for name in written if f":{name}" in expression}
        if "REMOVE" in expression:
            del self.item["holder"], self.item["lease_until"]
        return before

    def expiration(self) -> int:
        return 0


@dataclass
class State:
    """What the idempotency table holds of one object."""

    applied: int = 0
    doubt: dict[str, int] = field(default_factory=dict)


class World:
    """Everything but the shipped code; `fails` says whether the API fails an event at a given time."""

    def __init__(self, fails: Callable[[str, float], bool] = lambda _event, _now: False) -> None:
        self.clock = Clock()
        self.queues = Queues(self)
        self.table = Runs(self)
        self.fails = fails
        self.failing_seconds = FAILING_SECONDS
        self.error = "TransientError"
        self.throttled_until = 0.0
        self.killed_at = float("inf")
        self.api_answers = True
        self.done: dict[str, float] = {}
        self.calls: list[str] = []
        self.metrics: dict[str, list[float]] = {}
        self._objects: dict[str, State] = {}

    def refuse(self) -> World:
        """Let the API refuse with 401 or 403, at once, what it fails."""
        self.error, self.failing_seconds = "AuthenticationRefusedError", 0.1
        return self

    def begin_call(self, seconds: float) -> None:
        self.clock.sleep(seconds)
        if self.clock.now >= self.killed_at:
            raise KilledError

    def fail(
        self, event: str, about: str, created: int, *, queue: str = "billing", doubt: bool = True, **more: Any
    ) -> None:
        """Put an event into its dead-letter queue as Lambda does after its retries."""
        event_type = more.pop("event_type", "customer.updated")
        envelope = snapshots.envelope(event_type, {"id": about}, id=event, created=created, **more)
        failure = {"errorType": "TransientError", "errorMessage": "the API answered 503"}
        self.queues.put(queue, {"requestPayload": envelope, "responsePayload": failure})
        self.clock.sleep(0.001)
        if doubt:
            self._objects.setdefault(about, State()).doubt[event] = created

    def left(self) -> int:
        return sum(map(len, self.queues.bodies.values()))

    def invoke(self, **call: Any) -> dict[str, Any]:
        self.begin_call(0.01)
        if self.clock.now < self.throttled_until:
            error = {
                "Error": {"Code": "TooManyRequestsException"},
                "ResponseMetadata": {"HTTPStatusCode": 429},
            }
            raise ClientError(error, "Invoke")  # type: ignore[arg-type]  # the stub wants all metadata
        detail = json.loads(call["Payload"])["detail"]
        answer = self._deliver(detail["id"], detail["data"]["object"]["id"], detail["created"])
        document = (
            {"outcome": answer}
            if answer in ("applied", "stale")
            else {
                "errorType": answer,
                "errorMessage": "failed",
            }
        )
        failed = {"FunctionError": "Unhandled"} if "errorType" in document else {}
        return {"Payload": SimpleNamespace(read=lambda: json.dumps(document).encode()), **failed}

    def _deliver(self, event: str, about: str, created: int) -> str:
        state = self._objects.setdefault(about, State())
        if any(other > created for name, other in state.doubt.items() if name != event):
            self.clock.sleep(WAITING_SECONDS)
            return "UnsettledError"
        if state.applied > created:
            self.clock.sleep(WAITING_SECONDS)
            return self._settled(state, event, "stale")
        self.calls.append(event)
        if self.fails(event, self.clock.now):
            self.clock.sleep(self.failing_seconds)
            if self.error == "TransientError":
                state.doubt[event] = created
            return self.error
        self.clock.sleep(CALL_SECONDS)
        state.applied = created
        return self._settled(state, event, "applied")

    def _settled(self, state: State, event: str, outcome: str) -> str:
        state.doubt.pop(event, None)
        self.done[event] = self.clock.now
        return outcome

    def run_until(self, over: Callable[[], bool], most_seconds: float) -> float:
        """Run on schedule until `over`; return the seconds it took, or fail after too many."""
        began = self.clock.now
        due = began + INTERVAL - 1.0  # the API came back just after a run
        while not over():
            assert self.clock.now - began <= most_seconds, f"{self.left()} messages left"
            self.clock.now = max(self.clock.now, due)
            self.run(due)
            due += INTERVAL
        return max(self.done.values(), default=began) - began

    def run(self, due: float | None = None) -> dict[str, int]:
        """Run once, from the time at which the run was due."""
        ends = (self.clock.now if due is None else due) + TIMEOUT
        context: Any = SimpleNamespace(
            get_remaining_time_in_millis=lambda: max(0, int((ends - self.clock.now) * 1000))
        )
        try:
            return auto_redrive.run(context)
        except KilledError:
            self.killed_at = float("inf")
            return {}


@contextmanager
def playing(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Run the shipped code in the world."""
    settings = AutoRedriveSettings(
        api_url="http://api",
        table="table",
        expiry_seconds=8_640_000,
        functions={"payments": "payments", "billing": "billing"},
        queue_urls={name: f"http://sqs/{name}" for name in world.queues.bodies},
        audit_queue_url="http://sqs/events",
        attempts=ATTEMPTS,
        per_second=RATE,
        handler_seconds=30,
    )
    clients = {"sqs": world.queues, "lambda": world}
    monkeypatch.setattr(auto_redrive, "auto_redrive_settings", lambda: settings)
    monkeypatch.setattr(auto_redrive, "api_answers", lambda _url: world.api_answers)
    monkeypatch.setattr(auto_redrive, "Table", lambda *_: world.table)
    monkeypatch.setattr(auto_redrive, "Workers", lambda most: Workers(world.clock, most))
    monkeypatch.setattr(aws, "session", lambda: SimpleNamespace(client=lambda name, **_: clients[name]))
    monkeypatch.setattr(
        telemetry.metrics,
        "add_metric",
        lambda name, _unit, value: world.metrics.setdefault(name, []).append(value),
    )
    for module in (auto_redrive, drain):
        monkeypatch.setattr(module, "logger", logging.getLogger("discarded"))
    for module in (auto_redrive, drain, lease):
        monkeypatch.setattr(module, "time", world.clock)
    yield world
