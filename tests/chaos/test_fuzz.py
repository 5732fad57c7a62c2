"""The fuzzing of the handlers, and that it notices what it looks for."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from functions.shared.errors import InvalidEventError
from ops.chaos.fuzz.calls import wrong_types
from ops.chaos.fuzz.envelopes import API_KEY, PERSON, found_in
from ops.chaos.fuzz.run import Fuzzed, fuzz
from ops.chaos.fuzz.target import Broken, FuzzedHandler
from ops.reference.huntaze import Recorded, ReferenceApi

EXAMPLES = 600
BODY = {"customerId": "cus_1", "email": None, "name": "Ada", "metadata": {"user": "7"}}


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Fuzzed, ...]:
    return fuzz(tmp_path_factory.mktemp("fuzz"), 1, EXAMPLES, lambda _done: None)


def test_no_envelope_breaks_a_handler(fuzzed: tuple[Fuzzed, ...]) -> None:
    assert [one.violations for one in fuzzed] == [(), (), ()]


def test_the_envelopes_reach_each_outcome(fuzzed: tuple[Fuzzed, ...]) -> None:
    assert [one.handler for one in fuzzed] == ["payments", "billing", "audit"]
    for one in fuzzed:
        assert sum(one.outcomes.values()) == EXAMPLES // 3
        done = "stored" if one.handler == "audit" else "applied"
        assert min(one.outcomes[done], one.outcomes["parked"]) > 0


def call(path: str = "/api/billing/customer-updated", **changes: Any) -> Recorded:
    headers = {
        "X-Stripe-Event-Type": "customer.updated",
        "X-Stripe-Event-Created": "1",
        "X-Stripe-Api-Version": "v",
        "Idempotency-Key": "evt_1",
    }
    headers |= changes.pop("headers", {})
    body = changes.pop("body", {**BODY, **changes})
    return Recorded(path, "evt_1", headers, body, 200, 0.0, applied=True, injected=False)


def test_a_call_with_the_right_types_passes() -> None:
    assert wrong_types(call()) == []
    assert wrong_types(call(customerId="any text")) == []


@pytest.mark.parametrize(
    "wrong",
    [
        call(name=7),
        call(email=["a"]),
        call(metadata={"user": 7}),
        call(customerId=None),
        call(body={"customerId": "cus_1"}),
        call(body="text"),
        call(path="/api/billing/other"),
        call(headers={"X-Stripe-Event-Created": "now"}),
        call(headers={"Idempotency-Key": ""}),
        call(headers={"X-Stripe-Event-Type": "invoice.paid"}),
    ],
    ids=lambda one: str(one.body)[:40],
)
def test_a_call_with_a_wrong_type_is_noticed(wrong: Recorded) -> None:
    assert wrong_types(wrong)


@pytest.mark.parametrize("planted", [*PERSON, API_KEY, json.dumps(PERSON[0]), repr(PERSON[1])])
def test_planted_values_are_found_however_they_are_written(planted: str) -> None:
    assert found_in(f"a line with {planted} in it")
    assert found_in("a line without") == []


@pytest.fixture
def handle(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Make a target of a function in place of a handler."""

    def make(function: Any, api: ReferenceApi) -> FuzzedHandler:
        monkeypatch.setitem(sys.modules, "functions.stand_in", cast(Any, SimpleNamespace(handler=function)))
        return FuzzedHandler("stand_in", api)

    outputs = sys.stdout, sys.stderr
    yield make
    sys.stdout, sys.stderr = outputs


def planted_failure(_envelope: Any, _context: Any) -> Any:
    raise InvalidEventError("field", PERSON[0])


def unclassified_failure(_envelope: Any, _context: Any) -> Any:
    raise KeyError("id")


def planted_output(_envelope: Any, _context: Any) -> Any:
    print(PERSON[1])  # noqa: T201 - a handler must not do this
    return {"outcome": "applied"}


def no_outcome(_envelope: Any, _context: Any) -> Any:
    return None


@pytest.mark.parametrize(
    ("function", "what"),
    [
        (planted_failure, "planted"),
        (unclassified_failure, "unclassified KeyError"),
        (planted_output, "planted"),
        (no_outcome, "no outcome"),
    ],
)
def test_a_handler_that_breaks_a_promise_is_noticed(handle: Any, function: Any, what: str) -> None:
    with ReferenceApi(API_KEY) as api, pytest.raises(Broken, match=what):
        handle(function, api).try_envelope("{}")


def test_a_broken_promise_is_a_violation_with_its_envelope() -> None:
    (violation,) = Fuzzed("payments", {"applied": 1}, "ended badly", '{"detail": 7}').violations
    assert (violation.kind, violation.subject) == ("fuzz", "payments")
    assert '{"detail": 7}' in violation.what
