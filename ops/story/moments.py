"""The timeline of an event."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from functions.pipeline.replay_names import started_at
from ops.dlq import json_output
from ops.replay.rules import Rule
from ops.story import story
from ops.story.attempts import Attempt, LoggedCall, plain_lines
from ops.story.facts import Facts
from ops.story.reading import AUDIT, AUDITED, REDRIVE
from ops.story.records import Said
from ops.story.story import Moment
from ops.times import stamp_of
from ops.verify.log_lines import FINISHED, PARKED


def moments(
    facts: Facts, said: Sequence[Said], attempts: Sequence[Attempt], calls: Sequence[LoggedCall]
) -> tuple[Moment, ...]:
    """Return the moments of an event, oldest first."""
    found = [
        *_created(facts),
        *_deliveries(facts),
        *_archive(facts),
        *_replays(facts),
        *(moment for attempt in attempts for moment in _attempt(attempt)),
        *map(_call, calls),
        *_audit(facts),
        *_redrives(facts),
        *(_message(facts, number) for number in range(len(facts.messages))),
        *(Moment(facts.now if each.at is None else each.at, story.TABLE, each.sentence) for each in said),
        *_row(facts),
    ]
    return tuple(sorted(found, key=lambda moment: (moment.at, story.PLACES.index(moment.place))))


def _created(facts: Facts) -> Iterator[Moment]:
    if facts.created is not None:
        about = {
            "type": facts.event_type,
            "object": facts.object_id,
            "listed": facts.at_stripe is not None,
        }
        yield Moment(facts.created, story.STRIPE, "Stripe creates it", about)


def _deliveries(facts: Facts) -> Iterator[Moment]:
    for number, delivery in enumerate(facts.deliveries):
        about = {"envelope": delivery.id, "bus_time": stamp_of(delivery.bus_time)}
        if delivery.replay:
            sentence = f"the replay {delivery.replay} sends it to the rules again"
            yield Moment(delivery.received_at, story.REPLAY, sentence, about)
        elif delivery.healed:
            yield Moment(delivery.received_at, story.BUS, "reconcile sends it, because it was missing", about)
        else:
            again = " again" if number else ""
            yield Moment(delivery.received_at, story.BUS, f"it reaches the event bus{again}", about)
        if number == 0:
            yield from (_rule(rule, facts, delivery.received_at) for rule in facts.rules)


def _rule(rule: Rule, facts: Facts, at: float) -> Moment:
    target = f"the function {rule.handler}" if rule.handler else "the audit's queue"
    name = rule.arn.rpartition("/")[2]
    sentence = f"the rule {name} matches {facts.event_type} and sends it to {target}"
    paused = "" if rule.enabled else "; the rule is paused now"
    return Moment(at, story.RULE, f"{sentence}{paused}", {"rule": name, "enabled": rule.enabled})


def _archive(facts: Facts) -> Iterator[Moment]:
    first = facts.deliveries[0] if facts.deliveries else None
    if first is None or first.healed:
        return
    for each in facts.archives:
        name = each.arn.rpartition("/")[2]
        if each.created.timestamp() > first.bus_time:
            continue
        kept = "for ever" if each.retention is None else f"for {each.retention.days} days"
        oldest = each.oldest(datetime.fromtimestamp(facts.now, UTC)).timestamp()
        gone = "" if oldest <= first.bus_time else "; that time is over"
        sentence = f"the archive {name} keeps what reaches the bus {kept}{gone}"
        yield Moment(first.received_at, story.ARCHIVE, sentence, {"archive": name})


def _replays(facts: Facts) -> Iterator[Moment]:
    """Yield the replays whose window the event is in, and which the ledger does not show."""
    shown = {delivery.replay for delivery in facts.deliveries}
    times = [delivery.bus_time for delivery in facts.deliveries if not delivery.replay]
    handler = facts.route.handler if facts.route else None
    for replay in facts.replays:
        to = {arn.rpartition("/")[2] for arn in replay.rule_arns}
        reaches = not to or any(rule.arn.rpartition("/")[2] in to for rule in facts.rules)
        inside = any(replay.since.timestamp() <= time <= replay.until.timestamp() for time in times)
        if replay.name not in shown and inside and reaches and handler:
            started = started_at(replay.name)
            at = facts.now if started is None else float(started)
            sentence = f"the replay {replay.name} covers it ({replay.state.lower()})"
            yield Moment(at, story.REPLAY, sentence, {"replay": replay.name, "state": replay.state})


def _attempt(attempt: Attempt) -> Iterator[Moment]:
    init = attempt.init_milliseconds
    cold = f", in a new execution environment that took {init:,.0f} ms to start" if init is not None else ""
    about = {"function": attempt.function, "attempt": attempt.number, "request_id": attempt.request_id}
    sentence = f"the function {attempt.function} begins attempt {attempt.number}{cold}"
    yield Moment(attempt.start, story.FUNCTION, sentence, about)
    took = f" after {attempt.milliseconds:,.0f} ms" if attempt.milliseconds is not None else ""
    lines = {"lines": plain_lines(attempt)}
    if attempt.end is not None:
        record = attempt.end.record
        if attempt.end.message == FINISHED:
            result = str(record.get("outcome"))
        else:
            result = (
                f"{'parked' if attempt.end.message == PARKED else 'failed'}, because {record.get('reason')}"
            )
        text = f"attempt {attempt.number} ends{took}: {result}"
        yield Moment(attempt.end.at, story.FUNCTION, text, about | lines)
    elif attempt.cut_off:
        status = (attempt.report or {}).get("status")
        text = f"Lambda ends attempt {attempt.number}{took}, before the handler did ({status})"
        yield Moment(attempt.lines[-1].at, story.FUNCTION, text, about | lines)


def _call(call: LoggedCall) -> Moment:
    took = f" after {call.milliseconds:,.0f} ms" if call.milliseconds is not None else ""
    answered = "gave no answer" if call.status is None else f"answered {call.status}"
    about = {"path": call.path, "status": call.status, "ms": call.milliseconds}
    return Moment(call.at, story.API, f"POST {call.path}: the Huntaze API {answered}{took}", about)


def _audit(facts: Facts) -> Iterator[Moment]:
    for line in facts.lines:
        if line.function == AUDIT and line.message == AUDITED:
            key = line.record.get("key")
            yield Moment(line.at, story.LEDGER, "the audit writes it into the ledger", {"key": key})
        elif line.function == AUDIT:
            reason = line.record.get("reason")
            yield Moment(line.at, story.LEDGER, f"the audit parks it, because {reason}")


def _redrives(facts: Facts) -> Iterator[Moment]:
    for line in facts.lines:
        if line.function == REDRIVE:
            outcome, reason = line.record.get("outcome"), line.record.get("reason")
            because = f", because {reason}" if reason else ""
            about = {"outcome": outcome, "reason": reason}
            yield Moment(line.at, story.REDRIVE, f"the automatic redrive sends it: {outcome}{because}", about)


def _message(facts: Facts, number: int) -> Moment:
    message, queue = facts.messages[number]
    sentence = f"it enters {queue.messages.name}, where it still waits ({message.kind}): {message.reason}"
    return Moment(message.failed_at, story.QUEUE, sentence, json_output.about(message, queue))


def _row(facts: Facts) -> Iterator[Moment]:
    if facts.row is not None:
        times = len(facts.row["delivery_ids"])
        sentence = f"PostgreSQL has its row, with {times} {'delivery' if times == 1 else 'deliveries'}"
        yield Moment(facts.row["first_seen"].timestamp(), story.LEDGER, sentence)
