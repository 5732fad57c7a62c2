"""The event destination of the deployed pipeline: each command with its rights, and a ping to the ledger."""

from __future__ import annotations

import json

import pytest

from tests.e2e.pipeline import Command, Pipeline, ledger_records, wait_for


@pytest.fixture
def destination(pipeline: Pipeline, command: Command, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run `destination` commands at the Stripe that has the pipeline's destination."""
    monkeypatch.setenv("STRIPE_API_URL", pipeline.deployment.services.stripe_url)
    return lambda *arguments: command("destination", *arguments)


def test_create_finds_the_destination_and_its_active_source(
    destination: Command, monkeypatch: pytest.MonkeyPatch, pipeline: Pipeline
) -> None:
    monkeypatch.setattr(
        "ops.destination.settings_file.written", lambda _path: pipeline.deployment.outputs.bus
    )
    done = destination("create", "--yes", "--json")
    assert (done.code, json.loads(done.out)["aws_event_source_state"]) == (0, "ACTIVE"), done.err


def test_status_update_and_delete_ask_nothing_of_aws_but_the_key(destination: Command) -> None:
    for arguments in (["status"], ["update", "--yes"], ["delete", "--dry-run"]):
        done = destination(*arguments)
        assert done.code == 0, done.err


def test_a_disabled_destination_is_enabled_again(destination: Command) -> None:
    assert destination("disable", "--yes").code == 0
    try:
        assert destination("status").code == 1
    finally:
        assert destination("enable").code == 0


def test_a_ping_goes_through_the_whole_path_into_the_ledger(destination: Command, pipeline: Pipeline) -> None:
    done = destination("ping", "--json")
    assert done.code == 0, done.err
    event_id = json.loads(done.out)["event_id"]
    wait_for(
        lambda: any(record["event_id"] == event_id for record in ledger_records(pipeline)),
        f"{event_id} is in the ledger",
    )
