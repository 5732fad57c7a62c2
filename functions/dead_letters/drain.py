"""Empties dead-letter queues of what failed for a time, several events at once, in passes.

A pass receives everything once. What must wait for another event, and what failed in an earlier run, is
tried when all else has been tried: in the next pass, which begins where the last one settled something. So no
message delays another, and the queues keep what has no place in the function's memory.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from functions.dead_letters.backlog import Backlog, Message, Object, RedriveSource, Type, message
from functions.dead_letters.circuit_breaker import CircuitBreaker
from functions.dead_letters.lease import RunLease
from functions.dead_letters.message import CONFIGURATION, TRANSIENT, DeadLetterMessage
from functions.dead_letters.queue import RECEIVE_BATCH
from functions.dead_letters.redrive import (
    APPLIED,
    FAILED,
    NOT_CALLED,
    QUEUED,
    UNSETTLED,
    Result,
    redrive,
)
from functions.dead_letters.settings import AutoRedriveSettings
from functions.dead_letters.workers import Workers
from functions.shared.errors import ConfigurationError, EventError
from functions.shared.retry import remaining_seconds
from functions.shared.telemetry import logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

LEFT: Final = "left"
WAITING: Final = "waiting"
GIVEN_UP: Final = "given_up"
# Seconds between the beginnings of two passes: so long may the API work on at a call that was given up.
PASS_SECONDS: Final = 10.0
# Nobody waits for longer without a look at the clock.
LONGEST_WAIT_SECONDS: Final = 1.0


class Drain:
    """One run over some queues.

    Parameters
    ----------
    counts
        How many messages ended how, by outcome; ``waiting``, how often one had to wait for another event;
        ``left``, the transient failures that were seen and are still in their queues; and ``given_up``, those
        of them that used up their attempts in this run.
    oldest
        When the oldest message that was seen came into its queue, in Unix seconds.
    errors
        Why a queue or a function could not be used.
    """

    def __init__(
        self,
        sources: Sequence[RedriveSource],
        settings: AutoRedriveSettings,
        lease: RunLease,
        workers: Workers,
        context: LambdaContext,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.oldest: float | None = None
        self.errors: list[EventError] = []
        self._sources = list(sources)
        self._settings = settings
        self._lease = lease
        self._workers = workers
        self._context = context
        self._backlog = Backlog()
        self._circuits: defaultdict[Type, CircuitBreaker] = defaultdict(CircuitBreaker)
        self._unread = list(sources)  # in the order in which they are asked next
        self._receiving = False
        self._at_work: set[Object] = set()
        self._left: set[str] = set()
        self._next_start = 0.0
        self._credit = 0
        self._began = time.time()
        self._pass = 1
        self._use_of_another = False
        self._taken_over = False

    def run(self) -> None:
        """Work until nothing more can be done, or the time is over; then show again what is still held.

        Raises
        ------
        TransientError, ConfigurationError
            The table did not answer, or refused. Calls in flight end before.
        """
        try:
            while True:
                while (seconds := self._start()) is not None:
                    self._workers.wait(min(seconds, LONGEST_WAIT_SECONDS))
                if not self._begin_another_pass():
                    return
        finally:
            self._unread.clear()
            self._finish_calls()
            self._close_circuits()
            self._backlog.put_back()
            self._release(self._backlog.later)
            self._release(self._backlog.aside)
            self.counts[LEFT] = len(self._left)

    @property
    def _may_go_on(self) -> bool:
        """Whether there is time for one more event, in which nobody else is at work."""
        return not self._taken_over and remaining_seconds(self._context) > self._settings.reserve_seconds

    def _start(self) -> float | None:
        """Begin what can be begun; return the seconds until there may be more, or None where all is done."""
        if not self._may_go_on:
            return LONGEST_WAIT_SECONDS if self._workers.busy else None
        if self._unread and not self._receiving and self._backlog.has_room:
            self._receiving = True
            seconds = max(1, int(remaining_seconds(self._context)))
            source = self._unread.pop(0)
            self._workers.start(partial(_receive, source, seconds), partial(self._received, source))
        # The order is worth something when all is known that can be held.
        wait = None if self._receiving and self._backlog.has_room else self._start_redrives()
        return LONGEST_WAIT_SECONDS if wait is None and self._workers.busy else wait

    def _start_redrives(self) -> float | None:
        while self._workers.busy < self._workers.most:
            now = time.time()
            due = self._next_start - self._credit * self._gap
            if now < due:
                return due - now
            chosen = self._backlog.take(partial(self._is_free, now), self._is_newest_first)
            if chosen is None:
                pauses = [self._circuits[each.type].pause(now) for each in self._backlog.held()]
                return min((each for each in pauses if each > 0), default=None)
            if not self._lease.renew():
                self._taken_over = True
                return None
            self._next_start = max(now, self._next_start) + self._gap
            self._at_work.add(chosen.object)
            self._circuits[chosen.type].start()
            self._workers.start(partial(_redrive, chosen), partial(self._redriven, chosen))
        return None

    @property
    def _gap(self) -> float:
        return 1 / self._settings.per_second

    def _is_free(self, now: float, one: Message) -> bool:
        return one.object not in self._at_work and self._circuits[one.type].pause(now) == 0

    def _is_newest_first(self, one: Message) -> bool:
        return self._circuits[one.type].newest_first

    def _received(self, source: RedriveSource, received: list[DeadLetterMessage] | EventError) -> None:
        self._receiving = False
        if isinstance(received, EventError):
            self.errors.append(received)
            return
        if received and source in self._sources and source not in self._unread:
            self._unread.append(source)
        for letter in received:
            self.oldest = min(letter.failed_at, self.oldest or letter.failed_at)
            if letter.kind == TRANSIENT and letter.envelope is not None:
                self._left.add(letter.message_id)
                if source in self._sources:
                    self._sort_in(message(letter, source))
                    continue
            self._backlog.aside[source].append(letter.receipt)

    def _sort_in(self, new: Message) -> None:
        attempts = self._lease.attempts.get(new.event)
        self._lease.saw(new.event)
        if attempts is not None and attempts >= self._settings.attempts:
            logger.info(
                "left to a person",
                extra={"correlation_id": new.letter.event_id, "reason": new.letter.reason},
            )
            self._backlog.aside[new.source].append(new.letter.receipt)
        elif attempts is not None and self._pass == 1:
            # It failed in an earlier run while others were applied: they go first.
            self._use_of_another = True
            self._backlog.later[new.source].append(new.letter.receipt)
        else:
            self._backlog.add(new)
            if self._circuits[new.type].open:
                self._backlog.thin(new.type)

    def _redriven(self, done: Message, result: Result | EventError) -> None:
        self._at_work.discard(done.object)
        circuit = self._circuits[done.type]
        circuit.in_flight -= 1
        if isinstance(result, ConfigurationError):
            self.errors.append(result)
            result = Result(FAILED, CONFIGURATION, result.reason)
        if isinstance(result, EventError):
            # Lambda or SQS did not do it: it was no attempt of the event.
            self._backlog.later[done.source].append(done.letter.receipt)
            self._failed(circuit, done, None)
            result = Result(FAILED, TRANSIENT, result.reason)
        elif result.settled:
            self._settled(done, result.outcome, circuit)
        elif result.kind == UNSETTLED:
            self._called_nobody()
            self._backlog.later[done.source].append(done.letter.receipt)
        else:
            self._backlog.aside[done.source].append(done.letter.receipt)
            if result.kind == CONFIGURATION:
                self._stop(done.source)
            else:
                self._failed(circuit, done, done.event)
        self.counts[WAITING if result.kind == UNSETTLED else result.outcome] += 1
        _tell(done.letter, result)

    def _settled(self, done: Message, outcome: str, circuit: CircuitBreaker) -> None:
        self._use_of_another = True
        self._left.discard(done.letter.message_id)
        if outcome in NOT_CALLED:
            self._called_nobody()
        else:
            self._credit = 0
        if outcome in (APPLIED, QUEUED):
            self._count(circuit.applied())
        if outcome == QUEUED:
            # Nobody knows yet whether the ledger takes it; if not, it comes here again.
            self._count({done.event: 1})
        else:
            self._lease.forget(done.event)
        if done.source.fifo and done.source in self._sources and not self._has_open(done.source):
            self._unread.append(done.source)

    def _has_open(self, source: RedriveSource) -> bool:
        """Whether messages of a source are held or at work: a FIFO queue shows no more of their groups."""
        at_work = any(
            circuit.in_flight for (name, _), circuit in self._circuits.items() if name == source.queue.name
        )
        return (
            at_work or source in self._unread or any(each.source is source for each in self._backlog.held())
        )

    def _called_nobody(self) -> None:
        """Give back what the event took of the rate, and let others go before it is known what they take."""
        self._next_start -= self._gap
        self._credit = min(self._credit + 1, self._workers.most - 1)

    def _failed(self, circuit: CircuitBreaker, done: Message, event: str | None) -> None:
        self._credit = 0
        if circuit.failed(time.time(), event):
            self._backlog.thin(done.type)

    def _count(self, cost: Mapping[str, int]) -> None:
        for event, attempts in cost.items():
            if self._lease.count(event, attempts) == self._settings.attempts and attempts:
                self.counts[GIVEN_UP] += 1

    def _close_circuits(self) -> None:
        for circuit in self._circuits.values():
            self._count(circuit.close())

    def _stop(self, source: RedriveSource) -> None:
        """Use a source no more: every other event would meet the same."""
        if source in self._sources:
            self._sources.remove(source)
            self._unread = [each for each in self._unread if each is not source]
        self._backlog.put_back(source)

    def _begin_another_pass(self) -> bool:
        """Let what is to be tried later come again, where there is a use in it; return whether there was."""
        if not (self._may_go_on and self._use_of_another and any(self._backlog.later.values())):
            return False
        time.sleep(max(0.0, self._began + PASS_SECONDS - time.time()))
        self._close_circuits()
        self._release(self._backlog.later)
        self._unread = list(self._sources)
        self._began = time.time()
        self._pass += 1
        self._use_of_another = False
        return True

    def _release(self, receipts: dict[RedriveSource, list[str]]) -> None:
        for source, its in receipts.items():
            for batch in _batches(its):
                if self._workers.busy == self._workers.most:
                    self._workers.wait(LONGEST_WAIT_SECONDS)
                self._workers.start(partial(source.queue.release, batch), lambda _: None)
        self._finish_calls()
        receipts.clear()

    def _finish_calls(self) -> None:
        while self._workers.busy:
            self._workers.wait(LONGEST_WAIT_SECONDS)


def _receive(source: RedriveSource, seconds: int) -> list[DeadLetterMessage] | EventError:
    try:
        return source.queue.receive(visibility_timeout=seconds)
    except EventError as error:
        return error


def _redrive(one: Message) -> Result | EventError:
    try:
        return redrive(one.letter, one.source.queue, one.source.target)
    except EventError as error:
        return error


def _batches(receipts: Sequence[str]) -> Iterator[Sequence[str]]:
    return (receipts[place : place + RECEIVE_BATCH] for place in range(0, len(receipts), RECEIVE_BATCH))


def _tell(letter: DeadLetterMessage, result: Result) -> None:
    extra: Mapping[str, str | None] = {
        "correlation_id": letter.event_id,
        "event_id": letter.event_id,
        "event_type": letter.event_type,
        "outcome": result.outcome,
        "reason": result.reason,
    }
    logger.info("event redriven", extra=extra)
