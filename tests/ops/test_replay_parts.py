"""Which windows can be replayed, which rule takes what, and how far a replay came."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from rich.console import Console

from functions.pipeline.routing_table import ROUTES
from infra.patterns import stripe_event_types
from ops.errors import OperatorError
from ops.progress import Steps
from ops.replay import forecast as forecasts
from ops.replay import replays, report, rules
from ops.replay.archive import Archive
from ops.replay.replays import Replay
from ops.replay.rules import Rule

pytestmark = pytest.mark.unit

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
MADE = NOW - timedelta(days=100)
ARCHIVE = Archive("arn:archive", "arn:bus", MADE, timedelta(days=30))


@pytest.mark.parametrize(
    ("since", "until"),
    [
        (NOW - HOUR, NOW - timedelta(minutes=10)),
        (NOW - timedelta(days=30), NOW - timedelta(days=29)),
    ],
)
def test_window_of_which_everything_is_in_the_archive_passes(since: datetime, until: datetime) -> None:
    ARCHIVE.check(since, until, NOW)


@pytest.mark.parametrize(
    ("archive", "since", "until", "expected"),
    [
        (ARCHIVE, NOW - HOUR, NOW - timedelta(minutes=9, seconds=59), "up to 10 minutes late: use --until"),
        (ARCHIVE, NOW - HOUR, NOW, "use --until 2026-11-23T11:50:00Z or earlier"),
        (ARCHIVE, NOW - HOUR, NOW + HOUR, "up to 10 minutes late"),
        (ARCHIVE, NOW - HOUR, NOW - HOUR, "before it begins"),
        (ARCHIVE, NOW - HOUR, NOW - 2 * HOUR, "before it begins"),
        (ARCHIVE, NOW - timedelta(days=30, seconds=1), NOW - HOUR, "before the archive's retention begins"),
        (
            Archive("arn:archive", "arn:bus", NOW - 2 * HOUR, timedelta(days=30)),
            NOW - 3 * HOUR,
            NOW - HOUR,
            "before the archive was created: use --since 2026-11-23T10:00:01Z or later",
        ),
        (
            Archive("arn:archive", "arn:bus", MADE, None),
            MADE - HOUR,
            NOW - HOUR,
            "before the archive was created",
        ),
    ],
)
def test_window_that_would_leave_events_out_is_refused(
    archive: Archive, since: datetime, until: datetime, expected: str
) -> None:
    with pytest.raises(OperatorError) as caught:
        archive.check(since, until, NOW)
    assert caught.value.usage
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_archive_without_retention_keeps_everything() -> None:
    archive = Archive("arn:archive", "arn:bus", MADE, None)
    archive.check(MADE, NOW - HOUR, NOW)


@pytest.mark.parametrize("event_type", sorted(stripe_event_types()))
def test_each_type_has_one_audit_lane_and_at_most_one_handler(event_type: str) -> None:
    takers = [name for name in rules.NAMES if Rule(name, "arn").matches(event_type)]
    lanes = [name for name in takers if name.startswith("audit")]
    handlers = [name for name in takers if Rule(name, "arn").handler]
    assert len(lanes) == 1
    assert sorted(takers) == sorted(lanes + handlers)
    assert handlers == ([ROUTES[event_type].handler] if event_type in ROUTES else [])


def replay(**changes: Any) -> Replay:
    values: dict[str, Any] = {
        "name": "replay-dev-1",
        "state": "RUNNING",
        "since": NOW - HOUR,
        "until": NOW,
        "replayed_until": None,
        "reason": None,
    }
    return Replay(**(values | changes))


@pytest.mark.parametrize(
    ("changes", "seconds"),
    [
        ({}, (0, 3600)),
        ({"replayed_until": NOW - HOUR / 2}, (1800, 3600)),
        ({"replayed_until": NOW - 2 * HOUR}, (0, 3600)),
        ({"state": "COMPLETED"}, (3600, 3600)),
        ({"state": "CANCELLED", "replayed_until": NOW - HOUR / 4}, (2700, 3600)),
    ],
)
def test_progress_is_reported_in_seconds_of_the_window(
    changes: dict[str, Any], seconds: tuple[int, int]
) -> None:
    assert replay(**changes).seconds == seconds


@pytest.mark.parametrize(
    ("state", "ended"),
    [
        ("STARTING", False),
        ("RUNNING", False),
        ("CANCELLING", False),
        ("COMPLETED", True),
        ("CANCELLED", True),
        ("FAILED", True),
    ],
)
def test_replay_ends_in_its_last_states(state: str, ended: bool) -> None:
    assert replay(state=state).ended is ended


class Events:
    """EventBridge with one replay that comes on a little at each look."""

    def __init__(self, *states: str) -> None:
        self.states = list(states)
        self.cancelled: list[str] = []

    def describe_replay(self, ReplayName: str) -> dict[str, Any]:  # noqa: N803 (EventBridge's names)
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        if state == "MISSING":
            raise ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "DescribeReplay")
        return {
            "ReplayName": ReplayName,
            "State": state,
            "EventStartTime": NOW - HOUR,
            "EventEndTime": NOW,
            "StateReason": "",
        }

    def cancel_replay(self, ReplayName: str) -> None:  # noqa: N803 (EventBridge's names)
        self.cancelled.append(ReplayName)


def environment(events: Events) -> Any:
    return SimpleNamespace(client=lambda _service: events, name="dev")


def test_waiting_looks_until_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replays, "POLL_SECONDS", 0.0)
    seen: list[str] = []
    ended = replays.wait(
        environment(Events("STARTING", "RUNNING", "RUNNING", "COMPLETED")),
        "replay-dev-1",
        lambda each: seen.append(each.state),
    )
    assert ended.state == "COMPLETED"
    assert seen == ["STARTING", "RUNNING", "RUNNING", "COMPLETED"]


def test_running_replay_is_cancelled_and_an_ended_one_is_not() -> None:
    running = Events("RUNNING")
    replays.cancel(environment(running), "replay-dev-1")
    assert running.cancelled == ["replay-dev-1"]
    done = Events("COMPLETED")
    with pytest.raises(OperatorError, match="is COMPLETED: there is nothing to cancel"):
        replays.cancel(environment(done), "replay-dev-1")
    assert done.cancelled == []


def test_name_says_whether_a_replay_is_forced() -> None:
    assert replay(name="forced-replay-dev-20261123T120000Z").forced
    assert not replay(name="replay-dev-20261123T120000Z").forced


@pytest.mark.parametrize(
    ("counts", "applied", "line"),
    [
        ([0, 1, 2], 2, "2 of 2 events applied"),
        ([1, 1, 1], 1, "1 of 2 events applied; 1 not applied: `huntaze-stripe dlq list --env dev` shows why"),
    ],
)
def test_a_replay_ends_with_how_many_events_are_applied(
    counts: list[int], applied: int, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forecasts, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(forecasts, "QUIET_SECONDS", 0.0 if counts[0] else 60.0)
    monkeypatch.setattr(forecasts, "_applied", lambda *_: Counter({"invoice.paid": counts.pop(0)}))
    forecast = forecasts.Forecast("S3", (), keys=dict.fromkeys(("a key", "another"), "invoice.paid"))
    steps = Steps(Console(quiet=True))
    assert forecasts.applied_in_the_end(environment(Events("COMPLETED")), forecast, steps) == applied
    assert report.outcome(forecast, applied, "dev") == line
