"""`verify` on the deployed pipeline: a reference Stripe API makes the events, as Stripe does in test mode."""

from __future__ import annotations

import json

import pytest

from functions.pipeline.routing_table import ROUTES
from ops.verify.objects import CREATED, REMOVED
from tests.e2e.pipeline import Command, Pipeline

EXPECTED = sorted([*(name for names in CREATED.values() for name in names), *REMOVED])


@pytest.fixture
def delivering(pipeline: Pipeline, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask the Stripe whose event destination is the pipeline's."""
    del command  # It exports another Stripe before.
    monkeypatch.setenv("STRIPE_API_URL", pipeline.deployment.services.stripe_url)
    monkeypatch.setattr("ops.verify.following.POLL_SECONDS", 0.2)


@pytest.mark.usefixtures("delivering")
def test_every_event_of_a_verification_reaches_its_end_and_nothing_is_left(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATABASE_URL")
    done = command("verify", "--json", "--deadline", "60")
    document = json.loads(done.out)
    assert (done.code, document["passed"], document["left"]) == (0, True, []), done.err
    assert sorted(event["event_type"] for event in document["events"]) == EXPECTED
    for event in document["events"]:
        recorded = ROUTES[event["event_type"]].action is None
        assert event["outcome"] == ("recorded" if recorded else "applied"), event
        assert (event["audited"], event["reason"]) == (True, None)
        assert event["latency_ms"] > 0


@pytest.mark.usefixtures("working_api", "delivering")
def test_event_that_is_parked_fails_the_verification_with_its_reason_and_the_next_command(
    pipeline: Pipeline, command: Command
) -> None:
    pipeline.fail(event_type="charge.failed", status=400)
    done = command("verify", "--deadline", "60")
    pipeline.messages("huntaze-stripe-payments-dlq-dev")
    assert done.code == 1, done.err
    assert "charge.failed" in done.out
    assert "1 parked" in done.out
    line = next(each for each in done.out.splitlines() if "was parked" in each)
    assert "was parked: the API answered 400: `huntaze-stripe dlq show --env dev --event-id evt_" in line
    assert "FAILED: 11 of 11 events at their end, 1 parked, 0 never made by Stripe, 0 left" in done.out


@pytest.mark.usefixtures("delivering")
def test_table_of_a_verification_is_that_of_the_local_run(command: Command) -> None:
    done = command("verify", "--account", "acct_1Verify", "--deadline", "60")
    assert done.code == 0, done.err
    assert "What became of each event (latencies in ms)" in done.out
    assert "passed: 11 of 11 events at their end" in done.out
    assert max(map(len, done.out.splitlines())) <= 140


@pytest.mark.usefixtures("delivering")
def test_ping_is_followed_to_the_ledger(command: Command) -> None:
    done = command("verify", "--ping", "--json", "--deadline", "60")
    (event,) = json.loads(done.out)["events"]
    assert (done.code, event["outcome"], event["audited"]) == (0, "unrouted", True), done.err
    assert event["event_type"] == "v2.core.event_destination.ping"
