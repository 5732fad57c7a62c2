"""How an event ended, and why, in one plain sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from functions.dead_letters.message import PERMANENT, DeadLetterMessage
from functions.pipeline import outcomes
from ops.dlq.queues import HANDLER_QUEUES, NamedQueue
from ops.story.attempts import Attempt, LoggedCall
from ops.story.facts import Facts
from ops.story.records import Said
from ops.story.story import UNKNOWN, WAITING
from ops.verify.log_lines import FAILED, FINISHED, PARKED

UNROUTED: Final = "unrouted"
CONFLICT: Final = 409


@dataclass(frozen=True, slots=True)
class Ending:
    """An outcome, and why."""

    outcome: str
    why: str


def ending(
    facts: Facts, said: Sequence[Said], attempts: Sequence[Attempt], calls: Sequence[LoggedCall]
) -> Ending:
    """Return how an event ended.

    Its record counts before its messages, and its messages before the log: a later redrive or replay changes
    them in this order.
    """
    outcome = next((each.outcome for each in said if each.outcome), None)
    waiting = [item for item in facts.messages if item[1].name in HANDLER_QUEUES]
    if outcome is None and waiting:
        return Ending(outcomes.PARKED, _parked(*waiting[-1]))
    outcome = outcome or _logged(attempts)
    if outcome == outcomes.APPLIED:
        return Ending(outcome, _applied(attempts, calls))
    if outcome == outcomes.RECORDED:
        return Ending(
            outcome, f"events of type {facts.event_type} need no API call: it is recorded as handled"
        )
    if outcome == outcomes.DUPLICATE:
        return Ending(outcome, _duplicate(said))
    if outcome == outcomes.STALE:
        return Ending(outcome, _stale(facts, said))
    if outcome == outcomes.PARKED:
        return Ending(outcome, _was_parked(attempts))
    return _without_end(facts, said, attempts)


def _logged(attempts: Sequence[Attempt]) -> str | None:
    """Return the outcome by the log: the first one that is not a duplicate of it, or the last parking."""
    ends = [attempt.end for attempt in attempts if attempt.end is not None]
    finished = [str(end.record.get("outcome")) for end in ends if end.message == FINISHED]
    own = next((each for each in finished if each != outcomes.DUPLICATE), None)
    if own or finished:
        return own or outcomes.DUPLICATE
    return outcomes.PARKED if ends and ends[-1].message == PARKED else None


def _applied(attempts: Sequence[Attempt], calls: Sequence[LoggedCall]) -> str:
    good = next((call for call in reversed(calls) if call.status is not None and _is_good(call.status)), None)
    if good is None:
        return "the Huntaze API applied it, as its record says"
    took = "" if good.milliseconds is None else f" after {good.milliseconds:,.0f} ms"
    failed = sum(attempt.end is not None and attempt.end.message != FINISHED for attempt in attempts)
    before = f", after {failed} failed {'attempt' if failed == 1 else 'attempts'}" if failed else ""
    again = ": it was applied by an earlier call" if good.status == CONFLICT else ""
    return f"the Huntaze API applied it: POST {good.path} answered {good.status}{took}{before}{again}"


def _is_good(status: int) -> bool:
    return 200 <= status < 300 or status == CONFLICT


def _duplicate(said: Sequence[Said]) -> str:
    other = next((each.because_of for each in said if each.because_of and not each.waits), None)
    if other:
        return f"{other} had the same effect before, so the API was not called again"
    return "it was delivered again after it had been completed, so the API was not called again"


def _stale(facts: Facts, said: Sequence[Said]) -> str:
    about = facts.object_id or "its object"
    other = next((each.because_of for each in said if each.because_of and not each.waits), None)
    by = f" by {other}" if other else ""
    return f"a newer state of {about} was applied before{by}, so this older one was left out"


def _parked(message: DeadLetterMessage, queue: NamedQueue) -> str:
    code = f" ({message.api_code})" if message.api_code else ""
    helps = "no retry can help" if message.kind == PERMANENT else "the retries did not help"
    return f"{message.reason}{code}: {helps}, so it waits in {queue.messages.name}"


def _was_parked(attempts: Sequence[Attempt]) -> str:
    end = next(attempt.end for attempt in reversed(attempts) if attempt.end is not None)
    reason = end.record.get("reason") or "a refusal"
    return f"{reason}: it was parked, and no message of it was seen in a dead-letter queue now"


def _without_end(facts: Facts, said: Sequence[Said], attempts: Sequence[Attempt]) -> Ending:
    event_type = facts.event_type
    if event_type is not None and facts.route is None and (facts.deliveries or facts.row or facts.lines):
        return Ending(
            UNROUTED, f"no handler takes events of type {event_type}: it is audited, and nothing else"
        )
    if waits := next((each for each in said if each.waits), None):
        return Ending(WAITING, waits.sentence)
    last = attempts[-1] if attempts else None
    if last is not None and last.end is not None and last.end.message == FAILED:
        reason = last.end.record.get("reason") or "an unexpected error"
        return Ending(WAITING, f"its last attempt failed ({reason}): Lambda tries twice more, minutes apart")
    if last is not None:
        cut = "Lambda cut its last attempt off" if last.cut_off else "its attempt has not ended yet"
        return Ending(WAITING, cut)
    if doubt := next((each for each in said if each.in_doubt), None):
        return Ending(WAITING, doubt.sentence)
    paused = [rule.name for rule in facts.rules if rule.handler and not rule.enabled]
    if paused:
        return Ending(WAITING, f"the rule {paused[0]} is paused, so no handler has got it")
    if facts.deliveries or facts.row:
        return Ending(WAITING, "it reached the bus, and no handler has logged anything about it in this time")
    if facts.at_stripe is not None:
        return Ending(
            UNKNOWN,
            "Stripe made it, and nothing here has it: it is on its way, or never reached the bus, which "
            "`huntaze-stripe reconcile` finds",
        )
    return Ending(
        UNKNOWN, "nothing here knows it in this time: check the id and the environment, or look further back"
    )
