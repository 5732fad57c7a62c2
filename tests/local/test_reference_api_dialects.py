"""Each dialect answers a repeated, busy or reused key in its own way, and none applies a key twice."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from ops.reference.huntaze import Fault, ReferenceApi
from ops.reference.huntaze.dialects import DIALECTS
from tests.local.reference_calls import API_KEY, Call, sample_call

# Longer than a test takes, where it does not wait for the end.
LONG_SECONDS = 60.0
SHORT_SECONDS = 0.2
PATIENCE_SECONDS = 10.0


@pytest.fixture
def call() -> Call:
    return sample_call("current/invoice.paid.json")


@pytest.fixture(params=DIALECTS)
def dialect(request: pytest.FixtureRequest, api: ReferenceApi) -> str:
    name: str = request.param
    api.speak(name)
    return name


def status_and_code(answer: httpx.Response) -> tuple[int, str | None]:
    """Return the status and, if the body has one, its code."""
    return answer.status_code, answer.json().get("code")


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


REPEATED = {
    "contract": (409, "already_applied"),
    "no-codes": (409, None),
    "in-progress-409": (200, None),
    "422-for-everything": (200, None),
    "409-for-everything": (409, None),
}
IN_PROGRESS = {
    "contract": (409, "request_in_progress"),
    "no-codes": (409, None),
    "in-progress-409": (409, None),
    "422-for-everything": (422, None),
    "409-for-everything": (409, None),
}
REUSED = {
    "contract": (422, "idempotency_key_reused"),
    "no-codes": (422, None),
    "in-progress-409": (422, None),
    "422-for-everything": (422, None),
    "409-for-everything": (409, None),
}
REJECTED = {name: (422, "event_rejected" if name == "contract" else None) for name in DIALECTS}


def test_repeated_call(dialect: str, api: ReferenceApi, client: httpx.Client, call: Call) -> None:
    first = call.send(client)
    again = call.send(client)
    assert status_and_code(first) == (200, None)
    assert status_and_code(again) == REPEATED[dialect]
    assert (again.json() == first.json()) == (again.status_code == 200)
    assert len(api.applied()) == 1


@pytest.mark.parametrize("applies", [True, False])
def test_call_while_an_equal_one_is_in_progress(
    dialect: str, api: ReferenceApi, client: httpx.Client, call: Call, applies: bool
) -> None:
    api.fail(Fault(status=504, applies=applies, work=LONG_SECONDS, times=1))
    assert call.send(client).status_code == 504
    assert status_and_code(call.send(client)) == IN_PROGRESS[dialect]
    assert status_and_code(call.with_body(amountPaid=1).send(client)) == IN_PROGRESS[dialect]
    assert not api.applied()


def test_applied_key_with_another_body(
    dialect: str, api: ReferenceApi, client: httpx.Client, call: Call
) -> None:
    call.send(client)
    assert status_and_code(call.with_body(amountPaid=1).send(client)) == REUSED[dialect]
    assert len(api.applied()) == 1


def test_rejected_event(dialect: str, api: ReferenceApi, client: httpx.Client, call: Call) -> None:
    for _ in range(2):
        assert status_and_code(call.with_body(currency="xts").send(client)) == REJECTED[dialect]
    assert not api.applied()


def test_applied_key_with_a_body_that_would_be_rejected(
    dialect: str, api: ReferenceApi, client: httpx.Client, call: Call
) -> None:
    """Only where the key comes before the body can a rejection mean that nothing was applied."""
    call.send(client)
    answer = call.with_body(currency="xts").send(client)
    assert status_and_code(answer) == REUSED[dialect]
    key_first = "Idempotency-Key" in answer.text
    assert key_first == (dialect != "422-for-everything")


def test_codes_come_as_problem_details(api: ReferenceApi, client: httpx.Client, call: Call) -> None:
    call.send(client)
    answer = call.send(client)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["status"] == answer.status_code


def test_call_that_is_applied_after_its_caller_gave_up(
    api: ReferenceApi, client: httpx.Client, call: Call
) -> None:
    api.fail(Fault(reset=True, applies=True, work=SHORT_SECONDS, times=1))
    with pytest.raises(httpx.ReadError):
        call.send(client)
    until(lambda: len(api.applied()) == 1)
    assert status_and_code(call.send(client)) == (409, "already_applied")
    assert [recorded.applied for recorded in api.requests()] == [False, False]


def test_call_in_progress_that_is_rolled_back(api: ReferenceApi, client: httpx.Client, call: Call) -> None:
    api.fail(Fault(reset=True, work=SHORT_SECONDS, times=1))
    with pytest.raises(httpx.ReadError):
        call.send(client)
    until(lambda: call.send(client).status_code == 200)
    assert len(api.applied()) == 1


def test_usual_answer_comes_when_the_work_is_done(
    api: ReferenceApi, client: httpx.Client, call: Call
) -> None:
    api.fail(Fault(applies=True, work=SHORT_SECONDS, times=1))
    assert call.send(client).status_code == 200
    assert len(api.applied()) == 1


def test_work_is_begun_only_for_a_call_that_would_be_applied(
    api: ReferenceApi, client: httpx.Client, call: Call
) -> None:
    api.fail(Fault(applies=True, work=LONG_SECONDS, times=1))
    assert status_and_code(call.with_body(currency="xts").send(client)) == (422, "event_rejected")
    assert call.send(client).status_code == 200


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def test_late_call_is_in_the_journal(journal: Path, call: Call) -> None:
    with ReferenceApi(API_KEY, journal) as api, httpx.Client(base_url=api.url, trust_env=False) as client:
        api.fail(Fault(status=504, applies=True, work=SHORT_SECONDS, times=1))
        call.send(client)
        until(lambda: len(api.applied()) == 1)
        before = (api.requests(), api.applied())
    with ReferenceApi(API_KEY, journal) as api:
        assert (api.requests(), api.applied()) == before


def test_end_of_the_process_rolls_back_what_is_in_progress(journal: Path, call: Call) -> None:
    with ReferenceApi(API_KEY, journal) as api, httpx.Client(base_url=api.url, trust_env=False) as client:
        api.fail(Fault(status=504, applies=True, work=LONG_SECONDS, times=1))
        call.send(client)
    with ReferenceApi(API_KEY, journal) as api, httpx.Client(base_url=api.url, trust_env=False) as client:
        assert not api.applied()
        assert call.send(client).status_code == 200


def test_dialect_is_shown_and_set_over_http(client: httpx.Client, call: Call) -> None:
    assert client.get("/_control/dialect").json() == {"dialect": "contract"}
    assert client.put("/_control/dialect", json={"dialect": "no-codes"}).status_code == 200
    assert client.get("/_control/dialect").json() == {"dialect": "no-codes"}
    call.send(client)
    assert status_and_code(call.send(client)) == (409, None)


@pytest.mark.parametrize("order", [{"dialect": "esperanto"}, {"dialect": 1}, {}, "contract", []])
def test_dialect_that_does_not_exist_is_refused(client: httpx.Client, order: object) -> None:
    answer = client.put("/_control/dialect", json=order)
    assert answer.status_code == 400
    assert "dialect" in answer.json()["error"]
    assert client.get("/_control/dialect").json() == {"dialect": "contract"}
