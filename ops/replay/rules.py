"""The rules that a replay can go to, by the short names that operators type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from functions.pipeline import routing_table
from functions.shared import names
from ops.environment import Environment, aws_errors
from ops.errors import OperatorError

AUDIT: Final = "audit"
# EventBridge API reference, DescribeRule: State.
DISABLED: Final = "DISABLED"
# The audit rule for types that no handler takes has the plain name.
NAMES: Final = (*names.HANDLERS, *(f"{AUDIT}-{handler}" for handler in names.HANDLERS), AUDIT)


@dataclass(frozen=True)
class Rule:
    """A rule of the bus; `name` is its short one, and a rule that is not `enabled` is paused."""

    name: str
    arn: str
    enabled: bool = True

    @property
    def handler(self) -> str | None:
        """The handler that it invokes, or None for an audit rule."""
        return self.name if self.name in names.HANDLERS else None

    def matches(self, event_type: str) -> bool:
        """Return whether the rule's pattern matches an event type."""
        route = routing_table.ROUTES.get(event_type)
        if self.name == AUDIT:
            return route is None
        return route is not None and route.handler == self.name.removeprefix(f"{AUDIT}-")


def find(environment: Environment, names: Sequence[str]) -> list[Rule]:
    """Return the rules by their short names, in the order of NAMES.

    Raises
    ------
    OperatorError
        A name is unknown, or EventBridge has no such rule.
    """
    for name in names:
        if name not in NAMES:
            raise OperatorError(f"invalid --rule {name!r}: expected one of {', '.join(NAMES)}", usage=True)
    found = []
    client = environment.client("events")
    for name in NAMES:
        if name in names:
            full = environment.resource(name)
            with aws_errors(f"the rule {full}"):
                answer = client.describe_rule(Name=full, EventBusName=environment.bus)
                found.append(Rule(name, answer["Arn"], answer["State"] != DISABLED))
    return found
