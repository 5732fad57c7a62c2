"""What pauses each part of an environment, and what happens to events meanwhile.

A reserved concurrency of 0 would not do: Lambda gives up each event at once and sends it to the dead-letter
queue (AWS Lambda, "Retaining records of asynchronous invocations").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from functions.shared import names
from ops import times
from ops.environment import Environment, aws_errors, if_exists
from ops.errors import OperatorError

# The tag of a rule that holds since when it is paused, in UTC.
TAG: Final = "huntaze-stripe-paused-since"
ENABLED, DISABLED = "ENABLED", "DISABLED"
# What UpdateSchedule needs of a schedule besides its state; AWS resets to its default what the call omits.
_SCHEDULE: Final = (
    *("Name", "GroupName", "Description", "ScheduleExpression", "ScheduleExpressionTimezone"),
    *("FlexibleTimeWindow", "Target", "StartDate", "EndDate", "KmsKeyArn", "ActionAfterCompletion"),
)


@dataclass(frozen=True)
class SwitchState:
    """Whether a part is deployed and paused, and since when, where that is known."""

    deployed: bool
    paused: bool = False
    since: datetime | None = None

    def __str__(self) -> str:
        if not self.deployed:
            return "not deployed"
        if not self.paused:
            return (
                f"running, not yet replayed since {times.format_time(self.since)}"
                if self.since
                else "running"
            )
        return f"paused since {times.format_time(self.since)}" if self.since else "paused"


class Switch(Protocol):
    """How one part is paused and resumed."""

    @property
    def effect(self) -> str:
        """What is turned off, and what happens to events meanwhile."""

    @property
    def return_path(self) -> str:
        """How these events are processed after the pause."""

    def state(self, environment: Environment) -> SwitchState:
        """Return whether the part runs."""

    def pause(self, environment: Environment, now: datetime) -> None:
        """Turn it off; a paused part stays paused since the first time."""

    def resume(self, environment: Environment) -> None:
        """Turn it on; a running part keeps running."""


@dataclass(frozen=True)
class HandlerRule:
    """The rule that sends a handler its events."""

    family: str

    effect = (
        "disables its rule; events reach the archive and the audit only. The function still receives what "
        "Lambda has queued, and what redrive and reconcile send: pause them too if it must receive nothing"
    )
    return_path = "After the pause, run the replay that resume prints, while the archive holds its events"

    def state(self, environment: Environment) -> SwitchState:
        """Return whether the rule is enabled, and the time in its tag."""
        rule = self._rule(environment)
        if rule is None:
            return SwitchState(deployed=False)
        return SwitchState(
            deployed=True, paused=rule["State"] == DISABLED, since=self.since(environment, rule)
        )

    def since(self, environment: Environment, rule: Mapping[str, Any] | None = None) -> datetime | None:
        """Return when a pause began whose replay was not printed yet."""
        rule = rule or self._rule(environment)
        if rule is None:
            return None
        with aws_errors("the tags of the rule"):
            tags = environment.client("events").list_tags_for_resource(ResourceARN=rule["Arn"])["Tags"]
        found = next((tag["Value"] for tag in tags if tag["Key"] == TAG), None)
        try:
            return None if found is None else datetime.fromisoformat(found).astimezone(UTC)
        except ValueError:
            raise OperatorError(
                f"invalid tag {TAG}={found!r} of the rule {environment.resource(self.family)}: expected the "
                "start of the pause, such as 2026-11-23T08:00:00+00:00"
            ) from None

    def pause(self, environment: Environment, now: datetime) -> None:
        """Write the time into a tag, then disable the rule, so that the replay covers the whole pause."""
        rule = self._rule(environment)
        client = environment.client("events")
        with aws_errors(f"to pause {self.family}"):
            if rule is None:
                return
            if self.since(environment, rule) is None:
                tag = {"Key": TAG, "Value": now.astimezone(UTC).isoformat(timespec="seconds")}
                client.tag_resource(ResourceARN=rule["Arn"], Tags=[tag])
            client.disable_rule(Name=rule["Name"], EventBusName=environment.bus)

    def resume(self, environment: Environment) -> None:
        """Enable the rule; the tag stays until `forget`, so that an interrupted resume can be repeated."""
        with aws_errors(f"to resume {self.family}"):
            environment.client("events").enable_rule(
                Name=environment.resource(self.family), EventBusName=environment.bus
            )

    def forget(self, environment: Environment) -> None:
        """Remove the tag, once the replay of the pause was printed."""
        rule = self._rule(environment)
        if rule is not None:
            with aws_errors("to remove the rule's tag"):
                environment.client("events").untag_resource(ResourceARN=rule["Arn"], TagKeys=[TAG])

    def _rule(self, environment: Environment) -> dict[str, Any] | None:
        name = environment.resource(self.family)
        with aws_errors(f"the rule {name}"):
            return if_exists(
                environment.client("events").describe_rule, Name=name, EventBusName=environment.bus
            )


@dataclass(frozen=True)
class AuditMapping:
    """The event source mapping by which the audit function reads its queue."""

    effect = (
        "disables the mapping from its queue; events wait there, for 14 days at most. The alarms on its "
        "backlog fire"
    )
    return_path = "After the pause, the function works off the queue"

    def state(self, environment: Environment) -> SwitchState:
        """Return whether the mapping is enabled."""
        mapping = self._mapping(environment)
        if mapping is None:
            return SwitchState(deployed=False)
        return SwitchState(deployed=True, paused=mapping["State"] in ("Disabled", "Disabling"))

    def pause(self, environment: Environment, now: datetime) -> None:
        """Disable the mapping."""
        del now
        self._enable(environment, enabled=False)

    def resume(self, environment: Environment) -> None:
        """Enable the mapping."""
        self._enable(environment, enabled=True)

    def _enable(self, environment: Environment, *, enabled: bool) -> None:
        mapping = self._mapping(environment)
        if mapping is not None:
            with aws_errors("to change the audit's mapping"):
                environment.client("lambda").update_event_source_mapping(
                    UUID=mapping["UUID"], Enabled=enabled
                )

    def _mapping(self, environment: Environment) -> dict[str, Any] | None:
        function = environment.resource("audit")
        with aws_errors(f"the mapping of {function}"):
            answer = if_exists(environment.client("lambda").list_event_source_mappings, FunctionName=function)
        mappings: list[dict[str, Any]] = answer["EventSourceMappings"] if answer else []
        return mappings[0] if mappings else None


@dataclass(frozen=True)
class Schedule:
    """The schedule of a scheduled function."""

    family: str
    effect: str
    return_path: str

    def state(self, environment: Environment) -> SwitchState:
        """Return whether the schedule is enabled."""
        schedule = self._schedule(environment)
        if schedule is None:
            return SwitchState(deployed=False)
        return SwitchState(deployed=True, paused=schedule["State"] == DISABLED)

    def pause(self, environment: Environment, now: datetime) -> None:
        """Disable the schedule."""
        del now
        self._set(environment, DISABLED)

    def resume(self, environment: Environment) -> None:
        """Enable the schedule."""
        self._set(environment, ENABLED)

    def _set(self, environment: Environment, state: str) -> None:
        schedule = self._schedule(environment)
        if schedule is not None:
            kept = {name: schedule[name] for name in _SCHEDULE if schedule.get(name)}
            with aws_errors(f"to change the schedule {schedule['Name']}"):
                environment.client("scheduler").update_schedule(**kept, State=state)

    def _schedule(self, environment: Environment) -> dict[str, Any] | None:
        name = environment.resource(f"{self.family}-schedule")
        with aws_errors(f"the schedule {name}"):
            return if_exists(environment.client("scheduler").get_schedule, Name=name)


SWITCHES: Final[Mapping[str, Switch]] = {
    **{family: HandlerRule(family) for family in names.HANDLERS},
    "audit": AuditMapping(),
    "redrive": Schedule(
        "redrive",
        "disables its schedule; failed events stay in the dead-letter queues, for 14 days at most. The alarm "
        "redrive-stopped fires",
        "After the pause, the next run redrives them",
    ),
    "reconcile": Schedule(
        "reconcile",
        "disables its schedule; nothing is compared with Stripe's list, which covers 30 days. The alarm "
        "reconcile-stopped fires",
        "After the pause, the next run starts where the last one ended",
    ),
    "compact": Schedule(
        "compact",
        "disables its schedule; the ledger keeps its small objects, which every reader knows. The alarm "
        "compact-stopped fires",
        "After the pause, the next run compacts the days of the last two weeks",
    ),
}
