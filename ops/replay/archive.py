"""The archive of an environment, and which windows of it can be replayed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ops.environment import Environment, aws_errors
from ops.errors import OperatorError
from ops.moments import told

# Amazon EventBridge, "Replaying archived events": events reach the archive up to 10 minutes late.
LATENESS = timedelta(minutes=10)


@dataclass(frozen=True)
class Archive:
    """The archive; without a retention it keeps events for ever."""

    arn: str
    bus_arn: str
    created: datetime
    retention: timedelta | None

    def oldest(self, now: datetime) -> datetime:
        """Return the earliest time of which it can hold an event."""
        return self.created if self.retention is None else max(self.created, now - self.retention)

    def check(self, since: datetime, until: datetime, now: datetime) -> None:
        """Refuse a window of which events would be left out silently.

        Raises
        ------
        OperatorError
            The window is empty, ends too late, or begins before the archive does.
        """
        if until <= since:
            raise OperatorError(
                f"the window ends ({told(until)}) before it begins ({told(since)}): correct --since "
                "or --until",
                usage=True,
            )
        latest = now - LATENESS
        if until > latest:
            raise OperatorError(
                f"the window ends {told(until)}, and events reach the archive up to 10 minutes late: "
                f"give --until {latest.strftime('%Y-%m-%dT%H:%M:%SZ')} or earlier",
                usage=True,
            )
        oldest = self.oldest(now)
        if since < oldest:
            why = "the archive was made" if oldest == self.created else "the archive's retention begins"
            raise OperatorError(
                f"the window begins {told(since)}, before {why} ({told(oldest)}): give a later --since, and "
                "take older events from `huntaze-stripe reconcile`",
                usage=True,
            )


def describe(environment: Environment) -> Archive:
    """Ask EventBridge for the environment's archive.

    Raises
    ------
    OperatorError
        It is not there, or can't be asked for.
    """
    name = environment.resource("archive")
    with aws_errors(f"the archive {name}"):
        answer: dict[str, Any] = environment.client("events").describe_archive(ArchiveName=name)
        days = answer.get("RetentionDays") or 0
        return Archive(
            arn=answer["ArchiveArn"],
            bus_arn=answer["EventSourceArn"],
            created=answer["CreationTime"],
            retention=timedelta(days=days) if days else None,
        )
