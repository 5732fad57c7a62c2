"""What a phase can do: send its events in parts, stop and start servers, and wait."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from functions.dead_letters.lease import event_key
from functions.shared import names
from ops.chaos.history import PlannedDelivery
from ops.chaos.servers import Servers
from ops.chaos.verdict import Sent, Verdict, check
from ops.local import drive
from ops.local.deployment import EVENT_SOURCE, Deployment
from ops.local.observer import Observer

POLL_SECONDS: Final = 1.0
# The longest time without any change in a healthy run: a killed handler's record stays in progress for the
# function's 30 s, and the last retry comes 4 s after the one before.
SILENCE_SECONDS: Final = 60.0

REDRIVE: Final = "redrive"
RUN_ENDED: Final = "dead-letter queues seen"
AUDIT_QUEUE: Final = "-events-dev.fifo"
NOTHING: Final = {"left": 0}

Progress = Callable[[int, int, str], None]


@dataclass
class Stage:
    """One run from its first phase to its last.

    Parameters
    ----------
    sent
        What was sent so far, in order; each verdict covers all of it.
    poison
        Ids of the messages that were put into the audit queue and are not envelopes.
    pending
        The phase's deliveries that are not sent yet.
    injected
        The failures that the phase caused without a fault, and how often.
    attempts_spent
        How many redrive attempts the phase's failures used up.
    healthy_since
        When the phase removed its faults, in Unix seconds.
    """

    servers: Servers
    deployment: Deployment
    observer: Observer
    sent: list[Sent] = field(default_factory=list)
    poison: set[str] = field(default_factory=set)
    pending: list[PlannedDelivery] = field(default_factory=list)
    injected: dict[str, int] = field(default_factory=dict)
    attempts_spent: int = 0
    healthy_since: float = 0.0
    progress: Progress = lambda _done, _total, _note: None

    def add_injected(self, name: str, count: int = 1) -> None:
        """Count a failure that the phase caused without a fault."""
        self.injected[name] = self.injected.get(name, 0) + count

    def send(self, count: int | None = None) -> None:
        """Put `count` of the phase's events on the bus; None puts all that are left."""
        taken = self.pending[:count]
        del self.pending[: len(taken)]
        envelopes = [{"detail": delivery.detail} for delivery in taken]
        sent = drive.send(self.servers.services.aws, EVENT_SOURCE, envelopes)
        self.sent += [Sent(planned.event, one.envelope_id) for planned, one in zip(taken, sent, strict=True)]

    def send_poison(self, body: str) -> None:
        """Put a message that is not an envelope into the audit queue, in the message group of payments."""
        sqs = self.servers.services.aws.client("sqs")
        url = next(url for name, url in self.deployment.outputs.queues.items() if name.endswith(AUDIT_QUEUE))
        answer = sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId=names.HANDLERS[0])
        self.poison.add(answer["MessageId"])

    def limit_handlers(self, seconds: int) -> None:
        """Set the time-out of the functions that apply events."""
        client = self.servers.services.aws.client("lambda")
        for handler in names.HANDLERS:
            client.update_function_configuration(
                FunctionName=self.deployment.outputs.functions[handler], Timeout=seconds
            )

    def redrive_attempts(self, events: Sequence[str]) -> int:
        """Return how many redrive attempts of the events the redrive function has counted as failed."""
        item = self.servers.services.aws.client("dynamodb").get_item(
            TableName=self.deployment.outputs.idempotency_table,
            Key={names.IDEMPOTENCY_KEY_ATTRIBUTE: {"S": names.REDRIVE_RUN}},
        )
        failed = item.get("Item", {}).get("failed", {}).get("M", {})
        known = {event_key(event) for event in events}
        return sum(int(value["L"][0]["N"]) for key, value in failed.items() if key in known)

    def redrive_runs(self, since: float) -> int:
        """Return how many runs of the redrive function found a message since a Unix time."""
        name = self.deployment.outputs.functions[REDRIVE].rpartition(":")[2]
        pages = (
            self.servers.services.aws.client("logs")
            .get_paginator("filter_log_events")
            .paginate(logGroupName=f"/aws/lambda/{name}", startTime=int(since * 1000))
        )
        lines = (line["message"] for page in pages for line in page["events"] if RUN_ENDED in line["message"])
        return sum(json.loads(line)["counts"] != NOTHING for line in lines)

    def wait_until_ended(self) -> None:
        """Wait until each delivery has ended in a handler's closing line or in a dead-letter queue.

        While the API is down, that is when every retry is used up. It gives up after SILENCE_SECONDS without
        any change; the verdict then names the open deliveries.
        """
        last, deadline = -1, time.monotonic() + SILENCE_SECONDS
        while time.monotonic() < deadline:
            verdict = self._check(healed=False)
            self.progress(len(self.sent) - verdict.open, len(self.sent), "ended")
            if not verdict.open:
                self.add_injected("deliveries in dead-letter queues", verdict.figures["in DLQ for now"])
                return
            if verdict.open != last:
                last, deadline = verdict.open, time.monotonic() + SILENCE_SECONDS
            time.sleep(POLL_SECONDS)

    def settle(self, *, healed: bool, silence: float = SILENCE_SECONDS) -> Verdict:
        """Look until the promise is kept, or nothing changes for `silence` seconds; return the verdict."""
        last: object = None
        deadline = time.monotonic() + silence
        while True:
            verdict = self._check(healed=healed)
            open_events = {violation.subject for violation in verdict.violations}
            total = len({one.event.id for one in self.sent})
            self.progress(max(0, total - len(open_events)), total, "kept")
            state = (verdict.figures, len(verdict.violations))
            if state != last:
                last, deadline = state, time.monotonic() + silence
            if verdict.passed or time.monotonic() > deadline:
                return verdict
            time.sleep(POLL_SECONDS)

    def _check(self, *, healed: bool) -> Verdict:
        return check(self.sent, self.observer.look(), poison=frozenset(self.poison), healed=healed)
