"""Which archive a replay reads: the bus's own, or one that an earlier release made and that reaches back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from infra.names import archive_name
from ops.errors import OperatorError
from ops.replay import archive as archives

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
BUS = "aws.partner/stripe.com/ed_1"
OWN = archive_name("dev", BUS)
EARLIER = "huntaze-stripe-archive-dev"
OTHERS = archive_name("dev", f"{BUS}2")
ARN = "arn:aws:events:eu-west-1:123456789012:"


class Events:
    """EventBridge with archives, one on each page of its list."""

    def __init__(self, made: dict[str, tuple[str, int]]) -> None:
        self.made = made

    def list_archives(self, *, NamePrefix: str, NextToken: str = "0") -> dict[str, Any]:  # noqa: N803 # AWS's
        named = sorted(name for name in self.made if name.startswith(NamePrefix))
        page = int(NextToken)
        listed = [{"ArchiveName": name, "EventSourceArn": self.bus(name)} for name in named[page : page + 1]]
        more = {"NextToken": str(page + 1)} if page + 1 < len(named) else {}
        return {"Archives": listed, **more}

    def describe_archive(self, *, ArchiveName: str) -> dict[str, Any]:  # noqa: N803 # AWS's
        return {
            "ArchiveArn": f"{ARN}archive/{ArchiveName}",
            "EventSourceArn": self.bus(ArchiveName),
            "CreationTime": NOW - timedelta(days=self.made[ArchiveName][1]),
            "RetentionDays": 30,
        }

    def bus(self, name: str) -> str:
        return f"{ARN}event-bus/{self.made[name][0]}"


def of_bus(made: dict[str, tuple[str, int]]) -> list[archives.Archive]:
    environment: Any = SimpleNamespace(name="dev", bus=BUS, client=lambda _service: Events(made))
    return archives.of_bus(environment)


def test_an_earlier_archive_of_the_same_bus_is_found_after_its_own() -> None:
    found = of_bus({EARLIER: (BUS, 20), OTHERS: (f"{BUS}2", 20), OWN: (BUS, 2)})
    assert [archive.arn for archive in found] == [f"{ARN}archive/{OWN}", f"{ARN}archive/{EARLIER}"]


@pytest.mark.parametrize(("days", "name"), [(1, OWN), (19, EARLIER), (29, OWN)])
def test_a_window_is_replayed_from_the_archive_that_covers_it(days: int, name: str) -> None:
    found = of_bus({EARLIER: (BUS, 20), OWN: (BUS, 2)})
    assert archives.reaching(found, NOW - timedelta(days=days), NOW).arn == f"{ARN}archive/{name}"


def test_an_environment_without_an_archive_gets_an_error_with_its_name() -> None:
    with pytest.raises(OperatorError, match=f"the archive {OWN} does not exist: check --env"):
        of_bus({OTHERS: (f"{BUS}2", 20)})
