"""Replay and reconcile from the command line, on the deployed pipeline and with a reference Stripe API."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from functions.shared import names
from ops.local import drive
from ops.local.deployment import EVENT_SOURCE
from ops.reference.stripe import ReferenceStripe
from tests.e2e.pipeline import Command, Pipeline, fresh, sample, second, wait_for
from tests.emulator.roles import ACCOUNT

PERSONAL = "jenny.rosen@example.com"


def keys(pipeline: Pipeline, event_id: str) -> list[str]:
    """Return the idempotency keys of the API calls for an event."""
    requests = pipeline.observer.look().requests
    return [request.idempotency_key for request in requests if request.event_id == event_id]


@pytest.mark.parametrize("ledger", ["PostgreSQL", "S3"])
def test_dry_run_counts_the_events_and_those_applied(
    pipeline: Pipeline, command: Command, monkeypatch: pytest.MonkeyPatch, ledger: str
) -> None:
    if ledger == "S3":
        monkeypatch.delenv("DATABASE_URL")
    since = second()
    refused = fresh(
        sample("refused", "payment_intent.succeeded--test-currency"), f"evt_e2eDry{ledger}Refused"
    )
    applied = fresh(sample("current", "payment_intent.succeeded"), f"evt_e2eDry{ledger}Payment")
    applied["detail"]["data"]["object"]["id"] = f"pi_dry{ledger}"
    pipeline.drive(
        applied,
        refused,
        fresh(sample("current", "customer.updated"), f"evt_e2eDry{ledger}Customer"),
        fresh(sample("current", "payout.paid"), f"evt_e2eDry{ledger}Payout"),
    )
    pipeline.messages("huntaze-stripe-payments-dlq-dev")
    until = second()
    window = ("--since", since, "--until", until)
    done = command("replay", "start", *window, "--rule", "payments", "--rule", "audit", "--dry-run", "--json")
    assert (done.code, "error" in done.err) == (0, False), done.err
    document = json.loads(done.out)
    assert (document["ledger"], document["rules"], document["state"]) == (ledger, ["payments", "audit"], None)
    assert document["types"] == [
        {"event_type": "payment_intent.succeeded", "rules": ["payments"], "events": 2, "applied": 1},
        {"event_type": "payout.paid", "rules": ["audit"], "events": 1, "applied": None},
    ]
    assert (document["events"], document["applied"]) == (3, 1)
    assert document["replay"] not in command("replay", "status", "--json").out


def test_replay_brings_the_window_to_the_chosen_rule_and_applies_nothing_twice(
    pipeline: Pipeline, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    since = second()
    payment = fresh(sample("current", "payment_intent.succeeded"), "evt_e2eCliPayment")
    payment["detail"]["data"]["object"]["id"] = "pi_e2eCli"
    pipeline.drive(payment, fresh(sample("current", "customer.updated"), "evt_e2eCliCustomer"))
    window = ("--since", since, "--until", second())
    done = command("replay", "start", *window, "--rule", "payments", "--yes", "--wait", "--json")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert (document["state"], document["events"], document["applied"]) == ("COMPLETED", 1, 1)
    wait_for(lambda: pipeline.outcomes("evt_e2eCliPayment") == ["applied", "duplicate"], "the replay")
    assert pipeline.outcomes("evt_e2eCliCustomer") == ["applied"]

    shown = json.loads(command("replay", "status", document["replay"], "--wait", "--json").out)
    assert (shown["state"], shown["forced"]) == ("COMPLETED", False)
    assert shown["seconds_replayed"] == shown["seconds"]
    assert document["replay"] in command("replay", "status").out
    ended = command("replay", "cancel", document["replay"], "--yes")
    assert (ended.code, "is COMPLETED: there is nothing to cancel" in ended.err) == (1, True)
    # AWS's own answer, too, because no replay of so few events runs for long.
    monkeypatch.setattr("ops.replay.replays.RUNNING", ("COMPLETED",))
    ended = command("replay", "cancel", document["replay"], "--yes")
    assert (ended.code, "AWS refused to cancel the replay" in ended.err) == (1, True), ended.err


def test_forced_replay_is_named_and_written_down_with_who_and_why(
    pipeline: Pipeline, command: Command
) -> None:
    since = second()
    payment = fresh(sample("current", "payment_intent.succeeded"), "evt_e2eForced")
    payment["detail"]["data"]["object"]["id"] = "pi_e2eForced"
    pipeline.drive(payment)
    until = second()
    start = ("replay", "start", "--since", since, "--until", until, "--rule", "payments", "--json", "--wait")
    done = command(*start, "--force", "--reason", "the API was restored from a backup", "--yes")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    name = document["replay"]
    assert name.startswith("forced-")
    s3 = pipeline.deployment.services.aws.client("s3")
    bucket = pipeline.deployment.outputs.ledger_bucket
    written = json.loads(s3.get_object(Bucket=bucket, Key=document["record"])["Body"].read())
    assert document["record"].startswith("replays/")
    assert written.pop("at") >= until
    assert written == {
        "replay": name,
        "environment": "dev",
        "caller": f"arn:aws:sts::{ACCOUNT}:assumed-role/operator-replay-start-force/tests",
        "reason": "the API was restored from a backup",
        "since": since,
        "until": until,
        "rules": ["payments"],
        "events": 1,
        "applied_before": 1,
        "events_by_type": {"payment_intent.succeeded": 1},
    }
    wait_for(lambda: pipeline.outcomes("evt_e2eForced") == ["applied"] * 2, "the forced replay")
    assert keys(pipeline, "evt_e2eForced") == ["evt_e2eForced", f"evt_e2eForced:{name}"]

    repeated = command(*start, "--force", "--reason", "the API was restored from a backup", "--yes")
    assert (repeated.code, name in repeated.err, "--again" in repeated.err) == (2, True, True)


def test_window_outside_the_archive_is_refused(pipeline: Pipeline, command: Command) -> None:
    done = command("replay", "start", "--since", "29d", "--yes")
    assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert "before the archive was created" in done.err


def test_without_a_terminal_replay_is_refused(pipeline: Pipeline, command: Command) -> None:
    done = command("replay", "start", "--since", second(), "--until", second())
    assert (done.code, done.err) == (2, "error: not a terminal: pass --yes to skip the confirmation\n")


def made_by_stripe(name: str, event_id: str, seconds_ago: float = 60) -> dict[str, Any]:
    """Return a sample as Stripe lists it: the event without an envelope."""
    envelope = fresh(sample("current", name), event_id)
    detail: dict[str, Any] = copy.deepcopy(envelope["detail"])
    detail["created"] = int(time.time() - seconds_ago)
    detail["data"]["object"]["id"] = f"{detail['data']['object']['id'].partition('_')[0]}_{event_id}"
    return detail


def envelope_of(event: dict[str, Any], name: str) -> dict[str, Any]:
    return sample("current", name) | {"detail": event}


def types(document: dict[str, Any]) -> dict[str, Sequence[str]]:
    return {line["event_type"]: line["missing"] for line in document["types"] if line["missing"]}


@pytest.mark.parametrize("ledger", ["PostgreSQL", "S3"])
def test_missing_events_are_found_healed_and_then_in_the_ledger(
    pipeline: Pipeline,
    command: Command,
    stripe: ReferenceStripe,
    monkeypatch: pytest.MonkeyPatch,
    ledger: str,
) -> None:
    if ledger == "S3":
        monkeypatch.delenv("DATABASE_URL")
    arrived = made_by_stripe("customer.updated", f"evt_e2eArrived{ledger}")
    customer = made_by_stripe("customer.created", f"evt_e2eLostCustomer{ledger}")
    payment = made_by_stripe("payment_intent.succeeded", f"evt_e2eLostPayment{ledger}")
    payout = made_by_stripe("payout.paid", f"evt_e2eLostPayout{ledger}")
    pipeline.drive(envelope_of(arrived, "customer.updated"))
    stripe.add_events(arrived, customer, payment, payout)
    reconcile = ("reconcile", "--since", "1h", "--until", "0m", "--json")

    done = command(*reconcile)
    assert done.code == 1, done.err
    document = json.loads(done.out)
    assert (document["ledger"], document["compared"], document["missing"]) == (ledger, 3, 2)
    lost = {"customer.created": [customer["id"]], "payment_intent.succeeded": [payment["id"]]}
    assert types(document) == lost
    assert command(*reconcile, "--heal", "--dry-run").code == 1
    assert pipeline.outcomes(payment["id"], customer["id"]) == []

    healed = command(*reconcile, "--all-types", "--heal")
    assert healed.code == 0, healed.err
    assert types(json.loads(healed.out)) == lost | {"payout.paid": [payout["id"]]}
    wait_for(lambda: pipeline.outcomes(payment["id"], customer["id"]) == ["applied"] * 2, "the handlers")
    wait_for(lambda: command(*reconcile, "--all-types").code == 0, "the ledger")
    assert keys(pipeline, payment["id"]) == [payment["id"]]
    for shown in (done, healed):
        assert payment["data"]["object"]["id"] not in shown.out + shown.err


def test_healing_what_is_applied_already_applies_nothing_twice(
    pipeline: Pipeline, command: Command, stripe: ReferenceStripe
) -> None:
    event = made_by_stripe("payment_intent.succeeded", "evt_e2eHealTwice")
    stripe.add_events(event)
    heal = ("reconcile", "--since", "1h", "--until", "0m", "--heal")
    # Two people at once: the second finds it missing as well, because the ledger is not that fast.
    assert [command(*heal).code for _ in range(2)] == [0, 0]
    wait_for(lambda: "applied" in pipeline.outcomes(event["id"]), "the handler")
    wait_for(lambda: command("reconcile", "--since", "1h", "--until", "0m").code == 0, "the ledger")
    assert pipeline.outcomes(event["id"]).count("applied") == 1
    assert keys(pipeline, event["id"]) == [event["id"]]


def test_events_that_reached_no_handler_are_found_and_healed(
    pipeline: Pipeline, command: Command, stripe: ReferenceStripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The handler's rule was disabled: only the audit has the event."""
    monkeypatch.setenv("MAX_EVENT_AGE_SECONDS", "600")
    monkeypatch.setenv("AUTO_REDRIVE", "false")
    event = made_by_stripe("payment_intent.succeeded", "evt_e2eNoHandler", seconds_ago=900)
    # Stripe lists it in the version that the account had.
    stripe.add_events(event | {"api_version": "2019-01-01"})
    aws = pipeline.deployment.services.aws
    rule = {"Name": "huntaze-stripe-payments-dev", "EventBusName": EVENT_SOURCE}
    aws.client("events").disable_rule(**rule)
    try:
        drive.send(aws, EVENT_SOURCE, [envelope_of(event, "payment_intent.succeeded")])
    finally:
        aws.client("events").enable_rule(**rule)
    reconcile = ("reconcile", "--since", "1h", "--until", "0m", "--json")

    def found(*more: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(command(*reconcile, *more).out)
        return {name: document[name] for name in ("missing", "unhandled", "unapplied", "healed")}

    lacking = {"missing": 0, "unhandled": 1, "unapplied": 0, "healed": 0}
    wait_for(lambda: found() == lacking, "the ledger")
    assert command(*reconcile).code == 1
    assert pipeline.outcomes(event["id"]) == []

    assert found("--heal") == lacking | {"healed": 1}
    wait_for(lambda: pipeline.outcomes(event["id"]) == ["applied"], "the handler")
    assert found() == lacking | {"unhandled": 0}
    (request,) = [each for each in pipeline.observer.look().requests if each.event_id == event["id"]]
    assert request.idempotency_key == event["id"]


def test_event_that_was_refused_is_reported_and_healed_on_request(
    pipeline: Pipeline, command: Command, stripe: ReferenceStripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message was purged: the event is in no queue."""
    monkeypatch.setenv("MAX_EVENT_AGE_SECONDS", "600")
    monkeypatch.setenv("AUTO_REDRIVE", "false")
    event = made_by_stripe("payment_intent.succeeded", "evt_e2ePurged", seconds_ago=900)
    stripe.add_events(event)
    pipeline.fail(idempotency_key=event["id"], status=422)
    pipeline.drive(envelope_of(event, "payment_intent.succeeded"))
    pipeline.messages("huntaze-stripe-payments-dlq-dev")
    pipeline.clear_faults()
    reconcile = ("reconcile", "--since", "1h", "--until", "0m")
    done = command(*reconcile, "--heal")
    assert (done.code, "1 event received by a handler and not applied" in done.out) == (0, True), done
    assert command(*reconcile, "--heal", "--unapplied").code == 0
    wait_for(lambda: "applied" in pipeline.outcomes(event["id"]), "the handler")
    assert "not applied:" not in command(*reconcile).out


def test_table_names_the_gap(pipeline: Pipeline, command: Command, stripe: ReferenceStripe) -> None:
    stripe.add_events(made_by_stripe("invoice.paid", "evt_e2eTable"))
    done = command("reconcile", "--since", "1h", "--until", "0m", "--type", "invoice.paid")
    assert done.code == 1
    assert "evt_e2eTable" in done.out
    assert "1 event missing, 0 reached no handler: add --heal to send them" in done.out


@pytest.fixture
def reconcile_function(pipeline: Pipeline, stripe: ReferenceStripe) -> Iterator[str]:
    """The deployed function, asking the reference Stripe API instead of Stripe's own."""
    functions = pipeline.deployment.services.aws.client("lambda")
    name = "huntaze-stripe-reconcile-dev"
    deployed = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    # The events of these tests are older than the deploy, at which comparisons begin.
    begin = str(int(time.time()) - 24 * 3600)
    redirected = {**deployed, "STRIPE_API_URL": stripe.url, names.RECONCILE_FROM: begin}
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": redirected})
    yield name
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": deployed})


def test_deployed_function_finds_and_heals_the_gap_by_itself(
    pipeline: Pipeline, stripe: ReferenceStripe, reconcile_function: str
) -> None:
    lost = made_by_stripe("customer.created", "evt_e2eScheduledCustomer", seconds_ago=1200)
    paid = made_by_stripe("payment_intent.succeeded", "evt_e2eScheduledPayment", seconds_ago=1000)
    stripe.add_events(lost, paid)
    functions = pipeline.deployment.services.aws.client("lambda")

    def invoke() -> dict[str, Any]:
        answer = functions.invoke(FunctionName=reconcile_function, Payload=b"{}")
        body: dict[str, Any] = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, body
        return body

    first = invoke()
    assert (first["missing"], first["healed"], first["complete"]) == (2, 2, True)
    wait_for(lambda: pipeline.outcomes(lost["id"], paid["id"]) == ["applied"] * 2, "the handlers")
    wait_for(lambda: invoke()["missing"] == 0, "the ledger")
    assert keys(pipeline, paid["id"]) == [paid["id"]]


def test_connected_accounts_are_compared_by_the_command_and_by_the_deployed_function(
    pipeline: Pipeline, command: Command, stripe: ReferenceStripe, reconcile_function: str
) -> None:
    stripe.add_accounts("acct_1E2e")
    lost = made_by_stripe("customer.created", "evt_e2eConnected", seconds_ago=1200) | {"account": "acct_1E2e"}
    stripe.add_events(lost)
    window = ("--since", "1h", "--until", "0m", "--json")
    found = json.loads(command("reconcile", "--account", "acct_1E2e", *window).out)
    assert (found["account"], types(found)) == ("acct_1E2e", {"customer.created": [lost["id"]]})
    assert command("reconcile", *window).code == 0

    functions = pipeline.deployment.services.aws.client("lambda")
    answer = functions.invoke(FunctionName=reconcile_function, Payload=b"{}")
    body = json.loads(answer["Payload"].read())
    assert ("FunctionError" not in answer, body.get("accounts")) == (True, 1), body
    wait_for(lambda: pipeline.outcomes(lost["id"]) == ["applied"], "the handler")
    wait_for(lambda: command("reconcile", "--account", "acct_1E2e", *window).code == 0, "the ledger")
