"""With order = "refetch" an object's current state is sent, fetched with the real stripe library."""

from __future__ import annotations

import json
from typing import Any

import pytest

from functions.shared import names
from functions.shared.retry import ATTEMPTS
from ops.local.clients import Aws
from ops.reference.huntaze import Fault, ReferenceApi
from ops.reference.stripe import ReferenceStripe
from tests.functions.conftest import API_KEY, STRIPE_KEY, Parked, Start, fresh
from tests.functions.function import Function, FunctionError
from tests.functions.helpers import CREATED, customer_updated, deleted, event_id
from tests.unit import snapshots

SECRET = "huntaze/stripe-eventbridge/refetch"


@pytest.fixture(scope="module")
def secret(aws: Aws) -> str:
    keys = {names.HUNTAZE_API_KEY: API_KEY, names.STRIPE_SECRET_KEY: STRIPE_KEY}
    aws.client("secretsmanager").create_secret(Name=SECRET, SecretString=json.dumps(keys))
    return SECRET


@pytest.fixture(scope="module")
def refetching(start: Start, running_stripe: ReferenceStripe, secret: str) -> Function:
    return start("billing", ORDER=names.REFETCH, STRIPE_API_URL=running_stripe.url, SECRET_IDS=secret)


def requests_for(api: ReferenceApi, envelope: dict[str, Any]) -> list[Any]:
    """The API's requests for an event, with any state of the object."""
    return [
        request
        for request in api.requests()
        if (request.idempotency_key or "").partition(":")[0] == event_id(envelope)
    ]


def object_of(envelope: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = envelope["detail"]["data"]["object"]
    return found


def test_present_state_is_sent_in_place_of_the_events(
    api: ReferenceApi, stripe: ReferenceStripe, refetching: Function
) -> None:
    old = customer_updated(age=5, name="old")
    older = customer_updated(old, age=9, name="older")
    stripe.put(object_of(old) | {"name": "present"})
    for envelope in (old, older):
        assert refetching.invoke(envelope)["outcome"] == "applied"
        (request,) = requests_for(api, envelope)
        assert request.body["name"] == "present"
    assert refetching.invoke(old)["outcome"] == "duplicate"


@pytest.mark.parametrize("api_version", snapshots.GENERATIONS)
def test_subscription_is_fetched_in_the_events_api_version(
    api: ReferenceApi, stripe: ReferenceStripe, refetching: Function, api_version: str
) -> None:
    envelope = fresh(
        "customer.subscription.updated", snapshots.subscription(api_version), api_version=api_version
    )
    for generation in snapshots.GENERATIONS:
        state = snapshots.subscription(generation, id=object_of(envelope)["id"], status="paused")
        stripe.put(state, api_version=generation)
    assert refetching.invoke(envelope)["outcome"] == "applied"
    (request,) = requests_for(api, envelope)
    assert request.body["status"] == "paused"
    assert request.body["currentPeriodEnd"] == snapshots.PERIOD_END


def test_object_of_a_connected_account_is_fetched_there(
    api: ReferenceApi, stripe: ReferenceStripe, refetching: Function
) -> None:
    envelope = fresh("customer.updated", snapshots.customer(), account="acct_connected")
    stripe.put(object_of(envelope) | {"name": "elsewhere"}, account="acct_connected")
    assert refetching.invoke(envelope)["outcome"] == "applied"
    (request,) = requests_for(api, envelope)
    assert request.body["name"] == "elsewhere"


@pytest.mark.parametrize(
    "fault", [Fault(status=500), Fault(status=429), Fault(reset=True)], ids=["500", "429", "reset"]
)
def test_event_is_never_guessed_while_stripe_cannot_be_reached(
    api: ReferenceApi, stripe: ReferenceStripe, refetching: Function, fault: Fault
) -> None:
    envelope = customer_updated(name="guessed")
    stripe.put(object_of(envelope) | {"name": "present"})
    stripe.fail(fault)
    with pytest.raises(FunctionError) as caught:
        refetching.invoke(envelope)
    assert caught.value.kind == "TransientError"
    assert requests_for(api, envelope) == []
    stripe.clear_faults()
    assert refetching.invoke(envelope)["outcome"] == "applied"


def test_refused_stripe_key_is_a_matter_of_configuration_that_a_new_key_heals(
    api: ReferenceApi, aws: Aws, stripe: ReferenceStripe, start: Start
) -> None:
    secrets = aws.client("secretsmanager")
    keys = {names.HUNTAZE_API_KEY: API_KEY, names.STRIPE_SECRET_KEY: "sk_test_revoked"}
    secrets.create_secret(Name="revoked", SecretString=json.dumps(keys))
    function = start("billing", ORDER=names.REFETCH, STRIPE_API_URL=stripe.url, SECRET_IDS="revoked")
    envelope = customer_updated()
    stripe.put(object_of(envelope))
    with pytest.raises(FunctionError) as caught:
        function.invoke(envelope)
    assert caught.value.kind == "ConfigurationError"
    assert requests_for(api, envelope) == []
    rotated = json.dumps(keys | {names.STRIPE_SECRET_KEY: STRIPE_KEY})
    secrets.put_secret_value(SecretId="revoked", SecretString=rotated)
    assert function.invoke(envelope)["outcome"] == "applied"


def test_object_that_stripe_does_not_know_is_parked(
    api: ReferenceApi, stripe: ReferenceStripe, refetching: Function, parked: Parked
) -> None:
    envelope = customer_updated()
    assert refetching.invoke(envelope)["outcome"] == "parked"
    assert requests_for(api, envelope) == []
    ((attributes, _),) = parked.take()
    assert attributes["status"] == "404"
    assert attributes["endpoint"] == "/v1/customers/{id}"


def test_deleted_object_has_no_state_to_send(
    api: ReferenceApi, stripe: ReferenceStripe, refetching: Function
) -> None:
    envelope = customer_updated()
    stripe.put({"id": object_of(envelope)["id"], "object": "customer", "deleted": True})
    assert refetching.invoke(envelope)["outcome"] == "stale"
    assert requests_for(api, envelope) == []


def test_attempt_that_meets_a_newer_state_is_another_call(
    api: ReferenceApi, stripe: ReferenceStripe, refetching: Function
) -> None:
    envelope = customer_updated()
    stripe.put(object_of(envelope) | {"name": "first"})
    api.fail(Fault(status=500, applies=True, times=ATTEMPTS))
    with pytest.raises(FunctionError):
        refetching.invoke(envelope)
    stripe.put(object_of(envelope) | {"name": "second"})
    assert refetching.invoke(envelope)["outcome"] == "applied"
    assert api.state()[object_of(envelope)["id"]].body["name"] == "second"


def test_newer_state_waits_while_the_api_may_still_be_at_the_one_before(
    api: ReferenceApi, stripe: ReferenceStripe, refetching: Function
) -> None:
    envelope = customer_updated()
    stripe.put(object_of(envelope) | {"name": "first"})
    api.fail(Fault(applies=True, reset=True, times=ATTEMPTS))
    with pytest.raises(FunctionError, match="the API could not be reached"):
        refetching.invoke(envelope)
    stripe.put(object_of(envelope) | {"name": "second"})
    with pytest.raises(FunctionError, match="an earlier call for the same object may still be in flight"):
        refetching.invoke(envelope)


def test_reads_stay_below_the_limit_of_all_functions_together(
    stripe: ReferenceStripe, start: Start, secret: str
) -> None:
    functions = [
        start(
            "billing",
            ORDER=names.REFETCH,
            STRIPE_API_URL=stripe.url,
            SECRET_IDS=secret,
            STRIPE_READS_PER_SECOND="2",
        )
        for _ in range(2)
    ]
    envelopes = [customer_updated() for _ in range(8)]
    for envelope in envelopes:
        stripe.put(object_of(envelope))
    # The first read of a process waits for the import of the stripe library, after it was counted.
    first, envelopes = envelopes[:2], envelopes[2:]
    for function, envelope in zip(functions, first, strict=True):
        assert function.invoke(envelope)["outcome"] == "applied"
    before = len(stripe.requests())
    for place in range(0, len(envelopes), 2):
        for function, envelope in zip(functions, envelopes[place : place + 2], strict=True):
            function.send(envelope)
        assert [function.result()["outcome"] for function in functions] == ["applied", "applied"]
    read = [request.received_at for request in stripe.requests()[before:]]
    assert len(read) == len(envelopes)
    # Two in each second of the clock: six take three such seconds.
    assert max(read) - min(read) > 1


def test_other_types_are_never_fetched(
    api: ReferenceApi, stripe: ReferenceStripe, refetching: Function
) -> None:
    before = len(stripe.requests())
    assert refetching.invoke(fresh("customer.created", snapshots.customer()))["outcome"] == "applied"
    assert len(stripe.requests()) == before


def test_older_event_that_brought_the_present_state_lowers_no_watermark(
    api: ReferenceApi, stripe: ReferenceStripe, refetching: Function, billing: Function
) -> None:
    newest = customer_updated(name="newest")
    oldest = customer_updated(newest, age=9, name="oldest")
    middle = customer_updated(newest, age=5, name="middle")
    stripe.put(object_of(newest))
    for envelope in (newest, oldest):
        assert refetching.invoke(envelope)["outcome"] == "applied"
    # The environment's `order` becomes "watermark".
    assert billing.invoke(middle)["outcome"] == "stale"
    assert api.state()[object_of(newest)["id"]].body["name"] == "newest"


def test_stripe_key_of_the_other_mode_is_a_matter_of_configuration(
    api: ReferenceApi, aws: Aws, stripe: ReferenceStripe, start: Start
) -> None:
    keys = {names.HUNTAZE_API_KEY: API_KEY, names.STRIPE_SECRET_KEY: "rk_live_other"}
    aws.client("secretsmanager").create_secret(Name="live", SecretString=json.dumps(keys))
    function = start("billing", ORDER=names.REFETCH, STRIPE_API_URL=stripe.url, SECRET_IDS="live")
    envelope = customer_updated()
    before = stripe.requests()
    with pytest.raises(FunctionError) as caught:
        function.invoke(envelope)
    assert caught.value.kind == "ConfigurationError"
    assert stripe.requests() == before
    assert requests_for(api, envelope) == []


def test_no_present_state_is_sent_over_the_objects_end(
    api: ReferenceApi, stripe: ReferenceStripe, refetching: Function
) -> None:
    """Stripe returns a canceled subscription like any other."""
    state = fresh(
        "customer.subscription.updated", snapshots.subscription(snapshots.CURRENT), created=CREATED - 60
    )
    end = deleted(state)
    stripe.put(object_of(state) | {"status": "canceled"}, api_version=snapshots.CURRENT)
    assert refetching.invoke(end)["outcome"] == "applied"
    assert refetching.invoke(state)["outcome"] == "stale"
    applied = [call.path for call in api.applied() if call.object_id == object_of(state)["id"]]
    assert applied == ["/api/billing/subscription-deleted"]


def test_tie_that_nothing_decides_is_fetched_where_a_key_is_there(
    api: ReferenceApi, stripe: ReferenceStripe, start: Start, running_stripe: ReferenceStripe, secret: str
) -> None:
    function = start("billing", STRIPE_API_URL=running_stripe.url, SECRET_IDS=secret)
    first = customer_updated(name="of the first event")
    second = customer_updated(first, name="of the second event")
    stripe.put(object_of(first) | {"name": "present"})
    for envelope in (second, first):
        assert function.invoke(envelope)["outcome"] == "applied"
    names_sent = [call.body["name"] for call in api.applied() if call.object_id == object_of(first)["id"]]
    assert names_sent == ["of the second event", "present"]


@pytest.mark.parametrize("settles", [False, True])
def test_refusal_of_a_fetched_state_settles_another_one_only_with_settle(
    api: ReferenceApi, stripe: ReferenceStripe, refetching: Function, parked: Parked, settles: bool
) -> None:
    envelope = customer_updated()
    stripe.put(object_of(envelope) | {"name": "first"})
    api.fail(Fault(status=500, applies=True, times=ATTEMPTS))
    with pytest.raises(FunctionError):
        refetching.invoke(envelope)
    stripe.put(object_of(envelope) | {"name": "second"})
    api.fail(Fault(status=422, body='{"code": "event_rejected"}', times=1))
    assert refetching.invoke(envelope, settles=settles)["outcome"] == "parked"
    ((attributes, _),) = parked.take()
    assert attributes["error"] == ("PermanentError" if settles else "DoubtfulRefusalError")


def test_event_is_in_no_doubt_before_its_stripe_key_was_read(
    api: ReferenceApi, aws: Aws, stripe: ReferenceStripe, start: Start, parked: Parked
) -> None:
    secrets = aws.client("secretsmanager")
    secrets.create_secret(Name="api-key-alone", SecretString=json.dumps({names.HUNTAZE_API_KEY: API_KEY}))
    billing = start("billing", STRIPE_API_URL=stripe.url, SECRET_IDS="api-key-alone,stripe-key-to-come")
    first = customer_updated(name="first")
    tie = customer_updated(first, name="tie")
    stripe.put(object_of(first) | {"name": "present"})
    assert billing.invoke(first)["outcome"] == "applied"
    with pytest.raises(FunctionError):
        billing.invoke(tie)
    assert requests_for(api, tie) == []

    stripe_key = {names.STRIPE_SECRET_KEY: STRIPE_KEY}
    secrets.create_secret(Name="stripe-key-to-come", SecretString=json.dumps(stripe_key))
    api.fail(Fault(status=404, times=1))
    assert billing.invoke(tie)["outcome"] == "parked"
    assert [attributes["error"] for attributes, _ in parked.take()] == ["PermanentError"]


def test_operator_settles_the_doubt_of_an_object_that_stripe_has_no_more(
    api: ReferenceApi, stripe: ReferenceStripe, start: Start, secret: str, parked: Parked
) -> None:
    billing = start("billing", STRIPE_API_URL=stripe.url, SECRET_IDS=secret)
    first = customer_updated(name="first")
    tie, third = customer_updated(first, name="tie"), customer_updated(first, name="third")
    stripe.put(object_of(first) | {"name": "present"})
    assert billing.invoke(first)["outcome"] == "applied"
    api.fail(Fault(status=500, applies=True, times=ATTEMPTS))
    with pytest.raises(FunctionError):
        billing.invoke(tie)
    stripe.clear()
    errors = []
    for settles in (False, True):
        assert billing.invoke(tie, settles=settles)["outcome"] == "parked"
        errors += [attributes["error"] for attributes, _ in parked.take()]
    assert errors == ["DoubtfulRefusalError", "PermanentError"]
    assert billing.invoke(third)["outcome"] == "parked"
