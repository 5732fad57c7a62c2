"""What pauses each part of an environment: what is turned off, and what becomes of events meanwhile.

A reserved concurrency of 0 is no such switch: Lambda gives each event up at once, and puts it into the
dead-letter queue (AWS Lambda, "Retaining records of asynchronous invocations").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from botocore.exceptions import ClientError

from functions.shared import names
from ops import times
from ops.environment import MISSING_CODES, Environment, aws_errors
from ops.errors import OperatorError

# The tag of a rule that tells since when it is paused, in UTC.
TAG: Final = "huntaze-stripe-paused-since"
ENABLED, DISABLED = "ENABLED", "DISABLED"
# What UpdateSchedule needs of a schedule besides its state; what it leaves out has AWS's default.
_SCHEDULE: Final = (
    *("Name", "GroupName", "Description", "ScheduleExpression", "ScheduleExpressionTimezone"),
    *("FlexibleTimeWindow", "Target", "StartDate", "EndDate", "KmsKeyArn", "ActionAfterCompletion"),
)


@dataclass(frozen=True)
class State:
    """Whether a part is deployed and paused, and since when, where that is known."""

    deployed: bool
    paused: bool = False
    since: datetime | None = None

    def __str__(self) -> str:
        if not self.deployed:
            return "not deployed"
        if not self.paused:
            return f"running, not yet replayed since {times.told(self.since)}" if self.since else "running"
        return f"paused since {times.told(self.since)}" if self.since else "paused"


class Switch(Protocol):
    """How one part is paused and resumed."""

    @property
    def what(self) -> str:
        """What is turned off."""

    @property
    def meanwhile(self) -> str:
        """What becomes of events while it is off."""

    @property
    def back(self) -> str:
        """How they come back."""

    def state(self, environment: Environment) -> State:
        """Whether the part runs."""

    def pause(self, environment: Environment, now: datetime) -> None:
        """Turn it off; what is off stays off, since the time that it was turned off first."""

    def resume(self, environment: Environment) -> None:
        """Turn it on; what is on stays on."""


@dataclass(frozen=True)
class HandlerRule:
    """The rule that hands a handler its events."""

    family: str

    what = "its rule"
    meanwhile = (
        "events reach the archive and the audit, and not the function; it still gets what Lambda has taken "
        "already, and what redrive and reconcile hand over: pause these too where it must get nothing"
    )
    back = "a replay of the time of the pause, which resume prints; the archive must still hold that time"

    def state(self, environment: Environment) -> State:
        """As :class:`Switch` says; the rule's tag tells since when."""
        rule = self._rule(environment)
        if rule is None:
            return State(deployed=False)
        return State(deployed=True, paused=rule["State"] == DISABLED, since=self.since(environment, rule))

    def since(self, environment: Environment, rule: Mapping[str, Any] | None = None) -> datetime | None:
        """The begin of a pause of which nobody was told yet how its events come back."""
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
                f"the tag {TAG} of the rule {environment.resource(self.family)} is {found!r}, which is no "
                "time: write the time of the pause, like 2026-11-23T08:00:00+00:00"
            ) from None

    def pause(self, environment: Environment, now: datetime) -> None:
        """The time is written down before the rule is off, so that no event of the pause is forgotten."""
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
        """The tag stays until :meth:`forget`: whoever is interrupted before can ask again."""
        with aws_errors(f"to resume {self.family}"):
            environment.client("events").enable_rule(
                Name=environment.resource(self.family), EventBusName=environment.bus
            )

    def forget(self, environment: Environment) -> None:
        """Remove the tag, once somebody was told how to bring the events of the pause back."""
        rule = self._rule(environment)
        if rule is not None:
            with aws_errors("to remove the rule's tag"):
                environment.client("events").untag_resource(ResourceARN=rule["Arn"], TagKeys=[TAG])

    def _rule(self, environment: Environment) -> dict[str, Any] | None:
        name = environment.resource(self.family)
        with aws_errors(f"the rule {name}"):
            return _found(
                lambda: environment.client("events").describe_rule(Name=name, EventBusName=environment.bus)
            )


@dataclass(frozen=True)
class AuditMapping:
    """The event source mapping by which the audit function reads its queue."""

    what = "the mapping between its queue and its function"
    meanwhile = "events wait in the audit's queue, for 14 days at most; the alarms on its backlog go on"
    back = "by themselves: the function works the queue off"

    def state(self, environment: Environment) -> State:
        """As :class:`Switch` says."""
        mapping = self._mapping(environment)
        if mapping is None:
            return State(deployed=False)
        return State(deployed=True, paused=mapping["State"] in ("Disabled", "Disabling"))

    def pause(self, environment: Environment, now: datetime) -> None:
        """As :class:`Switch` says."""
        del now
        self._enable(environment, enabled=False)

    def resume(self, environment: Environment) -> None:
        """As :class:`Switch` says."""
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
            answer = _found(
                lambda: environment.client("lambda").list_event_source_mappings(FunctionName=function)
            )
        mappings: list[dict[str, Any]] = answer["EventSourceMappings"] if answer else []
        return mappings[0] if mappings else None


@dataclass(frozen=True)
class Schedule:
    """The schedule of a function that runs by the clock."""

    family: str
    meanwhile: str
    back: str

    what = "its schedule"

    def state(self, environment: Environment) -> State:
        """As :class:`Switch` says."""
        schedule = self._schedule(environment)
        if schedule is None:
            return State(deployed=False)
        return State(deployed=True, paused=schedule["State"] == DISABLED)

    def pause(self, environment: Environment, now: datetime) -> None:
        """As :class:`Switch` says."""
        del now
        self._set(environment, DISABLED)

    def resume(self, environment: Environment) -> None:
        """As :class:`Switch` says."""
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
            return _found(lambda: environment.client("scheduler").get_schedule(Name=name))


def _found(ask: Any) -> dict[str, Any] | None:
    """What AWS answers, or None where it is not there."""
    try:
        answer: dict[str, Any] = ask()
    except ClientError as error:
        if error.response["Error"]["Code"] in MISSING_CODES:
            return None
        raise
    return answer


SWITCHES: Final[Mapping[str, Switch]] = {
    **{family: HandlerRule(family) for family in names.HANDLERS},
    "audit": AuditMapping(),
    "redrive": Schedule(
        "redrive",
        "failed events stay in the dead-letter queues, for 14 days at most; redrive-stopped goes on",
        "by themselves: the next run hands them back",
    ),
    "reconcile": Schedule(
        "reconcile",
        "nothing is compared with Stripe's list, which reaches back 30 days; reconcile-stopped goes on",
        "by itself: the next run begins where the last one ended",
    ),
}
