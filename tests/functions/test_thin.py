"""Thin events: their objects are fetched with the real stripe library, and a twin counts once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from functions.ledger.postgres import LedgerTable
from functions.pipeline.routing_table import ROUTES
from functions.shared import names
from ops.ledger import PostgresLedger
from ops.local.clients import Aws
from ops.local.envelopes import GENERATIONS, SAMPLES
from ops.reference.huntaze import Fault, Recorded, ReferenceApi
from ops.reference.stripe import ReferenceStripe
from tests.functions.audit import records_of
from tests.functions.conftest import API_KEY, STRIPE_KEY, Parked, Start, fresh
from tests.functions.function import Function, FunctionError
from tests.functions.helpers import applied_to, event_id, requests_for
from tests.unit import snapshots

SECRET = "huntaze/stripe-eventbridge/thin"
ROUTED = [
    pytest.param(path, id=f"{path.parent.name}-{path.stem}")
    for generation in GENERATIONS
    for path in sorted((SAMPLES / generation).glob("*.json"))
    if path.stem.partition("--")[0] in ROUTES
]


@pytest.fixture(scope="module")
def handlers(start: Start, aws: Aws, running_stripe: ReferenceStripe) -> Mapping[str, Function]:
    """Both functions, as with `thin_events` on."""
    keys = {names.HUNTAZE_API_KEY: API_KEY, names.STRIPE_SECRET_KEY: STRIPE_KEY}
    aws.client("secretsmanager").create_secret(Name=SECRET, SecretString=json.dumps(keys))
    variables = {"STRIPE_API_URL": running_stripe.url, "SECRET_IDS": SECRET, "STRIPE_READS_PER_SECOND": "90"}
    return {handler: start(handler, **variables) for handler in names.HANDLERS}


def object_of(envelope: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = envelope["detail"]["data"]["object"]
    return found


def requests_of(api: ReferenceApi, envelope: dict[str, Any]) -> list[Recorded]:
    """The requests for an event, with any state of its object."""
    return [
        request
        for request in api.requests()
        if (request.idempotency_key or "").partition(":")[0] == event_id(envelope)
    ]


@pytest.mark.parametrize("sample", ROUTED)
def test_thin_twin_has_the_same_effect_as_its_snapshot_event(
    sample: Path, api: ReferenceApi, stripe: ReferenceStripe, handlers: Mapping[str, Function]
) -> None:
    shipped = json.loads(sample.read_text())
    detail = shipped["detail"]
    route = ROUTES[detail["type"]]
    snapshot = fresh(detail["type"], object_of(shipped), api_version=detail["api_version"])
    stripe.put(object_of(snapshot))
    handler, expected = handlers[route.handler], route.request(object_of(snapshot))
    result = handler.invoke(snapshots.thin(snapshot))
    assert result["outcome"] == ("recorded" if expected is None else "applied")
    bodies = [(request.path, request.body) for request in requests_of(api, snapshot)]
    assert bodies == ([] if expected is None else [(expected.path, expected.body)])
    assert handler.invoke(snapshot) | {"path": None} == result | {"outcome": "duplicate", "path": None}
    assert handler.invoke(snapshots.thin(snapshot))["outcome"] == "duplicate"
    assert len(requests_of(api, snapshot)) == len(bodies)


@pytest.mark.parametrize(
    ("event_type", "made"),
    [("payment_intent.payment_failed", "payment_intent"), ("customer.updated", "customer")],
)
def test_thin_twin_after_its_snapshot_event_is_a_duplicate(
    event_type: str,
    made: str,
    api: ReferenceApi,
    stripe: ReferenceStripe,
    handlers: Mapping[str, Function],
) -> None:
    snapshot = fresh(event_type, getattr(snapshots, made)())
    stripe.put(object_of(snapshot) | {"metadata": {"changed": "since"}})
    handler = handlers[ROUTES[event_type].handler]
    assert handler.invoke(snapshot)["outcome"] == "applied"
    assert handler.invoke(snapshots.thin(snapshot))["outcome"] == "duplicate"
    assert len(requests_of(api, snapshot)) == 1


def test_older_thin_event_sends_the_present_state(
    api: ReferenceApi, stripe: ReferenceStripe, handlers: Mapping[str, Function]
) -> None:
    newer = fresh("customer.updated", snapshots.customer())
    older = newer | {"detail": newer["detail"] | {"id": f"{event_id(newer)}_older", "created": 1_775_037_000}}
    stripe.put(object_of(newer) | {"name": "present"})
    for envelope in (newer, older):
        assert handlers["billing"].invoke(snapshots.thin(envelope))["outcome"] == "applied"
        (request,) = requests_of(api, envelope)
        assert request.body["name"] == "present"


def test_snapshot_event_never_overwrites_the_newer_state_of_a_thin_one(
    api: ReferenceApi, stripe: ReferenceStripe, handlers: Mapping[str, Function]
) -> None:
    newer = fresh("customer.updated", snapshots.customer())
    older = newer | {"detail": newer["detail"] | {"id": f"{event_id(newer)}_older", "created": 1_775_037_000}}
    stripe.put(object_of(newer) | {"name": "present"})
    assert handlers["billing"].invoke(snapshots.thin(newer))["outcome"] == "applied"
    assert handlers["billing"].invoke(older)["outcome"] == "stale"
    assert requests_of(api, older) == []


def test_object_of_a_connected_account_is_fetched_there(
    api: ReferenceApi, stripe: ReferenceStripe, handlers: Mapping[str, Function]
) -> None:
    snapshot = fresh("payment_intent.succeeded", snapshots.payment_intent(), account="acct_connected")
    stripe.put(object_of(snapshot), account="acct_connected")
    assert handlers["payments"].invoke(snapshots.thin(snapshot))["outcome"] == "applied"
    assert len(requests_for(api, snapshot)) == 1


def test_thin_event_of_a_deleted_customer_is_stale(
    api: ReferenceApi, stripe: ReferenceStripe, handlers: Mapping[str, Function]
) -> None:
    snapshot = fresh("customer.created", snapshots.customer())
    stripe.put({"id": object_of(snapshot)["id"], "object": "customer", "deleted": True})
    assert handlers["billing"].invoke(snapshots.thin(snapshot))["outcome"] == "stale"
    assert requests_of(api, snapshot) == []


def test_lost_answer_to_a_thin_event_is_settled_under_the_same_key_by_its_twin(
    api: ReferenceApi, stripe: ReferenceStripe, handlers: Mapping[str, Function]
) -> None:
    snapshot = fresh("payment_intent.payment_failed", snapshots.payment_intent())
    stripe.put(object_of(snapshot) | {"metadata": {"changed": "since"}})
    api.fail(Fault(applies=True, reset=True, times=1))
    with pytest.raises(FunctionError):
        handlers["payments"].invoke(snapshots.thin(snapshot), remaining_seconds=11.0)
    assert handlers["payments"].invoke(snapshot)["outcome"] == "applied"
    assert len(applied_to(api, snapshot)) == 1
    assert {request.idempotency_key for request in requests_of(api, snapshot)} == {event_id(snapshot)}


def test_thin_event_is_applied_once_stripe_can_be_reached_again(
    api: ReferenceApi, stripe: ReferenceStripe, handlers: Mapping[str, Function]
) -> None:
    snapshot = fresh("invoice.paid", snapshots.invoice(snapshots.CURRENT))
    stripe.put(object_of(snapshot))
    stripe.fail(Fault(status=500))
    with pytest.raises(FunctionError) as caught:
        handlers["billing"].invoke(snapshots.thin(snapshot))
    assert caught.value.kind == "TransientError"
    assert requests_of(api, snapshot) == []
    stripe.clear_faults()
    assert handlers["billing"].invoke(snapshots.thin(snapshot))["outcome"] == "applied"


def test_object_that_stripe_does_not_know_is_parked_under_the_snapshot_event(
    stripe: ReferenceStripe, handlers: Mapping[str, Function], parked: Parked
) -> None:
    snapshot = fresh("charge.failed", snapshots.charge())
    thin = snapshots.thin(snapshot)
    assert handlers["payments"].invoke(thin)["outcome"] == "parked"
    ((attributes, message),) = parked.take()
    assert attributes["event_id"] == event_id(snapshot)
    assert (attributes["event_type"], attributes["reason"]) == ("charge.failed", "Stripe answered 404")
    assert message["envelope"] == thin


def test_thin_event_of_another_kind_of_object_is_parked(
    handlers: Mapping[str, Function], parked: Parked
) -> None:
    snapshot = fresh("customer.subscription.updated", snapshots.subscription(snapshots.CURRENT))
    related = {"id": "cus_1", "type": "customer", "url": "/v1/customers/cus_1"}
    thin = snapshots.thin(snapshot, related_object=related)
    assert handlers["billing"].invoke(thin)["outcome"] == "parked"
    ((attributes, _),) = parked.take()
    assert attributes["reason"] == "detail.related_object.type must be subscription"


def test_thin_event_without_the_stripe_key_says_which_setting_is_missing(payments: Function) -> None:
    thin = snapshots.thin(fresh("charge.failed", snapshots.charge()))
    with pytest.raises(FunctionError) as caught:
        payments.invoke(thin)
    # Lambda writes it into the failure record that the dead-letter queue gets.
    assert caught.value.kind == "ConfigurationError"
    assert "set thin_events to true, export STRIPE_SECRET_KEY and deploy again" in caught.value.message


def test_log_names_both_ids_of_a_thin_event(
    stripe: ReferenceStripe, handlers: Mapping[str, Function]
) -> None:
    snapshot = fresh("charge.succeeded", snapshots.charge())
    handlers["payments"].new_lines()
    handlers["payments"].invoke(snapshots.thin(snapshot))
    (line,) = handlers["payments"].new_logs("event finished")
    assert (line["event_id"], line["thin_event_id"]) == (event_id(snapshot), f"{event_id(snapshot)}_thin")
    assert line["correlation_id"] == event_id(snapshot)


def test_ledger_in_postgresql_knows_a_snapshot_event_by_its_thin_twin(database_url: str) -> None:
    snapshot = fresh("charge.failed", snapshots.charge())
    thin = snapshots.thin(snapshot)
    with closing(LedgerTable(database_url)) as table:
        assert table.insert(records_of(thin)) == []
    ids = {event_id(snapshot), event_id(thin)}
    since = datetime.now(UTC) - timedelta(days=3650)
    assert PostgresLedger(database_url, since).known([*ids, "evt_other"]) == ids
    assert PostgresLedger(database_url, datetime.now(UTC)).known([*ids]) == {event_id(thin)}
