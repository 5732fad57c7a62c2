"""Faults of the reference API: each strikes the requests that it names, as and as often as it says."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import httpx
import pytest

from ops.reference.huntaze import NO_ANSWER, Fault, ReferenceApi
from tests.local.reference_calls import API_KEY, Call, sample_call

DELAY_SECONDS = 0.3
IMPATIENT_SECONDS = 0.1


@pytest.fixture
def call() -> Call:
    return sample_call("current/invoice.paid.json")


def keyed(call: Call, number: int) -> Call:
    return call.with_headers(Idempotency_Key=f"evt_{number}")


def statuses(client: httpx.Client, call: Call, count: int) -> list[int]:
    return [keyed(call, number).send(client).status_code for number in range(count)]


def test_status_is_answered_n_times_and_nothing_is_applied(
    api: ReferenceApi, client: httpx.Client, call: Call
) -> None:
    api.fail(Fault(status=503, headers={"Retry-After": "7"}, times=2))
    answers = [call.send(client) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [503, 503, 200]
    assert [answer.headers.get("Retry-After") for answer in answers] == ["7", "7", None]
    assert [(recorded.status, recorded.applied, recorded.injected) for recorded in api.requests()] == [
        (503, False, True),
        (503, False, True),
        (200, True, False),
    ]


def test_status_after_applying_hides_a_success(api: ReferenceApi, client: httpx.Client, call: Call) -> None:
    api.fail(Fault(status=500, applies=True, times=1))
    assert [call.send(client).status_code for _ in range(2)] == [500, 409]
    assert len(api.applied()) == 1
    assert [recorded.applied for recorded in api.requests()] == [True, False]


@pytest.mark.parametrize(
    "condition",
    [
        {"path": "/api/billing/invoice-paid"},
        {"event_type": "invoice.paid"},
        {"idempotency_key": "evt_0"},
    ],
)
def test_fault_strikes_only_requests_that_meet_its_condition(
    api: ReferenceApi, client: httpx.Client, call: Call, condition: dict[str, Any]
) -> None:
    api.fail(Fault(status=500, **condition))
    assert keyed(call, 0).send(client).status_code == 500
    assert sample_call("current/customer.created.json").send(client).status_code == 200


def test_event_id_as_condition_also_hits_its_forced_replay(
    api: ReferenceApi, client: httpx.Client, call: Call
) -> None:
    api.fail(Fault(status=500, idempotency_key="evt_0"))
    assert call.with_headers(Idempotency_Key="evt_0:replay-1").send(client).status_code == 500
    assert call.with_headers(Idempotency_Key="evt_01").send(client).status_code == 200


def test_every_nth_request_is_hit(api: ReferenceApi, client: httpx.Client, call: Call) -> None:
    api.fail(Fault(status=500, every=3))
    assert statuses(client, call, 6) == [200, 200, 500, 200, 200, 500]


def test_probability_hits_its_share_and_the_same_requests_in_any_order(
    api: ReferenceApi, client: httpx.Client, call: Call
) -> None:
    outcomes = []
    for numbers in (range(60), reversed(range(60))):
        api.fail(Fault(status=500, probability=0.25, seed=11))
        outcomes.append({n for n in numbers if keyed(call, n).send(client).status_code == 500})
        api.clear_faults()
    assert outcomes[0] == outcomes[1]
    assert 5 <= len(outcomes[0]) <= 25


def test_another_seed_hits_other_requests(api: ReferenceApi, client: httpx.Client, call: Call) -> None:
    hits = []
    for seed in (1, 2):
        api.fail(Fault(status=500, probability=0.5, seed=seed))
        hits.append([status == 500 for status in statuses(client, call, 30)])
        api.clear_faults()
    assert hits[0] != hits[1]


def test_faults_of_one_seed_strike_independently(api: ReferenceApi, client: httpx.Client, call: Call) -> None:
    for status in (500, 429, 503):
        api.fail(Fault(status=status, probability=0.2, seed=7))
    struck = Counter(statuses(client, call, 100))
    assert min(struck[status] for status in (500, 429, 503)) >= 5


def test_first_matching_fault_wins_and_the_next_follows(
    api: ReferenceApi, client: httpx.Client, call: Call
) -> None:
    for status in (500, 429):
        api.fail(Fault(status=status, times=1))
    assert [call.send(client).status_code for _ in range(3)] == [500, 429, 200]


def test_removed_faults_do_not_strike(api: ReferenceApi, client: httpx.Client, call: Call) -> None:
    api.fail(Fault(status=500))
    assert call.send(client).status_code == 500
    api.clear_faults()
    assert call.send(client).status_code == 200


@pytest.mark.parametrize("applies", [False, True])
def test_connection_is_reset_before_or_after_applying(
    api: ReferenceApi, client: httpx.Client, call: Call, applies: bool
) -> None:
    api.fail(Fault(reset=True, applies=applies, times=1))
    with pytest.raises(httpx.ReadError, match="reset"):
        call.send(client)
    assert [recorded.status for recorded in api.requests()] == [NO_ANSWER]
    assert call.send(client).status_code == (409 if applies else 200)
    assert len(api.applied()) == 1


def test_garbage_body_takes_the_place_of_the_usual_one(
    api: ReferenceApi, client: httpx.Client, call: Call
) -> None:
    api.fail(Fault(applies=True, body="<html>\x00", times=1))
    answer = call.send(client)
    assert (answer.status_code, answer.text) == (200, "<html>\x00")
    assert len(api.applied()) == 1


@pytest.mark.parametrize("part", ["header_delay", "body_delay"])
def test_slow_answer_outlasts_an_impatient_client_but_is_applied(
    api: ReferenceApi, client: httpx.Client, call: Call, part: str
) -> None:
    delay: dict[str, Any] = {part: DELAY_SECONDS}
    slow = Fault(applies=True, times=1, **delay)
    api.fail(slow)
    with pytest.raises(httpx.ReadTimeout):
        client.post(
            call.path, json=call.body, headers=call.headers, timeout=httpx.Timeout(5, read=IMPATIENT_SECONDS)
        )
    assert len(api.applied()) == 1
    api.fail(slow)
    started = time.monotonic()
    assert call.send(client).status_code == 409
    assert time.monotonic() - started >= DELAY_SECONDS


def test_stopping_does_not_wait_for_a_slow_answer(call: Call) -> None:
    with httpx.Client(trust_env=False) as client:
        with ReferenceApi(API_KEY) as api:
            api.fail(Fault(applies=True, header_delay=60))
            with pytest.raises(httpx.ReadTimeout):
                client.post(
                    api.url + call.path, json=call.body, headers=call.headers, timeout=IMPATIENT_SECONDS
                )
            started = time.monotonic()
        assert time.monotonic() - started < 5
        with pytest.raises(httpx.ConnectError):
            client.get(api.url)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "set applies"),
        ({"header_delay": 1.0}, "set applies"),
        ({"status": 99}, "status"),
        ({"status": 600}, "status"),
        ({"status": 500, "every": 0}, "every"),
        ({"status": 500, "times": 0}, "times"),
        ({"status": 500, "probability": 0}, "probability"),
        ({"status": 500, "probability": 1.5}, "probability"),
        ({"status": 500, "body_delay": -1}, "delay"),
        ({"status": 500, "work": -1}, "work"),
        ({"work": 1.0}, "set applies"),
        ({"status": 500, "body_delay": 1.0}, "needs a body"),
    ],
)
def test_invalid_fault_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Fault(**arguments)


def test_faults_are_injected_listed_and_removed_over_http(
    api: ReferenceApi, client: httpx.Client, call: Call
) -> None:
    ordered = client.post("/_control/faults", json={"status": 503, "headers": {"Retry-After": "1"}})
    assert ordered.status_code == 201
    assert call.send(client).headers["Retry-After"] == "1"
    (listed,) = client.get("/_control/faults").json()["faults"]
    assert (listed["fault"]["status"], listed["struck"]) == (503, 1)
    assert client.delete("/_control/faults").json() == {"cleared": 1}
    assert call.send(client).status_code == 200


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "Expecting"),
        (b"[]", "JSON object"),
        (b'{"state": 500}', "unknown state: expected path"),
        (b'{"status": "500"}', "status has the wrong type"),
        (b'{"status": 500, "times": true}', "times has the wrong type"),
        (b'{"status": 500, "headers": {"Retry-After": 1}}', "headers has the wrong type"),
        (b"{}", "set applies"),
    ],
)
def test_invalid_fault_over_http_is_refused_with_its_reason(
    api: ReferenceApi, client: httpx.Client, content: bytes, message: str
) -> None:
    answer = client.post("/_control/faults", content=content)
    assert answer.status_code == 400
    assert message in answer.json()["error"]
    assert client.get("/_control/faults").json() == {"faults": []}


def test_control_requests_are_never_recorded_nor_hit(api: ReferenceApi, client: httpx.Client) -> None:
    api.fail(Fault(status=500))
    assert client.get("/_control/requests").json() == {"requests": []}
    assert client.get("/_control/requests", params={"since": "x"}).status_code == 400
    assert client.get("/_control/nothing").status_code == 404
    assert client.post("/_control/faults", content=iter([b"{}"])).status_code == 411
    assert not api.requests()
