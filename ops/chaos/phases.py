"""The phases of a chaos run in their order: what fails, and what is done while events come in."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ops.chaos import dialects, faults
from ops.chaos.faults import Failure
from ops.chaos.stage import Stage
from ops.chaos.verdict import Violation

# A killed handler's record stays in progress until its function's time-out, and Lambda's last retry comes
# six seconds after the first attempt: of four seconds, the record is free again by then.
DEADLY_TIMEOUT_SECONDS = 4
# The time-out that dev has; retries inside the invocation need it.
USUAL_TIMEOUT_SECONDS = 30
AWAY_SECONDS = 2.0
WINDOWS = 3
# How long nobody but the pipeline itself may be at work until all is well again: its schedule wakes up once
# a minute, and takes what lies there at a bounded rate.
HEALING_SECONDS = 240.0
# Runs of the redrive that end after the API is back: one that began before, and those of the two intervals
# that an outage may take beyond the time of its messages, which at this rate is less than one.
RUNS_TO_HEAL = 3


def _send_all(stage: Stage) -> None:
    stage.send()


def _nothing_more(_stage: Stage) -> Iterator[Violation]:
    return iter(())


@dataclass(frozen=True)
class Phase:
    """One part of a run.

    Parameters
    ----------
    name
        One word for the report.
    play
        What is done: at least, the events are sent.
    cold
        Whether the embedded AWS is restarted before, so that every function starts cold.
    judge
        What is to be held besides the verdict about all events.
    healed
        Whether at the end nothing transient may lie in a dead-letter queue.
    timeout_seconds
        The handlers' time-out.
    """

    name: str
    title: str
    failures: tuple[Failure, ...] = ()
    play: Callable[[Stage], None] = _send_all
    judge: Callable[[Stage], Iterator[Violation]] = _nothing_more
    cold: bool = False
    healed: bool = False
    timeout_seconds: int = USUAL_TIMEOUT_SECONDS

    @property
    def silence_seconds(self) -> float | None:
        """How long nothing may move before the verdict is final; None is the usual time."""
        return HEALING_SECONDS if self.healed else None


def _refused_in_windows(stage: Stage) -> None:
    part = max(1, len(stage.pending) // (2 * WINDOWS))
    for _ in range(WINDOWS):
        stage.world.api.stop()
        stage.mark("API refuses connections")
        stage.send(part)
        time.sleep(AWAY_SECONDS)
        stage.world.api.start()
        stage.send(part)
    stage.send()


def _database_away(stage: Stage) -> None:
    stage.send(len(stage.pending) // 2)
    stage.world.postgres.stop()
    stage.mark("PostgreSQL goes away in mid-batch")
    stage.send(len(stage.pending) // 2)
    time.sleep(AWAY_SECONDS)
    stage.world.postgres.start()
    stage.send()


def _poison(stage: Stage) -> None:
    part = len(stage.pending) // 3
    for body in ("no envelope", '{"detail": {"id": 7}}'):
        stage.send(part)
        stage.send_poison(body)
        stage.mark("poison records")
    stage.send()


def _outage(stage: Stage) -> None:
    stage.world.api.stop()
    stage.mark("API is away until no retry is left")
    stage.send()
    stage.wait_until_ended()
    stage.world.api.start()


def _all_in_doubt(stage: Stage) -> None:
    """Let every call fail after it was sent, whose base URL answers; of each object first the older state."""
    for order in faults.EACH_CALL_IN_DOUBT:
        stage.world.fail_api(order)
    planned = len(stage.pending)
    events = [sending.event.id for sending in stage.pending]
    stage.send(planned - planned // 3)
    stage.wait_until_ended()
    stage.send()
    stage.wait_until_ended()
    stage.attempts_spent = stage.redrive_attempts(events)
    struck, _ = stage.world.lift_faults()
    stage.mark("API answers 5xx to each call until no retry is left", sum(struck))
    stage.healthy_since = time.time()


def _redriven_in_time(stage: Stage) -> Iterator[Violation]:
    """The outage cost nobody an attempt, and ended for all within the runs that their number takes."""
    if stage.attempts_spent:
        yield Violation("attempts", "redrive", "", f"counted {stage.attempts_spent} of the outage's failures")
    runs = stage.redrive_runs(stage.healthy_since)
    if runs > RUNS_TO_HEAL:
        yield Violation("late", "redrive", "", f"needed {runs} runs, not {RUNS_TO_HEAL}")


PHASES = (
    Phase("calm", "nothing fails", healed=True),
    Phase("errors", "5xx and garbage", (faults.ERRORS, faults.GARBAGE)),
    Phase("throttled", "429 with Retry-After", (faults.TOO_MANY,)),
    Phase(
        "slow",
        "late headers, slow bodies",
        (faults.SLOW_HEADERS, faults.APPLIES_LATE, faults.SLOW_BODIES),
    ),
    Phase("resets", "connections reset", (faults.RESET_BEFORE, faults.RESET_AFTER)),
    Phase("codes", "calls cut off, late or rolled back", play=dialects.play_coded, healed=True),
    Phase("codeless", "the same, and no answer has a code", play=dialects.play_codeless, healed=True),
    Phase("refused", "connections refused in windows", play=_refused_in_windows),
    Phase(
        "deaths",
        "handlers are killed",
        (faults.DIES_BEFORE_CALL, faults.DIES_BEFORE_RECORD, faults.DIES_PARKING),
        timeout_seconds=DEADLY_TIMEOUT_SECONDS,
    ),
    Phase("table", "DynamoDB and SQS fail", (faults.TABLE_THROTTLES, faults.TABLE_FAILS, faults.QUEUE_FAILS)),
    Phase("secrets", "restart, then Secrets Manager fails", (faults.SECRET_FAILS,), cold=True),
    Phase("database", "PostgreSQL away in mid-batch", play=_database_away),
    Phase("poison", "poison records in the audit queue", play=_poison),
    Phase(
        "doubt",
        "5xx to objects with two states each",
        play=_all_in_doubt,
        judge=_redriven_in_time,
        healed=True,
    ),
    Phase("outage", "API away until every retry is used up", play=_outage, healed=True),
    Phase("restarted", "restart, then nothing fails", cold=True, healed=True),
)
