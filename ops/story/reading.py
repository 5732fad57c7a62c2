"""Ask every source what it knows of some events; what can't be asked is said, and stops nothing else."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from psycopg.rows import dict_row

from functions.ledger.postgres import TABLE
from functions.ledger.reader import CLOCK_SKEW, LedgerReader
from functions.shared import names
from functions.shared.errors import EventError
from ops import denials, function_log, reconciliation
from ops.customer import items
from ops.dlq import queues as dead_letter_queues
from ops.dlq.drain import Messages, inspect
from ops.dlq.filters import Filters
from ops.dlq.interrupts import Interruption
from ops.environment import Environment
from ops.errors import OperatorError
from ops.function_log import LogLine
from ops.ledger import connected, log_to_standard_error
from ops.progress import Step, Steps
from ops.replay import archive, replays, rules
from ops.replay.archive import Archive
from ops.replay.replays import Replay
from ops.replay.rules import Rule
from ops.story.facts import Delivery, Facts, created_at

AUDIT, REDRIVE = "audit", "redrive"
# The functions whose lines name events. Only `auto_redrive` deploys the redrive function.
FUNCTIONS: Final = (*names.HANDLERS, AUDIT, REDRIVE)
OPTIONAL: Final = (REDRIVE,)
AUDITED: Final = "event audited"
# How long after Stripe has made an event the ledger is searched for it, if no line says where it is.
SEARCHED: Final = timedelta(hours=1)
# What Stripe answers for an event that it does not keep, or not in this account.
NOT_FOUND: Final = 404
_ROW: Final = f"SELECT * FROM {TABLE} WHERE event_id = ANY(%s)"  # noqa: S608 (the table's name is ours)


@dataclass
class _Sources:
    """The sources of one reading, and what they could not say."""

    environment: Environment
    since: datetime
    now: datetime
    steps: Steps
    interrupted: Interruption
    unknown: list[str] = field(default_factory=list)
    failures: list[OperatorError] = field(default_factory=list)
    answered: int = 0

    @contextmanager
    def asked(self, what: str) -> Iterator[None]:
        """Note that a source can't be asked, in a sentence that begins with what is unknown."""
        try:
            yield
        except OperatorError as error:
            self.unknown.append(f"{what}: {error}")
            self.failures.append(error)
        except EventError as error:
            cause = denials.cause("the ledger bucket", error) or OperatorError(error.reason)
            self.unknown.append(f"{what}: {cause}")
            self.failures.append(cause)
        else:
            self.answered += 1


def read(
    environment: Environment,
    event_ids: Sequence[str],
    since: datetime,
    steps: Steps,
    *,
    found: Mapping[str, Sequence[Delivery]] | None = None,
    interrupted: Interruption | None = None,
) -> list[Facts]:
    """Return what is known of events, in their order.

    Parameters
    ----------
    since
        The logs are read from here on, or from when the oldest event was created.
    found
        Deliveries of the events that are known already, by event id.
    interrupted
        Ends the reading of queues; by default nothing does.

    Raises
    ------
    OperatorError
        No source answers.
    """
    log_to_standard_error()
    now = datetime.now(UTC)
    sources = _Sources(environment, since, now, steps, interrupted or Interruption())
    at_stripe = _at_stripe(sources, event_ids)
    lines = _lines(sources, event_ids, _earliest(since, at_stripe.values()))
    deliveries = dict(found) if found is not None else _deliveries(sources, event_ids, lines, at_stripe)
    rows = _rows(sources, event_ids)
    messages = _messages(sources, event_ids)
    bus = _Bus.read(sources)
    if not sources.answered:
        raise sources.failures[0]
    facts = []
    for event_id in event_ids:
        known = Facts(
            event_id,
            environment.name,
            now.timestamp(),
            at_stripe.get(event_id),
            tuple(lines.get(event_id, ())),
            tuple(deliveries.get(event_id, ())),
            rows.get(event_id),
            [item for item in messages if item[0].event_id == event_id],
            archives=bus.archives,
            replays=bus.replays,
        )
        facts.append(known)
    return _with_items(sources, [_with_rules(each, bus.rules) for each in facts])


def _earliest(since: datetime, events: Collection[Mapping[str, Any]]) -> datetime:
    created = (time for event in events if (time := created_at(event)) is not None)
    times = (datetime.fromtimestamp(each, UTC) - CLOCK_SKEW for each in created)
    return min((since, *times))


def _at_stripe(sources: _Sources, event_ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    with sources.asked("what Stripe keeps of it is unknown"), sources.steps.step("ask Stripe") as step:
        api = reconciliation.stripe(sources.environment)
        for number, event_id in enumerate(event_ids, 1):
            try:
                found[event_id] = api.event(event_id)
            except EventError as error:
                if error.status != NOT_FOUND:
                    raise OperatorError(error.reason) from error
            step.advance_to(number, len(event_ids))
    return found


def _lines(sources: _Sources, event_ids: Sequence[str], since: datetime) -> dict[str, list[LogLine]]:
    """Return what was logged about each event, by event id."""
    seconds = since.timestamp()
    by_id = function_log.equals("correlation_id", event_ids)
    found: dict[str, list[LogLine]] = defaultdict(list)

    def read_one(function: str) -> list[LogLine]:
        own = function_log.lines(sources.environment, function, by_id, seconds)
        if function not in names.HANDLERS:
            return own
        requests = sorted({line.request_id for line in own if line.request_id})
        of_platform = function_log.equals("record.requestId", requests)
        return [*own, *function_log.lines(sources.environment, function, of_platform, seconds)]

    with sources.steps.step("read the logs"), ThreadPoolExecutor(len(FUNCTIONS)) as pool:
        futures = {function: pool.submit(read_one, function) for function in FUNCTIONS}
        for function, future in futures.items():
            try:
                for event_id, line in _by_event(future.result()):
                    found[event_id].append(line)
                sources.answered += 1
            except OperatorError as error:
                if function not in OPTIONAL:
                    sources.unknown.append(f"what the function {function} logged is unknown: {error}")
                    sources.failures.append(error)
    return {event_id: sorted(some, key=lambda line: line.at) for event_id, some in found.items()}


def _by_event(lines: Sequence[LogLine]) -> Iterator[tuple[str, LogLine]]:
    """Yield each line with its event; a line of the platform belongs to the event of its invocation."""
    events = {
        line.request_id: line.record["correlation_id"] for line in lines if line.record.get("correlation_id")
    }
    for line in lines:
        event_id = line.record.get("correlation_id") or events.get(line.request_id)
        if event_id:
            yield event_id, line


def _deliveries(
    sources: _Sources,
    event_ids: Sequence[str],
    lines: Mapping[str, Sequence[LogLine]],
    at_stripe: Mapping[str, Mapping[str, Any]],
) -> dict[str, list[Delivery]]:
    """Return what the ledger in S3 holds: in the objects that the audit's log names, else by searching."""
    found: dict[str, list[Delivery]] = {}
    with (
        sources.asked("what the ledger in S3 holds of it is unknown"),
        sources.steps.step("read the ledger in S3") as step,
    ):
        reader = LedgerReader(sources.environment.client("s3"), sources.environment.ledger_bucket)
        keys = {
            str(line.record["key"]): None
            for some in lines.values()
            for line in some
            if line.message == AUDITED and "key" in line.record
        }
        found = deliveries_in(reader, [*keys], event_ids, step)
        for event_id in event_ids:
            if event_id not in found:
                since, until = _searched(sources, lines.get(event_id, ()), at_stripe.get(event_id))
                found |= search(reader, since, until, [event_id], step)
    return found


def _searched(
    sources: _Sources, lines: Sequence[LogLine], at_stripe: Mapping[str, Any] | None
) -> tuple[datetime, datetime]:
    """Return the window in which an event may have reached the bus."""
    created = created_at(at_stripe or {})
    times = [line.at for line in lines] + ([] if created is None else [created])
    if not times:
        return sources.since, sources.now
    first = datetime.fromtimestamp(min(times), UTC)
    return first - SEARCHED, min(sources.now, first + SEARCHED)


def search(
    reader: LedgerReader, since: datetime, until: datetime, event_ids: Sequence[str], step: Step
) -> dict[str, list[Delivery]]:
    """Search the ledger in S3 for events that reached the bus in a window."""
    found: dict[str, list[Delivery]] = defaultdict(list)
    for keys in reader.keys_between(since, until):
        for event_id, some in deliveries_in(reader, keys, event_ids, step).items():
            found[event_id] += some
    return found


def deliveries_in(
    reader: LedgerReader, keys: Sequence[str], event_ids: Sequence[str], step: Step
) -> dict[str, list[Delivery]]:
    """Return the deliveries of events in objects, by event id, each delivery once."""
    found: dict[str, dict[str, Delivery]] = defaultdict(dict)
    wanted = set(event_ids)
    texts = [event_id.encode() for event_id in event_ids]
    for key, record in reader.records(keys, texts, lambda done: step.advance_to(done, len(keys))):
        delivery = Delivery(key, record)
        for event_id in {record["event_id"], delivery.event.get("snapshot_event")} & wanted:
            found[event_id].setdefault(delivery.id, delivery)
    return {
        event_id: sorted(some.values(), key=lambda delivery: delivery.received_at)
        for event_id, some in found.items()
    }


def _rows(sources: _Sources, event_ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    url = os.environ.get(names.DATABASE_URL, "").strip()
    if not url:
        return {}
    rows: dict[str, Mapping[str, Any]] = {}
    with (
        sources.asked("its row in PostgreSQL is unknown"),
        connected(url) as connection,
        connection.cursor(row_factory=dict_row) as cursor,
    ):
        for row in cursor.execute(_ROW, (list(event_ids),)):
            rows[row["event_id"]] = row
    return rows


def _messages(sources: _Sources, event_ids: Sequence[str]) -> Messages:
    messages: Messages = []
    with sources.asked("what dead-letter queues hold of it is unknown"):
        queues = dead_letter_queues.find(sources.environment, ())
        messages, counts = inspect(
            queues, Filters(event_id=list(event_ids)), sources.steps, sources.interrupted
        )
        if counts.all_unseen:
            sources.unknown.append(
                f"whether one of the {counts.all_unseen} messages that others hold now is about it: repeat "
                "the command in a few minutes"
            )
    return messages


@dataclass(frozen=True)
class _Bus:
    """What EventBridge says about the bus."""

    rules: tuple[Rule, ...] = ()
    archives: tuple[Archive, ...] = ()
    replays: tuple[Replay, ...] = ()

    @classmethod
    def read(cls, sources: _Sources) -> _Bus:
        environment = sources.environment
        found: list[Rule] = []
        kept: list[Archive] = []
        sent: list[Replay] = []
        with sources.steps.step("ask EventBridge"):
            with sources.asked("whether its rules are paused is unknown"):
                found = rules.find(environment, rules.NAMES)
            with sources.asked("whether the archive keeps it, and which replays there were, is unknown"):
                kept = archive.of_bus(environment)
                sent = replays.listed(environment, kept)
        return cls(tuple(found), tuple(kept), tuple(sent))


def _with_rules(facts: Facts, all_rules: Sequence[Rule]) -> Facts:
    event_type = facts.event_type
    matching = () if event_type is None else tuple(rule for rule in all_rules if rule.matches(event_type))
    return replace(facts, rules=matching)


def _with_items(sources: _Sources, facts: Sequence[Facts]) -> list[Facts]:
    """Return the facts with their items of the idempotency table, and with what nobody could say."""
    keys = {each.event_id: list(dict.fromkeys(_item_keys(each))) for each in facts}
    found: dict[str, items.Item] = {}
    with sources.asked("what the idempotency table holds of it is unknown"):
        wanted = list(dict.fromkeys(key for some in keys.values() for key in some))
        found = {
            item[names.IDEMPOTENCY_KEY_ATTRIBUTE]: item for item in items.read(sources.environment, wanted)
        }
    return [
        replace(
            each,
            items=tuple(found[key] for key in keys[each.event_id] if key in found),
            unknown=tuple(sources.unknown),
        )
        for each in facts
    ]


def _item_keys(facts: Facts) -> Iterator[str]:
    envelopes: list[Mapping[str, Any]] = [delivery.envelope for delivery in facts.deliveries]
    envelopes += [message.envelope for message, _ in facts.messages if isinstance(message.envelope, dict)]
    if facts.event is not None:
        envelopes.append({"detail": facts.event})
    for envelope in envelopes:
        yield from items.keys_of(envelope)
