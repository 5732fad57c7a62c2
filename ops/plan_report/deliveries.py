"""Where each event type goes before and after a plan, from the rules and targets in it.

Source: Amazon EventBridge user guide, "Comparison operators for use in event patterns".
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal

from functions.shared.names import THIN_PREFIX
from infra.patterns import stripe_event_types
from ops.plan_report.attributes import UNKNOWN, Word
from ops.plan_report.changes import ChangeKind
from ops.plan_report.plan import Plan, Resource, decoded

Side = Literal["before", "after"]
SIDES: Final[tuple[Side, Side]] = ("before", "after")
RULE: Final = "aws_cloudwatch_event_rule"
TARGET: Final = "aws_cloudwatch_event_target"
BUS: Final = "aws_cloudwatch_event_bus"
TYPES: Final = "detail-type"
# Stands for each type that no pattern names and Stripe may add.
ANY_OTHER: Final = "any other type"
# What a target is, by the service in its ARN.
KINDS: Final = {"lambda": "function", "sqs": "queue", "logs": "log group"}
OPERATORS: Final = frozenset({"prefix", "suffix", "anything-but", "equals-ignore-case"})


@dataclass(frozen=True)
class Pattern:
    """The pattern of a rule: the matchers of the event type, and everything else in it."""

    matchers: tuple[Any, ...] | None
    others: Mapping[str, Any]

    @classmethod
    def read(cls, text: Any) -> Pattern | None:
        """Read a pattern; None if it is unknown, or has an operator that is not understood."""
        found = decoded(text)
        if not isinstance(found, dict):
            return None
        matchers = found.get(TYPES)
        others = {key: value for key, value in found.items() if key != TYPES}
        if matchers is None:
            return cls(None, others)
        understood = isinstance(matchers, list) and all(map(_is_understood, matchers))
        return cls(tuple(matchers), others) if understood else None

    def matches(self, event_type: str) -> bool:
        """Return whether an event of a type matches, as far as its type decides."""
        return self.matchers is None or any(_matches(each, event_type) for each in self.matchers)


@dataclass(frozen=True)
class Delivery:
    """That a rule sends the events of a type to a target; `kind` is function, queue, log group or target."""

    rule: str
    kind: str
    target: str


@dataclass(frozen=True)
class Wire:
    """A rule and its targets on one side of a plan; the pattern is None where it can't be read."""

    rule: Resource
    pattern: Pattern | None
    is_enabled: bool
    targets: tuple[Delivery, ...]


def wires(plan: Plan, side: Side) -> Iterator[Wire]:
    """Yield the rules with an event pattern, and their targets, of one side of a plan."""
    for rule in plan.of_type(RULE):
        text = _value(rule, side, "event_pattern")
        if not exists(rule, side) or (isinstance(text, Word) and text is not UNKNOWN):
            continue
        name = _value(rule, side, "name")
        targets = tuple(
            Delivery(rule.address, *_destination(target, side))
            for target in plan.of_type(TARGET)
            if exists(target, side) and _value(target, side, "rule") == name
        )
        yield Wire(rule, Pattern.read(text), _is_enabled(rule, side), targets)


@lru_cache(maxsize=8)
def deliveries(plan: Plan, side: Side) -> Mapping[str, tuple[Delivery, ...]]:
    """Return the deliveries of one side by event type; a type without one is absent."""
    live = [wire for wire in wires(plan, side) if wire.is_enabled and wire.pattern]
    found = {
        event_type: tuple(
            delivery
            for wire in live
            if wire.pattern and wire.pattern.matches(event_type)
            for delivery in wire.targets
        )
        for event_type in _types(plan)
    }
    return {event_type: each for event_type, each in found.items() if each}


def without_twins(types: Collection[str]) -> list[str]:
    """Leave out the thin twins of snapshot events that are named too."""
    return [
        each
        for each in types
        if not each.startswith(THIN_PREFIX) or each.removeprefix(THIN_PREFIX) not in types
    ]


def exists(resource: Resource, side: Side) -> bool:
    """Return whether a resource exists on a side; a forgotten one still does."""
    if side == "before":
        return resource.change is not ChangeKind.CREATE
    return resource.change is not ChangeKind.DESTROY


@lru_cache(maxsize=8)
def _types(plan: Plan) -> tuple[str, ...]:
    """Return all types that a pattern names or Stripe has, and one that stands for the others."""
    named = {
        matcher
        for side in SIDES
        for wire in wires(plan, side)
        if wire.pattern
        for matcher in wire.pattern.matchers or ()
        if isinstance(matcher, str)
    }
    return (*sorted(named | stripe_event_types()), ANY_OTHER)


def _value(resource: Resource, side: Side, *path: str | int) -> Any:
    return resource.was(*path) if side == "before" else resource.will_be(*path)


def _is_enabled(rule: Resource, side: Side) -> bool:
    # What a replacement leaves unset is enabled, EventBridge's default.
    return _value(rule, side, "state") != "DISABLED" and _value(rule, side, "is_enabled") is not False


def _destination(target: Resource, side: Side) -> tuple[str, str]:
    arn = _value(target, side, "arn")
    if isinstance(arn, str) and arn.count(":") >= 5:
        return KINDS.get(arn.split(":")[2], "target"), arn.split(":", 5)[5].removeprefix("function:")
    # Of a function that the plan creates; a queue of ours is FIFO and has a message group.
    id_ = _value(target, side, "target_id")
    group = _value(target, side, "sqs_target", 0, "message_group_id")
    return "function" if isinstance(group, Word) else "queue", str(id_) if isinstance(
        id_, str
    ) else target.address


def _is_understood(matcher: Any) -> bool:
    if isinstance(matcher, str):
        return True
    if not isinstance(matcher, dict) or len(matcher) != 1:
        return False
    [(operator, value)] = matcher.items()
    if operator == "anything-but":
        return isinstance(value, str) or (
            isinstance(value, list) and all(isinstance(each, str) for each in value)
        )
    return operator in OPERATORS and isinstance(value, str)


def _matches(matcher: Any, event_type: str) -> bool:
    if isinstance(matcher, str):
        return matcher == event_type
    [(operator, value)] = matcher.items()
    if operator == "prefix":
        return event_type.startswith(value)
    if operator == "suffix":
        return event_type.endswith(value)
    if operator == "anything-but":
        return event_type not in ([value] if isinstance(value, str) else value)
    return bool(event_type.lower() == value.lower())
