"""The phases of a chaos run, in order: what fails, and what is done while events are sent."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from ops.chaos import dialects, faults
from ops.chaos.faults import Failure
from ops.chaos.stage import Stage
from ops.chaos.verdict import Violation

# A killed handler's record stays in progress until its function's time-out. Lambda's last retry comes six
# seconds after the first attempt, so with four seconds the record is free by then.
DEADLY_TIMEOUT_SECONDS: Final = 4
# The time-out in dev; retries inside the invocation need it.
USUAL_TIMEOUT_SECONDS: Final = 30
AWAY_SECONDS: Final = 2.0
WINDOWS: Final = 3
# How long the pipeline may take to recover automatically: its redrive runs once a minute, at a limited rate.
HEALING_SECONDS: Final = 240.0
# Redrive runs that may end after the API is back: one that started before, and two for the messages of the
# outage, which at this rate fit into one run.
RUNS_TO_HEAL: Final = 3


def _send_all(stage: Stage) -> None:
    stage.send()


def _no_more_violations(_stage: Stage) -> Iterator[Violation]:
    return iter(())


@dataclass(frozen=True)
class Phase:
    """One part of a run.

    Parameters
    ----------
    name
        One word for the report.
    play
        What the phase does; it sends at least its events.
    cold
        Whether the embedded AWS is restarted first, so that every function starts cold.
    check
        Further violations, besides those of the verdict about all events.
    healed
        Whether every transient failure must have been redriven at the end.
    timeout_seconds
        The handlers' time-out.
    """

    name: str
    title: str
    failures: tuple[Failure, ...] = ()
    play: Callable[[Stage], None] = _send_all
    check: Callable[[Stage], Iterator[Violation]] = _no_more_violations
    cold: bool = False
    healed: bool = False
    timeout_seconds: int = USUAL_TIMEOUT_SECONDS

    @property
    def silence_seconds(self) -> float | None:
        """How long nothing may change before the verdict is final; None for the usual time."""
        return HEALING_SECONDS if self.healed else None


def _connections_refused(stage: Stage) -> None:
    part = max(1, len(stage.pending) // (2 * WINDOWS))
    for _ in range(WINDOWS):
        stage.servers.api.stop()
        stage.add_injected("API refuses connections")
        stage.send(part)
        time.sleep(AWAY_SECONDS)
        stage.servers.api.start()
        stage.send(part)
    stage.send()


def _database_down(stage: Stage) -> None:
    stage.send(len(stage.pending) // 2)
    stage.servers.postgres.stop()
    stage.add_injected("PostgreSQL goes down in mid-batch")
    stage.send(len(stage.pending) // 2)
    time.sleep(AWAY_SECONDS)
    stage.servers.postgres.start()
    stage.send()


def _poison(stage: Stage) -> None:
    part = len(stage.pending) // 3
    for body in ("no envelope", '{"detail": {"id": 7}}'):
        stage.send(part)
        stage.send_poison(body)
        stage.add_injected("poison records")
    stage.send()


def _outage(stage: Stage) -> None:
    stage.servers.api.stop()
    stage.add_injected("API is down until no retry is left")
    stage.send()
    stage.wait_until_ended()
    stage.servers.api.start()


def _all_in_doubt(stage: Stage) -> None:
    """Let every call fail after it was sent, while the base URL answers; send each older state first."""
    for fault in faults.EACH_CALL_IN_DOUBT:
        stage.servers.inject_api_fault(fault)
    planned = len(stage.pending)
    events = [delivery.event.id for delivery in stage.pending]
    stage.send(planned - planned // 3)
    stage.wait_until_ended()
    stage.send()
    stage.wait_until_ended()
    stage.attempts_spent = stage.redrive_attempts(events)
    struck, _ = stage.servers.remove_faults()
    stage.add_injected("API answers 5xx to each call until no retry is left", sum(struck))
    stage.healthy_since = time.time()


def _redriven_in_time(stage: Stage) -> Iterator[Violation]:
    """The outage used up no redrive attempt, and every event was redriven within RUNS_TO_HEAL runs."""
    if stage.attempts_spent:
        yield Violation(
            "attempts", "redrive", "", f"counted {stage.attempts_spent} failures of the outage as attempts"
        )
    runs = stage.redrive_runs(stage.healthy_since)
    if runs > RUNS_TO_HEAL:
        yield Violation("late", "redrive", "", f"needed {runs} runs, more than {RUNS_TO_HEAL}")


PHASES: Final = (
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
    Phase("codeless", "the same, and answers have no code", play=dialects.play_codeless, healed=True),
    Phase("refused", "connections refused in windows", play=_connections_refused),
    Phase(
        "deaths",
        "handlers killed",
        (faults.DIES_BEFORE_CALL, faults.DIES_BEFORE_RECORD, faults.DIES_PARKING),
        timeout_seconds=DEADLY_TIMEOUT_SECONDS,
    ),
    Phase("table", "DynamoDB and SQS fail", (faults.TABLE_THROTTLES, faults.TABLE_FAILS, faults.QUEUE_FAILS)),
    Phase("secrets", "restart, then Secrets Manager fails", (faults.SECRET_FAILS,), cold=True),
    Phase("database", "PostgreSQL down in mid-batch", play=_database_down),
    Phase("poison", "poison records in the audit queue", play=_poison),
    Phase(
        "doubt",
        "5xx to objects with two states each",
        play=_all_in_doubt,
        check=_redriven_in_time,
        healed=True,
    ),
    Phase("outage", "API down until every retry is used up", play=_outage, healed=True),
    Phase("restarted", "restart, then nothing fails", cold=True, healed=True),
)
