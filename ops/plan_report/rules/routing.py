"""Rules about the way of an event: bus, rules and targets, by event type."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from ops.plan_report.attributes import Word
from ops.plan_report.changes import ChangeKind
from ops.plan_report.deliveries import BUS, RULE, TARGET, Delivery, Pattern, deliveries, without_twins
from ops.plan_report.findings import Hit
from ops.plan_report.plan import Plan
from ops.plan_report.text import code, listed, value

RECONCILE: Final = "`huntaze-stripe reconcile` lists what is missing afterwards"
# Lambda's mapping of the audit queue, and what starts the redrive and the reconciliation.
MAPPING: Final = "aws_lambda_event_source_mapping"
SCHEDULE: Final = "aws_scheduler_schedule"
AUDIT: Final = "queue"
FUNCTION: Final = "function"
# A log group of events is a convenience.
WHY: Final = {
    FUNCTION: "the API never learns of these events: a payment or a cancellation is missing in the business",
    AUDIT: "these events are missing in the ledger",
}


def bus_lost(plan: Plan) -> Iterator[Hit]:
    """The bus is destroyed or replaced."""
    for bus in plan.of_type(BUS):
        if bus.is_lost:
            before, after = bus.sides("event_source_name")
            moves = bus.change is ChangeKind.REPLACE and bus.differs("event_source_name")
            other = f", for {value(after)} in place of {value(before)}" if moves else ""
            yield Hit(
                bus.address,
                f"the event bus is {'replaced' if bus.change is ChangeKind.REPLACE else 'destroyed'}{other}",
                "Stripe's events match no rule until the last rule exists again, and the archive of the old "
                "bus can't be replayed to the new one",
                f'follow docs/operations.md, "A new event source"; {RECONCILE}',
            )


def delivery_lost(plan: Plan) -> Iterator[Hit]:
    """Event types that a function or the audit queue no longer gets."""
    before, after = deliveries(plan, "before"), deliveries(plan, "after")
    lost: dict[tuple[str, str], list[str]] = defaultdict(list)
    for event_type, were in before.items():
        kept = {each.kind for each in after.get(event_type, ())}
        for each in were:
            if each.kind in WHY and each.kind not in kept:
                lost[each.rule, each.kind].append(event_type)
    for (address, kind), types in lost.items():
        yield Hit(
            address,
            f"{_cause(plan, address)}: no {kind} gets {listed(without_twins(types))} any more",
            WHY[kind],
            f"restore the route, or warn those who rely on these types; {RECONCILE}",
        )


def delivery_gained(plan: Plan) -> Iterator[Hit]:
    """Event types that a function newly gets, or gets from another function's rule."""
    before, after = deliveries(plan, "before"), deliveries(plan, "after")
    gained: dict[str, list[str]] = defaultdict(list)
    moved: dict[tuple[str, str], list[str]] = defaultdict(list)
    for event_type, are in after.items():
        old, new = _functions(before.get(event_type, ())), _functions(are)
        for target, rule in new.items():
            if not old:
                gained[rule].append(event_type)
            elif target not in old and not old.keys() & new.keys():
                moved[rule, next(iter(old))].append(event_type)
    for rule, types in gained.items():
        yield Hit(
            rule,
            f"newly takes {listed(without_twins(types))}",
            do="check that the destination in Stripe sends them",
        )
    for (rule, source), types in moved.items():
        yield Hit(rule, f"takes {listed(without_twins(types))} from {code(source)}")


def delivered_twice(plan: Plan) -> Iterator[Hit]:
    """Event types that a second function gets too."""
    before, after = deliveries(plan, "before"), deliveries(plan, "after")
    twice: dict[str, list[str]] = defaultdict(list)
    for event_type, are in after.items():
        if len(_functions(are)) > max(1, len(_functions(before.get(event_type, ())))):
            new = [
                rule
                for target, rule in _functions(are).items()
                if target not in _functions(before.get(event_type, ()))
            ]
            twice[new[0]].append(event_type)
    for rule, types in twice.items():
        yield Hit(
            rule,
            f"a second function gets {listed(without_twins(types))}",
            "each function applies the event: a payment would count twice",
            "keep one rule for each type",
        )


def pattern_unread(plan: Plan) -> Iterator[Hit]:
    """A pattern that changes in more than its event types, or can't be compared by them."""
    bus_is_lost = any(bus.is_lost for bus in plan.of_type(BUS))
    for rule in plan.changing(RULE):
        before, after = rule.sides("event_pattern")
        if isinstance(before, Word) or rule.change is ChangeKind.DESTROY or before == after:
            continue
        old, new = Pattern.read(before), Pattern.read(after)
        keys = [] if old is None or new is None else _differing(old, new)
        if old is None or new is None:
            what = "the pattern changes, and this report can't say which event types it matches"
        elif keys and not (bus_is_lost and keys == ["source"]):
            what = f"the pattern changes in {listed(keys)}, beside event types"
        else:
            continue
        yield Hit(
            rule.address,
            what,
            "an event that no pattern matches reaches neither the API nor a dead-letter queue",
            "compare both patterns with an event of each type (`aws events test-event-pattern`)",
        )


def consumer_stopped(plan: Plan) -> Iterator[Hit]:
    """The mapping of the audit queue is removed or disabled."""
    for mapping in plan.changing(MAPPING):
        removed = mapping.change is ChangeKind.DESTROY
        if removed or (mapping.will_be("enabled") is False and mapping.was("enabled") is not False):
            yield Hit(
                mapping.address,
                f"nothing reads the queue any more: the mapping is {'removed' if removed else 'disabled'}",
                "the ledger gets nothing, and the queue deletes events after its retention",
                "to pause a function, use `huntaze-stripe pause`",
            )


def schedule_stopped(plan: Plan) -> Iterator[Hit]:
    """The schedule of a function is removed or disabled."""
    for schedule in plan.changing(SCHEDULE):
        removed = schedule.change is ChangeKind.DESTROY
        if removed or (schedule.will_be("state") == "DISABLED" and schedule.was("state") != "DISABLED"):
            yield Hit(
                schedule.address,
                f"the schedule is {'removed' if removed else 'disabled'}",
                "nothing does its work: failed or missing events wait, or the ledger keeps its small objects",
            )


def _cause(plan: Plan, address: str) -> str:
    rule = next(each for each in plan.of_type(RULE) if each.address == address)
    if rule.change is ChangeKind.DESTROY:
        return "the rule is removed"
    if rule.will_be("state") == "DISABLED" or rule.will_be("is_enabled") is False:
        return "the rule is disabled"
    name = rule.was("name")
    gone = [
        each
        for each in plan.of_type(TARGET)
        if each.was("rule") == name and each.change is ChangeKind.DESTROY
    ]
    return "its target is removed" if gone else "its pattern is narrower"


def _functions(found: Sequence[Delivery]) -> dict[str, str]:
    return {each.target: each.rule for each in found if each.kind == FUNCTION}


def _differing(old: Pattern, new: Pattern) -> list[str]:
    return sorted(key for key in {*old.others, *new.others} if old.others.get(key) != new.others.get(key))
