"""A customer is exported and erased on the deployed pipeline, which works on as if nothing had happened."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ops.reference.stripe import ReferenceStripe
from tests.e2e.pipeline import Command, Pipeline, fresh, ledger_records, sample, second, wait_for

CUSTOMER = "cus_e2eErased"
PERSONAL = "erased.person@example.com"
DLQ = "huntaze-stripe-payments-dlq-dev"


def of_customer(name: str, event_id: str, generation: str = "current") -> dict[str, Any]:
    """A sample about the customer, made a while ago, with a personal value."""
    envelope = fresh(sample(generation, name), event_id)
    detail = envelope["detail"]
    detail["created"] = int(time.time()) - 900
    stripe_object = detail["data"]["object"]
    if stripe_object["object"] == "customer":
        stripe_object |= {"id": CUSTOMER, "email": PERSONAL}
    else:
        stripe_object |= {"customer": CUSTOMER, "receipt_email": PERSONAL}
    stripe_object["metadata"] = {"address": PERSONAL}
    return envelope


def rows(pipeline: Pipeline) -> dict[str, str]:
    """The payloads of the customer's rows, as a query of the audit finds them."""
    query = (
        "SELECT event_id, payload::text FROM stripe_event_ledger WHERE customer_id = %s AND deliveries > 0"
    )
    with psycopg.connect(pipeline.deployment.services.database_url) as connection:
        return dict(connection.execute(query, (CUSTOMER,)).fetchall())


def in_s3(pipeline: Pipeline, event_ids: set[str]) -> list[str]:
    """The records of events in the ledger's bucket."""
    return [json.dumps(record) for record in ledger_records(pipeline) if record["event_id"] in event_ids]


def test_an_erased_customer_is_gone_and_the_pipeline_knows_every_event(
    pipeline: Pipeline,
    command: Command,
    stripe: ReferenceStripe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    working_api: None,
) -> None:
    since = second()
    created = of_customer("customer.created", "evt_e2eErasedCreated")
    updated = of_customer("customer.updated", "evt_e2eErasedUpdated")
    paid = of_customer("payment_intent.succeeded", "evt_e2eErasedPaid")
    refused = of_customer("charge.failed", "evt_e2eErasedRefused")
    other = fresh(sample("current", "customer.updated"), "evt_e2eErasedOther")
    envelopes = (created, updated, paid, refused)
    pipeline.messages(DLQ)
    pipeline.fail(idempotency_key=refused["detail"]["id"], status=422)
    pipeline.drive(*envelopes, other)
    until = second()
    event_ids = {each["detail"]["id"] for each in envelopes}
    stripe.add_events(*(each["detail"] for each in envelopes))
    wait_for(lambda: len(in_s3(pipeline, event_ids)) == len(rows(pipeline)) == 4, "the ledger")

    file = tmp_path / "customer.json"
    with monkeypatch.context() as without_url:
        # It is in the environment's secret, too.
        without_url.delenv("DATABASE_URL")
        done = command("customer", "export", CUSTOMER, "--output", str(file), "--json")
    assert done.code == 0, done.err
    held = json.loads(done.out)
    assert (held["events"], held["rows"], held["messages"], held["unread"]) == (4, 4, 1, 0)
    exported = json.loads(file.read_text())
    assert {row["event_id"] for row in exported["postgresql"]} == event_ids
    # A record for each event, one for the object's states, and the effects of those that happen once.
    assert sorted(item["id"].partition("#")[0] for item in exported["table"]) == [
        *("billing",) * 2,
        *("effect",) * 2,
        *("payments",) * 2,
        "stream",
    ]

    erase = ("customer", "erase", CUSTOMER, "--reason", "request 17", "--yes", "--json")
    parked = command(*erase)
    assert (parked.code, "1 message of the customer in payments-dlq" in parked.err) == (1, True), parked.err
    assert len(rows(pipeline)) == 4
    done = command(*erase, "--parked", "purge")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert (document["events"], document["rows"], document["messages"], document["items"]) == (4, 4, 1, 1)
    assert document["record"].startswith("erasures/")

    assert rows(pipeline).keys() == event_ids
    assert PERSONAL not in "".join(rows(pipeline).values())
    assert len(in_s3(pipeline, event_ids)) == 4
    assert PERSONAL not in "".join(in_s3(pipeline, event_ids))

    # What asks the ledger and the table gets the answers of before.
    for ledger in ("PostgreSQL", "S3"):
        if ledger == "S3":
            monkeypatch.delenv("DATABASE_URL")
        compared = command("reconcile", "--since", "1h", "--until", "0m", "--all-types", "--json")
        assert compared.code == 0, compared.err
        found = json.loads(compared.out)
        assert (found["ledger"], found["compared"], found["missing"]) == (ledger, 4, 0)
        window = ("--since", since, "--until", until, "--rule", "payments", "--rule", "billing")
        forecast = json.loads(command("replay", "start", *window, "--dry-run", "--json").out)
        assert (forecast["ledger"], forecast["events"], forecast["applied"]) == (ledger, 5, 4)

    # Stripe sends the events once more: nothing is applied twice. The new deliveries are erased as well.
    pipeline.drive(created, updated, paid)
    for each in (created, updated, paid):
        assert pipeline.outcomes(each["detail"]["id"]) == ["applied", "duplicate"]
        assert len(pipeline.requests(each["detail"]["id"])) == 1
    wait_for(lambda: PERSONAL in "".join(in_s3(pipeline, event_ids)), "the second deliveries")
    assert PERSONAL not in "".join(rows(pipeline).values())
    wait_for(lambda: command(*erase, "--dry-run").code == 0, "the queues")
    again = json.loads(command(*erase).out)
    assert (again["events"], again["rows"], again["items"]) == (3, 0, 0)
    assert PERSONAL not in "".join(in_s3(pipeline, event_ids))
