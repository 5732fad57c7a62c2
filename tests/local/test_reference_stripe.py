"""The reference Stripe API through the real stripe library, as Stripe documents its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import stripe

from ops import ROOT
from ops.local import drive
from ops.local.clients import Control
from ops.local.services import running_reference_stripe
from ops.reference.stripe import Fault, ReferenceStripe
from tests.local.conftest import KEY

NOW = int(time.time())


def event(number: int, event_type: str = "customer.updated", **more: Any) -> dict[str, Any]:
    """An event made `number` minutes ago."""
    return {
        "id": f"evt_{number}",
        "object": "event",
        "type": event_type,
        "created": NOW - 60 * number,
        **more,
    }


def library(server: ReferenceStripe, key: str = KEY) -> stripe.StripeClient:
    return stripe.StripeClient(key, base_addresses={"api": server.url}, max_network_retries=0)


def ids(answer: Any) -> list[str]:
    return [found.id for found in answer.data]


def test_pages_come_newest_first_and_end(server: ReferenceStripe) -> None:
    server.add_events(*(event(number) for number in range(25, 0, -1)))
    first = library(server).v1.events.list({"limit": 10})
    assert (ids(first), first.has_more) == ([f"evt_{number}" for number in range(1, 11)], True)
    last = library(server).v1.events.list({"limit": 10, "starting_after": "evt_20"})
    assert (ids(last), last.has_more) == ([f"evt_{number}" for number in range(21, 26)], False)


def test_the_library_pages_through_all_of_them(server: ReferenceStripe) -> None:
    server.add_events(*(event(number) for number in range(1, 251)))
    listed = library(server).v1.events.list({"limit": 100})
    assert [found.id for found in listed.auto_paging_iter()] == [f"evt_{n}" for n in range(1, 251)]
    assert len(server.requests()) >= 3


def test_ending_before_gives_the_page_just_newer(server: ReferenceStripe) -> None:
    server.add_events(*(event(number) for number in range(1, 10)))
    answer = library(server).v1.events.list({"limit": 3, "ending_before": "evt_6"})
    assert (ids(answer), answer.has_more) == (["evt_3", "evt_4", "evt_5"], True)


def test_of_two_events_in_one_second_the_later_comes_first(server: ReferenceStripe) -> None:
    server.add_events(*({**event(5), "id": f"evt_same_{number}"} for number in range(3)))
    assert ids(library(server).v1.events.list()) == ["evt_same_2", "evt_same_1", "evt_same_0"]


def test_filters_by_time_and_type(server: ReferenceStripe) -> None:
    server.add_events(
        event(1, "invoice.paid"),
        event(2, "customer.updated"),
        event(3, "invoice.paid"),
        event(4, "payout.paid"),
    )
    events = library(server).v1.events
    assert ids(events.list({"created": {"gte": NOW - 180, "lte": NOW - 120}})) == ["evt_2", "evt_3"]
    assert ids(events.list({"created": {"gt": NOW - 180, "lt": NOW - 60}})) == ["evt_2"]
    assert ids(events.list({"type": "invoice.*"})) == ["evt_1", "evt_3"]
    assert ids(events.list({"types": ["payout.paid", "customer.updated"]})) == ["evt_2", "evt_4"]


def test_events_are_kept_for_30_days_and_apart_by_account(server: ReferenceStripe) -> None:
    old = event(30 * 24 * 60 + 5)
    server.add_events(event(1), old, event(2, account="acct_connected"))
    client = library(server)
    assert ids(client.v1.events.list()) == ["evt_1"]
    assert ids(client.v1.events.list(options={"stripe_account": "acct_connected"})) == ["evt_2"]


@pytest.mark.parametrize(
    ("parameters", "parameter"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 101}, "limit"),
        ({"limit": "ten"}, "limit"),
        ({"starting_after": "evt_1", "ending_before": "evt_2"}, "starting_after"),
        ({"starting_after": "evt_unknown"}, "starting_after"),
        ({"type": "a", "types": ["b"]}, "types"),
        ({"types": [f"type.{number}" for number in range(21)]}, "types"),
        ({"created": {"gte": "yesterday"}}, "created"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_bad_parameters_are_refused(
    server: ReferenceStripe, parameters: dict[str, Any], parameter: str
) -> None:
    server.add_events(event(1), event(2))
    with pytest.raises(stripe.InvalidRequestError) as caught:
        library(server).raw_request("get", "/v1/events", **parameters)
    assert (caught.value.http_status, caught.value.param) == (400, parameter)


def test_objects_are_rendered_in_the_requested_version(server: ReferenceStripe) -> None:
    server.put({"id": "cus_1", "object": "customer", "name": "now"})
    server.put({"id": "cus_1", "object": "customer", "name": "then"}, api_version="2024-11-20.acacia")
    server.put({"id": "cus_1", "object": "customer", "name": "theirs"}, account="acct_1")
    customers = library(server).v1.customers
    assert customers.retrieve("cus_1").name == "now"
    assert customers.retrieve("cus_1", options={"stripe_version": "2024-11-20.acacia"}).name == "then"
    assert customers.retrieve("cus_1", options={"stripe_account": "acct_1"}).name == "theirs"


def test_unknown_objects_are_404(server: ReferenceStripe) -> None:
    server.put({"id": "sub_1", "object": "subscription"})
    with pytest.raises(stripe.InvalidRequestError) as caught:
        library(server).v1.customers.retrieve("sub_1")
    assert (caught.value.http_status, caught.value.code) == (404, "resource_missing")


def test_another_key_is_refused(server: ReferenceStripe) -> None:
    with pytest.raises(stripe.AuthenticationError):
        library(server, "sk_test_other").v1.events.list()


def test_more_reads_than_the_limit_are_429() -> None:
    with ReferenceStripe(KEY, reads_per_second=2) as server:
        client = library(server)
        client.v1.events.list()
        client.v1.events.list()
        with pytest.raises(stripe.RateLimitError):
            client.v1.events.list()
        assert [request.status for request in server.requests()] == [200, 200, 429]


def test_faults_strike_by_path_and_are_removed(server: ReferenceStripe) -> None:
    server.add_events(event(1))
    server.fail(Fault(path="/v1/events", status=503, times=1))
    with pytest.raises(stripe.APIError):
        library(server).v1.events.list({"limit": 1})
    assert ids(library(server).v1.events.list({"limit": 1})) == ["evt_1"]


def test_process_gets_events_and_faults_through_its_control_paths(tmp_path: Path) -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    with (
        running_reference_stripe(tmp_path, KEY) as url,
        httpx.Client(headers=headers, trust_env=False) as http,
    ):
        control = f"{url}/_control"
        assert http.post(f"{control}/events", json=[event(1)]).status_code == 201
        customer = {"object": {"id": "cus_1", "object": "customer"}}
        assert http.post(f"{control}/objects", json=[customer]).status_code == 201
        assert http.get(f"{url}/v1/events", headers=headers).json()["data"] == [event(1)]
        assert http.get(f"{url}/v1/customers/cus_1", headers=headers).json() == customer["object"]
        assert http.post(f"{control}/faults", json={"status": 500, "body": "{}"}).status_code == 201
        assert http.get(f"{url}/v1/events", headers=headers).status_code == 500
        assert http.delete(f"{control}/faults").json() == {"cleared": 1}
        assert http.delete(f"{control}/account").status_code == 200
        assert http.get(f"{url}/v1/events", headers=headers).json()["data"] == []
        asked = http.get(f"{control}/requests").json()["requests"]
        assert [request["status"] for request in asked] == [200, 200, 500, 200]
        assert KEY not in str(asked)


def test_half_a_surrogate_pair_is_listed(server: ReferenceStripe) -> None:
    made = event(1) | {"note": "half \ud800"}
    drive.add_to_list(Control(server.url, KEY), [made])
    headers = {"Authorization": f"Bearer {KEY}"}
    answer = httpx.get(f"{server.url}/v1/events", headers=headers, trust_env=False)
    assert json.loads(answer.content)["data"] == [made]


def test_what_stripe_would_not_list_is_left_out(server: ReferenceStripe) -> None:
    thin = event(2) | {"object": "v2.core.event"}
    drive.add_to_list(Control(server.url, KEY), [thin, event(3) | {"created": "today"}, event(1)])
    assert ids(library(server).v1.events.list()) == ["evt_1"]


@pytest.mark.parametrize("bad", [b"{}", b"no json", b"[1]", b'[{"object": "event", "id": "evt_1"}]'])
def test_control_path_refuses_anything_but_a_list_of_events(server: ReferenceStripe, bad: bytes) -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    answer = httpx.post(f"{server.url}/_control/events", content=bad, headers=headers, trust_env=False)
    assert (answer.status_code, list(answer.json())) == (400, ["error"])


def test_start_without_a_key_ends_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "key").touch()
    command = ["-m", "ops.reference.stripe", "--port", "0", "--key-file", str(tmp_path / "key")]
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "write the secret key into it" in done.stderr
