"""A replay's name contains its start time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.pipeline.envelope import REPLAY
from functions.pipeline.replay_names import new_name, started_at
from functions.shared.names import FORCED_REPLAY_PREFIX


@given(
    environment=st.sampled_from(["dev", "staging", "prod"]),
    seconds=st.floats(0, 4_000_000_000, allow_nan=False),
    offset=st.integers(-14 * 60, 14 * 60),
    forced=st.booleans(),
)
def test_name_contains_its_second_in_utc_in_any_zone(
    environment: str, seconds: float, offset: int, *, forced: bool
) -> None:
    now = datetime.fromtimestamp(seconds, timezone(timedelta(minutes=offset)))
    name = new_name(environment, now, forced=forced)
    assert REPLAY.fullmatch(name)
    assert name.startswith(FORCED_REPLAY_PREFIX) is forced
    assert started_at(name) == int(now.timestamp())


def test_name_is_the_one_that_is_documented() -> None:
    now = datetime(2026, 11, 23, 10, 15, 0, 999_999, tzinfo=UTC)
    assert new_name("prod", now, forced=True) == "forced-replay-prod-20261123T101500Z"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "forced-by-hand",
        "forced-20261123",
        "forced-replay-prod-20261323T101500Z",
        "forced-replay-prod-20261123T101500Z-again",
        "forced-replay-prod-20261123T1015",
    ],
)
def test_name_without_a_time_has_no_start_time(name: str) -> None:
    assert started_at(name) is None
