"""The scheduled reconciliation of connected accounts: each with its own checkpoints, in turn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from functions.reconciliation.accounts import in_turn
from functions.shared import names
from functions.stripe_api.client import StripeApi
from ops.local.clients import Aws
from ops.reference.stripe import ReferenceStripe
from tests.functions.conftest import Start
from tests.functions.function import Function, FunctionError
from tests.functions.reconciling import HOUR, KEY, LONG, SHORT, World, event, new_world

ONE, TWO = "acct_1One", "acct_2Two"


@pytest.fixture
def world(aws: Aws, start: Start) -> Iterator[World]:
    with ReferenceStripe(KEY) as stripe:
        yield new_world(aws, stripe, start)


def missing(function: Function) -> dict[str | None, list[str]]:
    """The missing events of the ledger by account, since the last call."""
    return {line.get("account"): line["event_ids"] for line in function.new_logs("events missing")}


def of(account: str, seconds_ago: float, event_type: str = "customer.updated") -> dict[str, Any]:
    return {**event(seconds_ago, event_type), "account": account}


def asked_of(stripe: ReferenceStripe) -> list[str | None]:
    """The account of each list of events that was requested, in order, without repeats."""
    found = [
        request.header("Stripe-Account")
        for request in stripe.requests()
        if request.path.startswith("/v1/events")
    ]
    return list(dict.fromkeys(found))


def test_connected_accounts_are_compared_with_checkpoints_of_their_own(world: World) -> None:
    own, lost, kept = event(HOUR), of(ONE, 2 * HOUR), of(TWO, 3 * HOUR)
    world.stripe.add_accounts(ONE, TWO)
    world.stripe.add_events(own, lost, kept)
    world.audit(kept)
    function = world.function(**{names.RECONCILE_ACCOUNTS: f"{ONE},{TWO}"})
    answer = function.invoke({}, remaining_seconds=LONG)
    assert (answer["missing"], answer["accounts"]) == (1, 2)
    assert missing(function) == {None: [own["id"]], ONE: [lost["id"]]}
    for account in ("", f"#{ONE}", f"#{TWO}"):
        for kind in ("checkpoint", "handled"):
            position = world.checkpoint(f"reconcile#{kind}{account}")
            assert position is not None, (kind, account)
            assert position[1] is True


def test_without_the_setting_no_other_account_is_asked_for(world: World) -> None:
    world.stripe.add_accounts(ONE)
    answer = world.function().invoke({}, remaining_seconds=LONG)
    assert "accounts" not in answer
    assert asked_of(world.stripe) == [None]


def test_all_accounts_are_those_that_stripe_lists(world: World) -> None:
    world.stripe.add_accounts(ONE, TWO)
    lost = of(ONE, HOUR)
    world.stripe.add_events(lost)
    function = world.function(**{names.RECONCILE_ACCOUNTS: "all"})
    assert function.invoke({}, remaining_seconds=LONG)["accounts"] == 2
    assert asked_of(world.stripe) == [None, TWO, ONE]
    assert missing(function) == {ONE: [lost["id"]]}


def test_run_without_time_compares_one_account_and_the_next_one_continues(world: World) -> None:
    accounts = [f"acct_{number}" for number in range(1, 4)]
    world.stripe.add_accounts(*accounts)
    function = world.function(**{names.RECONCILE_ACCOUNTS: "all"})
    order = []
    for _ in range(4):
        assert function.invoke({}, remaining_seconds=SHORT)["accounts"] == 1
        listed = [each.header("Stripe-Account") for each in world.stripe.requests()]
        order.append(next(account for account in reversed(listed) if account))
    assert order == ["acct_3", "acct_2", "acct_1", "acct_3"]


def test_account_that_fails_keeps_no_other_from_being_compared(world: World) -> None:
    world.stripe.add_accounts(TWO)
    lost = of(TWO, HOUR)
    world.stripe.add_events(lost)
    function = world.function(**{names.RECONCILE_ACCOUNTS: f"{ONE},{TWO}"})
    with pytest.raises(FunctionError) as caught:
        function.invoke({}, remaining_seconds=LONG)
    assert caught.value.kind == "ConfigurationError"
    lines = function.new_lines()
    failed = [line["account"] for line in lines if line.get("message") == "reconciliation of account failed"]
    assert failed == [ONE]
    assert [line["event_ids"] for line in lines if line.get("message") == "events missing"] == [[lost["id"]]]


def test_setting_that_names_something_else_is_refused(world: World) -> None:
    function = world.function(**{names.RECONCILE_ACCOUNTS: "all,acct_1"})
    with pytest.raises(FunctionError, match="RECONCILE_ACCOUNTS must be all, or ids of accounts"):
        function.invoke({}, remaining_seconds=LONG)


@pytest.fixture
def stripe() -> Any:
    with ReferenceStripe(KEY) as server:
        server.add_accounts(*(f"acct_{number}" for number in range(250)))
        yield server


@pytest.mark.parametrize("last", [None, "acct_249", "acct_100", "acct_0", "acct_gone"])
def test_each_account_comes_once_beginning_behind_the_last(stripe: ReferenceStripe, last: str | None) -> None:
    listed = [f"acct_{number}" for number in reversed(range(250))]
    turn = list(in_turn(None, last, StripeApi(KEY, stripe.url)))
    begin = listed.index(last) + 1 if last in listed else 0
    assert turn == [*listed[begin:], *listed[:begin]]
    assert list(in_turn(tuple(listed), last, StripeApi(KEY, stripe.url))) == turn


def test_events_of_an_account_name_it(stripe: ReferenceStripe) -> None:
    made = of("acct_7", 60)
    stripe.add_events(made)
    (found,) = StripeApi(KEY, stripe.url, "acct_7").events(made["created"] - 1, made["created"] + 1)
    assert found["account"] == "acct_7"
    assert list(StripeApi(KEY, stripe.url).events(made["created"] - 1, made["created"] + 1)) == []
