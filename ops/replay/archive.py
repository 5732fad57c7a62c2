"""The archive of an environment, and which windows of it can be replayed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from infra.names import archive_name, archive_prefix
from ops.environment import Environment, aws_errors
from ops.errors import OperatorError
from ops.times import format_time, stamp

# Amazon EventBridge, "Replaying archived events": events reach the archive up to 10 minutes late.
LATENESS: Final = timedelta(minutes=10)


@dataclass(frozen=True)
class Archive:
    """The archive; without a retention it keeps events forever."""

    arn: str
    bus_arn: str
    created: datetime
    retention: timedelta | None

    def oldest(self, now: datetime) -> datetime:
        """Return the earliest time from which it can hold an event."""
        return self.created if self.retention is None else max(self.created, now - self.retention)

    def check(self, since: datetime, until: datetime, now: datetime) -> None:
        """Refuse a window from which events would be missing silently.

        Raises
        ------
        OperatorError
            The window is empty, ends too late, or begins before the archive does.
        """
        if until <= since:
            raise OperatorError(
                f"the window ends ({format_time(until)}) before it begins ({format_time(since)}): correct "
                "--since or --until",
                usage=True,
            )
        latest = now - LATENESS
        if until > latest:
            raise OperatorError(
                f"the window ends {format_time(until)}, and events reach the archive up to 10 minutes late: "
                f"use --until {stamp(latest)} or earlier",
                usage=True,
            )
        oldest = self.oldest(now)
        if since < oldest:
            why = "the archive was created" if oldest == self.created else "the archive's retention begins"
            # A time has no fraction of a second.
            first = stamp(oldest + timedelta(seconds=1))
            raise OperatorError(
                f"the window begins {format_time(since)}, before {why}: use --since {first} or later, and "
                "`huntaze-stripe reconcile` for older events",
                usage=True,
            )


def of_bus(environment: Environment) -> list[Archive]:
    """Return the archives of the environment's bus, its own one first.

    An earlier release named the archive differently; that one stays, and still receives events, until
    somebody deletes it.

    Raises
    ------
    OperatorError
        There is none, or EventBridge refuses to list them.
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
                f"the archive {own} does not exist: check --env and the account, or deploy the environment "
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
