"""Reading Stripe as the functions do: the real library against the reference Stripe API."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import pytest

from functions.shared import settings
from functions.shared.errors import ConfigurationError, InvalidEventError, PermanentError, TransientError
from functions.stripe_api import client
from functions.stripe_api.client import StripeApi
from ops.local.loopback import free_port
from ops.reference.stripe import Fault, ReferenceStripe
from tests.local.conftest import KEY

VERSION = "2025-03-31.basil"
NOW = int(time.time())
PERSONAL = "jenny.rosen@example.com"


@pytest.fixture
def server(server: ReferenceStripe, monkeypatch: pytest.MonkeyPatch) -> ReferenceStripe:
    monkeypatch.setattr(client, "BACKOFF_SECONDS", 0.0)
    return server


@pytest.fixture
def api(server: ReferenceStripe) -> StripeApi:
    return StripeApi(KEY, server.url)


def event(number: int, seconds_ago: int, event_type: str = "customer.updated") -> dict[str, Any]:
    return {"id": f"evt_{number}", "object": "event", "type": event_type, "created": NOW - seconds_ago}


def asked(server: ReferenceStripe, since: int) -> int:
    return len(server.requests()) - since


def test_object_is_a_plain_dict_in_the_requested_version(server: ReferenceStripe, api: StripeApi) -> None:
    stripe_object = {"id": "sub_1", "object": "subscription", "items": {"data": [{"id": "si_1"}]}}
    server.put(stripe_object, api_version=VERSION, account="acct_1")
    found = api.retrieve("subscription", "sub_1", api_version=VERSION, account="acct_1")
    assert found == stripe_object
    assert type(found) is dict
    assert type(found["items"]["data"][0]) is dict
    assert server.requests()[-1].header("Stripe-Version") == VERSION


def test_events_come_oldest_first_and_once_each(server: ReferenceStripe, api: StripeApi) -> None:
    events = [event(number, 5000 - number) for number in range(1, 351)]
    server.add_events(*events)
    assert list(api.events(NOW - 6000, NOW)) == events


def test_long_window_is_read_in_halves_without_loss(
    server: ReferenceStripe, api: StripeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "RANGE_LIMIT", 150)
    # Three events a second: every half ends between events of neighbouring seconds.
    events = [event(number, 2000 - number // 3) for number in range(1200)]
    server.add_events(*events)
    assert list(api.events(NOW - 2000, NOW)) == events


def test_second_with_more_events_than_the_limit_is_read_whole(
    server: ReferenceStripe, api: StripeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "RANGE_LIMIT", 100)
    events = [event(number, 500) for number in range(230)]
    server.add_events(*events)
    assert list(api.events(NOW - 1000, NOW)) == events


def test_both_ends_of_the_window_count(server: ReferenceStripe, api: StripeApi) -> None:
    server.add_events(*(event(seconds, seconds) for seconds in (99, 100, 150, 200, 201)))
    found = [found["id"] for found in api.events(NOW - 200, NOW - 100)]
    assert found == ["evt_200", "evt_150", "evt_100"]


@pytest.mark.parametrize("unknown_types", [0, 30])
def test_types_are_chosen_by_stripe_or_here(
    server: ReferenceStripe, api: StripeApi, unknown_types: int
) -> None:
    server.add_events(event(1, 30, "invoice.paid"), event(2, 20, "payout.paid"), event(3, 10, "invoice.paid"))
    types = {"invoice.paid", *(f"made.up_{number}" for number in range(unknown_types))}
    assert [found["id"] for found in api.events(NOW - 60, NOW, types)] == ["evt_1", "evt_3"]


def test_page_that_fails_temporarily_is_read_again(server: ReferenceStripe, api: StripeApi) -> None:
    events = [event(number, 5000 - number) for number in range(1, 251)]
    server.add_events(*events)
    server.fail(Fault(path="/v1/events", status=429, headers={"Retry-After": "0"}, every=2))
    assert list(api.events(NOW - 6000, NOW)) == events
    assert 429 in {request.status for request in server.requests()}


def test_list_that_keeps_failing_is_abandoned(server: ReferenceStripe, api: StripeApi) -> None:
    before = len(server.requests())
    server.fail(Fault(path="/v1/events", status=429, headers={"Retry-After": "0"}))
    with pytest.raises(TransientError, match="Stripe answered 429") as caught:
        list(api.events(NOW - 60, NOW))
    assert (caught.value.status, caught.value.path) == (429, "/v1/events")
    assert asked(server, before) == client.PAGE_ATTEMPTS


ERROR = f'{{"error": {{"type": "some_error", "code": "a_code", "message": "{PERSONAL}"}}}}'


@pytest.mark.parametrize(
    ("fault", "kind", "status"),
    [
        ({"status": 401, "body": ERROR}, ConfigurationError, 401),
        ({"status": 403, "body": ERROR}, ConfigurationError, 403),
        ({"status": 400, "body": ERROR}, PermanentError, 400),
        ({"status": 402, "body": ERROR}, PermanentError, 402),
        ({"status": 404, "body": "<html>"}, PermanentError, 404),
        ({"status": 408, "body": ERROR}, TransientError, 408),
        ({"status": 409, "body": ERROR}, TransientError, 409),
        ({"status": 429, "body": ERROR}, TransientError, 429),
        ({"status": 500, "body": "broken"}, TransientError, 500),
        ({"status": 503, "body": ERROR}, TransientError, 503),
        ({"status": 302, "body": "{}"}, TransientError, None),
        ({"status": 200, "body": "<html>"}, TransientError, None),
        ({"status": 200, "body": "[]"}, TransientError, None),
        ({"status": 200, "body": "[" * 200_000}, TransientError, None),
        ({"reset": True}, TransientError, None),
    ],
)
def test_answers_are_classified_without_their_text(
    server: ReferenceStripe, api: StripeApi, fault: dict[str, Any], kind: type[Exception], status: int | None
) -> None:
    server.fail(Fault(**fault))
    with pytest.raises(kind) as caught:
        api.retrieve("customer", "cus_1", api_version=VERSION)
    assert type(caught.value) is kind
    if status is not None:
        assert getattr(caught.value, "status", None) == status
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    shown = f"{caught.value} {vars(caught.value)}"
    for hidden in (KEY, PERSONAL, "cus_1"):
        assert hidden not in shown


def test_object_that_stripe_does_not_know_is_permanent(api: StripeApi) -> None:
    with pytest.raises(PermanentError) as caught:
        api.retrieve("customer", "cus_unknown", api_version=VERSION)
    assert (caught.value.status, caught.value.path) == (404, "/v1/customers/{id}")
    assert '"code": "resource_missing"' in caught.value.answer


def test_wrong_key_names_the_setting_and_not_the_key(server: ReferenceStripe) -> None:
    with pytest.raises(ConfigurationError, match="STRIPE_SECRET_KEY") as caught:
        StripeApi("sk_live_other", server.url).retrieve("customer", "cus_1", api_version=VERSION)
    assert "sk_live_other" not in f"{caught.value} {vars(caught.value)}"


def test_stripe_that_does_not_listen_is_transient() -> None:
    gone = StripeApi(KEY, f"http://127.0.0.1:{free_port()}")
    with pytest.raises(TransientError, match=r"could not be reached \(ConnectError\)"):
        gone.retrieve("customer", "cus_1", api_version=VERSION)


def test_retry_after_is_reported(server: ReferenceStripe, api: StripeApi) -> None:
    server.fail(Fault(status=429, headers={"Retry-After": "7"}, body=ERROR))
    with pytest.raises(TransientError) as caught:
        api.retrieve("customer", "cus_1", api_version=VERSION)
    assert caught.value.retry_after == 7.0


@pytest.mark.parametrize("object_id", ["", "cus_1/../../v1/events", "cus 1", "cus_1?expand[]=sources"])
def test_invalid_id_is_not_requested(server: ReferenceStripe, api: StripeApi, object_id: str) -> None:
    before = len(server.requests())
    with pytest.raises(InvalidEventError):
        api.retrieve("customer", object_id, api_version=VERSION)
    assert asked(server, before) == 0


TOO_LATE = '{"data": [{"id": "evt_1", "type": "t", "created": 1000000000000000000}]}'


@pytest.mark.parametrize("body", ['{"data": null}', '{"data": [{"id": "evt_1"}]}', '{"data": [7]}', TOO_LATE])
def test_invalid_list_is_not_read_as_empty(server: ReferenceStripe, api: StripeApi, body: str) -> None:
    server.fail(Fault(path="/v1/events", status=200, body=body))
    with pytest.raises(TransientError, match="has an unexpected form"):
        list(api.events(NOW - 60, NOW))


def test_list_that_repeats_itself_is_not_read_forever(server: ReferenceStripe, api: StripeApi) -> None:
    page = {"data": [{"id": "evt_1", "type": "invoice.paid", "created": NOW - 30}], "has_more": True}
    server.fail(Fault(path="/v1/events", status=200, body=json.dumps(page)))
    with pytest.raises(TransientError, match="repeats a page"):
        list(api.events(NOW - 60, NOW))


def test_key_and_address_come_from_the_settings(
    server: ReferenceStripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRIPE_SECRET_KEY", KEY)
    monkeypatch.setenv("LIVEMODE", "false")
    monkeypatch.setenv("STRIPE_API_URL", server.url + "/")
    server.put({"id": "cus_1", "object": "customer"})
    server.add_events(event(1, 10))
    assert client.retrieve("customer", "cus_1", api_version=VERSION)["id"] == "cus_1"
    assert [found["id"] for found in client.from_settings().events(NOW - 60, NOW)] == ["evt_1"]
    assert KEY not in repr(client.from_settings())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("STRIPE_SECRET_KEY", ""),
        ("STRIPE_SECRET_KEY", "sk_hidden part"),
        ("STRIPE_SECRET_KEY", "sk_live_hidden"),
        ("STRIPE_SECRET_KEY", "rk_live_hidden"),
        ("STRIPE_SECRET_KEY", "sk_hidden\nX-Other: 1"),
        ("STRIPE_API_URL", "http://stripe.hidden.example"),
        ("STRIPE_API_URL", "https://api.stripe.com/hidden"),
        ("STRIPE_API_URL", "https://hidden@api.stripe.com"),
        ("STRIPE_API_URL", "https://[hidden"),
        ("STRIPE_API_URL", "ftp://hidden"),
    ],
)
def test_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setattr(settings, "_secret_document", lambda _: {})
    monkeypatch.setenv("SECRET_IDS", "secret")
    monkeypatch.setenv("STRIPE_SECRET_KEY", KEY)
    monkeypatch.setenv("LIVEMODE", "false")
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=name) as caught:
        client.from_settings()
    assert "hidden" not in str(caught.value)


def test_default_address_is_stripes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIPE_SECRET_KEY", KEY)
    monkeypatch.setenv("LIVEMODE", "false")
    monkeypatch.delenv("STRIPE_API_URL", raising=False)
    assert client.from_settings().url == "https://api.stripe.com"


def test_importing_the_module_does_not_load_the_library() -> None:
    code = "import sys, functions.stripe_api.client; print({'stripe', 'requests'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
