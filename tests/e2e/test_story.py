"""`story` on the deployed pipeline, under a role with its rights alone."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from ops.local import drive
from ops.local.deployment import shell_exports
from tests.e2e.pipeline import Command, Pipeline, fresh, sample
from tests.ops.command import run


@pytest.fixture
def at_stripe(pipeline: Pipeline, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask the Stripe that made the events."""
    del command  # It exports another Stripe before.
    monkeypatch.setenv("STRIPE_API_URL", pipeline.deployment.services.stripe_url)


def story_of(command: Command, reference: str, *options: str) -> dict[str, Any]:
    done = command("story", reference, "--json", *options)
    assert done.code == 0, done.err
    document: dict[str, Any] = json.loads(done.out)
    return document


def places(story: dict[str, Any]) -> set[str]:
    return {moment["place"] for moment in story["moments"]}


@pytest.mark.usefixtures("at_stripe")
def test_story_of_an_applied_event_goes_from_stripe_to_the_ledger(
    pipeline: Pipeline, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATABASE_URL")
    envelope = fresh(sample("current", "payment_intent.succeeded"), "evt_StoryApplied")
    # Stripe keeps events for 30 days.
    envelope["detail"]["created"] = int(time.time())
    drive.list_at_stripe(pipeline.deployment.services, [envelope["detail"]])
    pipeline.drive(envelope)
    story = story_of(command, "evt_StoryApplied")
    assert (story["outcome"], story["attempts"]) == ("applied", 1)
    assert places(story) == {"stripe", "bus", "archive", "rule", "function", "api", "table", "ledger"}
    (call,) = story["calls"]
    assert (call["path"], call["status"]) == ("/api/billing/payment-succeeded", 200)
    assert call["ms"] > 0
    assert story["why"].startswith(
        "the Huntaze API applied it: POST /api/billing/payment-succeeded answered 200"
    )
    assert story["moments"] == sorted(story["moments"], key=lambda moment: moment["time"])
    created = next(moment for moment in story["moments"] if moment["place"] == "stripe")
    assert created["detail"]["listed"] is True
    assert not [line for line in story["unknown"] if " is unknown: " in line]


@pytest.fixture
def sent(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run `send` with the exports of a kept run: a role for it would be of no use on AWS."""
    for name, value in shell_exports(pipeline.deployment).items():
        monkeypatch.setenv(name, value)
    return lambda *arguments: run(["send", *arguments], monkeypatch, capsys)


def test_sent_sample_is_applied_with_its_changed_fields(pipeline: Pipeline, sent: Command) -> None:
    done = sent("invoice.paid", "--set", "data.object.amount_paid=1234", "--json")
    assert done.code == 0, done.err
    story = json.loads(done.out)
    assert (story["event_type"], story["outcome"]) == ("invoice.paid", "applied")
    (request,) = pipeline.requests(story["event_id"])
    assert request["body"]["amountPaid"] == 1234


def test_several_events_print_a_row_each(sent: Command) -> None:
    done = sent("customer.created", "--count", "3")
    assert done.code == 0, done.err
    assert done.out.count("customer.created") == 3


@pytest.mark.usefixtures("working_api")
def test_sent_event_that_is_parked_fails_the_command(pipeline: Pipeline, sent: Command) -> None:
    pipeline.fail(event_type="charge.failed", status=422)
    done = sent("charge.failed")
    pipeline.messages("huntaze-stripe-payments-dlq-dev")
    assert done.code == 1
    assert "the API answered 422" in done.out


def test_nothing_is_sent_to_aws_itself(sent: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    done = sent("invoice.paid")
    assert done.code == 2
    assert "dev is on AWS, where only Stripe can publish to a partner event bus" in done.err


def test_watch_prints_each_event_once_when_it_has_ended(pipeline: Pipeline, command: Command) -> None:
    customer = fresh(sample("current", "customer.updated"), "evt_StoryWatched")
    pipeline.drive(customer, fresh(sample("current", "payout.paid"), "evt_StoryWatched2"))
    own = customer["detail"]["data"]["object"]["id"]
    done = command("watch", "--since", "10m", "--customer", own, "--limit", "1", "--json")
    assert done.code == 0, done.err
    row = json.loads(done.out)
    assert (row["event_id"], row["outcome"], row["audited"]) == ("evt_StoryWatched", "applied", True)
    wanted = ("--type", "payout.paid", "--outcome", "unrouted")
    unrouted = command("watch", "--since", "10m", *wanted, "--limit", "1")
    assert "payout.paid" in unrouted.out


@pytest.mark.usefixtures("working_api")
def test_story_of_a_parked_event_says_why_and_hides_what_is_personal(
    pipeline: Pipeline, command: Command
) -> None:
    pipeline.fail(event_type="customer.created", status=422, body='{"code": "event_rejected"}')
    envelope = fresh(sample("current", "customer.created"), "evt_StoryParked")
    pipeline.drive(envelope)
    story = story_of(command, "evt_StoryParked")
    email = envelope["detail"]["data"]["object"]["email"]
    revealed = story_of(command, "evt_StoryParked", "--reveal")
    pipeline.messages("huntaze-stripe-billing-dlq-dev")
    assert story["outcome"] == "parked"
    assert story["why"] == (
        "the API answered 422 (event_rejected): no retry can help, so it waits in "
        "huntaze-stripe-billing-dlq-dev"
    )
    assert "queue" in places(story)
    assert email not in json.dumps(story)
    assert email in json.dumps(revealed)


def test_story_of_a_customer_holds_its_events_in_one_timeline(pipeline: Pipeline, command: Command) -> None:
    created = fresh(sample("current", "customer.created"), "evt_StoryCustomer")
    customer = created["detail"]["data"]["object"]["id"]
    updated = fresh(sample("current", "customer.updated"), "evt_StoryCustomer2")
    updated["detail"]["data"]["object"]["id"] = customer
    pipeline.drive(created)
    pipeline.drive(updated)
    document = story_of(command, customer)
    assert [event["event_id"] for event in document["events"]] == ["evt_StoryCustomer", "evt_StoryCustomer2"]
    done = command("story", customer)
    assert done.code == 0, done.err
    assert done.out.count("evt_StoryCustomer2  customer.updated") == 1
    assert "Timeline" in done.out


def test_event_that_nothing_knows_fails_with_the_next_step(command: Command) -> None:
    done = command("story", "evt_StoryNobody")
    assert done.code == 1
    assert "nothing here knows evt_StoryNobody: check the id, --env and --since 48h" in done.err
