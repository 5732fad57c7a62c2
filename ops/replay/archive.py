"""The archive of an environment, and which windows of it can be replayed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from infra.names import archive_name, archive_prefix
from ops.environment import Environment, aws_errors
from ops.errors import OperatorError
from ops.times import told

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


def of_bus(environment: Environment) -> list[Archive]:
    """Ask EventBridge for the archives of the environment's bus, its own one first.

    An earlier release made the archive under another name; that one stays, and still takes events, until
    somebody deletes it.

    Raises
    ------
    OperatorError
        There is none, or they can't be asked for.
    """
    own, found = archive_name(environment.name, environment.bus), []
    client = environment.client("events")
    with aws_errors(f"the archive {own}"):
        pages: dict[str, Any] = {"NamePrefix": archive_prefix(environment.name)}
        while True:
            answer = client.list_archives(**pages)
            found += [
                listed["ArchiveName"]
                for listed in answer["Archives"]
                if listed["EventSourceArn"].endswith(f"event-bus/{environment.bus}")
            ]
            if not answer.get("NextToken"):
                break
            pages["NextToken"] = answer["NextToken"]
        if not found:
            raise OperatorError(
                f"the archive {own} is not there: check --env and the account, or deploy the environment "
                "first"
            )
        return [_described(client, name) for name in sorted(found, key=lambda name: (name != own, name))]


def reaching(archives: Sequence[Archive], since: datetime, now: datetime) -> Archive:
    """Return the first archive that reaches back to a time; where none does, the first."""
    return next((archive for archive in archives if archive.oldest(now) <= since), archives[0])


def _described(client: Any, name: str) -> Archive:
    answer: dict[str, Any] = client.describe_archive(ArchiveName=name)
    days = answer.get("RetentionDays") or 0
    return Archive(
        arn=answer["ArchiveArn"],
        bus_arn=answer["EventSourceArn"],
        created=answer["CreationTime"],
        retention=timedelta(days=days) if days else None,
    )
