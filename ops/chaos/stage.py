"""What a phase can do: send its events in parts, stop and start servers, and wait."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from functions.pipeline.routing import HANDLERS
from ops.chaos.history import Sending
from ops.chaos.observe import Observer
from ops.chaos.verdict import Sent, Verdict, judge
from ops.chaos.world import World
from ops.local import drive
from ops.local.deployment import EVENT_SOURCE, Deployment

POLL_SECONDS = 1.0
# The longest silence of a run in which everything comes to its end by itself: a killed handler's record
# stays in progress for the function's 30 s, and the last retry comes 4 s after the one before.
SILENCE_SECONDS = 60.0

Progress = Callable[[int, int, str], None]


@dataclass
class Stage:
    """One run from its first phase to its last.

    Parameters
    ----------
    sent
        What was sent so far, in order; the verdicts are about all of it.
    poison
        Ids of the messages that were put into the audit queue and are no envelopes.
    """

    world: World
    deployment: Deployment
    observer: Observer
    sent: list[Sent] = field(default_factory=list)
    poison: set[str] = field(default_factory=set)
    pending: list[Sending] = field(default_factory=list)
    progress: Progress = lambda _done, _total, _note: None

    def send(self, count: int | None = None) -> None:
        """Put so many of the phase's events on the bus; None is all that are left."""
        taken = self.pending[:count]
        del self.pending[: len(taken)]
        envelopes = [{"detail": sending.detail} for sending in taken]
        deliveries = drive.send(self.world.services.aws, EVENT_SOURCE, envelopes, lambda _: None)
        self.sent += [
            Sent(sending.event, delivery.envelope_id)
            for sending, delivery in zip(taken, deliveries, strict=True)
        ]

    def send_poison(self, body: str) -> None:
        """Put a message that is no envelope into the audit queue, among those of the payments lane."""
        sqs = self.world.services.aws.client("sqs")
        url = next(url for name, url in self.deployment.outputs.queues.items() if name.endswith(AUDIT_QUEUE))
        answer = sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId=HANDLERS[0])
        self.poison.add(answer["MessageId"])

    def limit_handlers(self, seconds: int) -> None:
        """Give the functions that apply events another time-out."""
        client = self.world.services.aws.client("lambda")
        for handler in HANDLERS:
            client.update_function_configuration(
                FunctionName=self.deployment.outputs.functions[handler], Timeout=seconds
            )

    def wait_until_exhausted(self, sent: Sequence[Sent]) -> None:
        """Wait until every retry of these deliveries is used up: each lies in a dead-letter queue.

        Those that no handler takes, or that never come to a call, are left out.
        """
        wanted = {one.envelope_id for one in sent if one.event.kind.handler and one.event.fate == "applied"}
        self._until(
            lambda: len(wanted & {letter.envelope_id for letter in self.observer.look().dead}), len(wanted)
        )

    def _until(self, count: Callable[[], int], wanted: int) -> None:
        last, deadline = -1, time.monotonic() + SILENCE_SECONDS
        while (found := count()) < wanted and time.monotonic() < deadline:
            self.progress(found, wanted, "retries used up")
            if found != last:
                last, deadline = found, time.monotonic() + SILENCE_SECONDS
            time.sleep(POLL_SECONDS)

    def settle(self, *, healed: bool, silence: float = SILENCE_SECONDS) -> Verdict:
        """Look until the promise is kept, or nothing has moved for `silence` seconds; return the verdict."""
        last: object = None
        deadline = time.monotonic() + silence
        while True:
            seen = self.observer.look()
            verdict = judge(self.sent, seen, poison=frozenset(self.poison), healed=healed)
            open_events = {violation.subject for violation in verdict.violations}
            total = len({one.event.id for one in self.sent})
            self.progress(total - len(open_events), total, f"{seen.waiting} to audit")
            state = (verdict.figures, len(verdict.violations), seen.waiting)
            if state != last:
                last, deadline = state, time.monotonic() + silence
            if (verdict.passed and not seen.waiting) or time.monotonic() > deadline:
                return verdict
            time.sleep(POLL_SECONDS)


AUDIT_QUEUE = "-events-dev.fifo"
