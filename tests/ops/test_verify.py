"""`verify` against a reference Stripe API: what it creates, how it cleans up, and what it refuses."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from rich.console import Console

from functions.stripe_api.client import StripeApi
from ops import environment as environments
from ops.environment import Environment
from ops.errors import OperatorError
from ops.local.accounting import Row, SentEvent
from ops.local.services import REGION
from ops.progress import Steps
from ops.reference.stripe import Fault, ReferenceStripe
from ops.verify import report, run
from ops.verify.following import Following, Trouble, concerns
from ops.verify.objects import CREATED, METADATA_KEY, NAME, CreatedObjects
from ops.verify.run import Verification
from tests.ops.command import run as run_command

KEY = "sk_test_verify"


@pytest.fixture
def stripe() -> Iterator[ReferenceStripe]:
    with ReferenceStripe(KEY) as server:
        yield server


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Environment:
    """An environment that nothing here asks AWS about."""
    for name, value in {
        "STRIPE_EVENT_SOURCE_NAME": "aws.partner/stripe.com/ed_test_verify",
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "AKIAVERIFY",
        "AWS_SECRET_ACCESS_KEY": "unused",
        "STRIPE_SECRET_KEY": KEY,
    }.items():
        monkeypatch.setenv(name, value)
    return environments.connect("dev")


def verify(environment: Environment, stripe: ReferenceStripe, account: str | None = None) -> Verification:
    api = StripeApi(KEY, stripe.url, account)
    return run.verify(environment, api, account, 1.0, Steps(Console(quiet=True)))


def types(stripe: ReferenceStripe) -> list[str]:
    return [event["type"] for event in stripe.events()]


def follow(found: Callable[[Following], bool]) -> Callable[..., bool]:
    return lambda following, _types, _deadline, _progress: found(following)


def test_everything_is_named_and_is_removed_newest_first(
    environment: Environment,
    stripe: ReferenceStripe,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Following, "until", follow(lambda _: True))
    verify(environment, stripe)
    assert [each for each in types(stripe) if each.endswith((".deleted", ".canceled"))] == [
        "payment_intent.canceled",
        "customer.subscription.deleted",
        "customer.deleted",
    ]
    (product,) = [each for each in stripe.events() if each["type"] == "product.updated"]
    assert product["data"]["object"]["active"] is False
    customer = stripe.events()[0]["data"]["object"]
    run_id = customer["metadata"][METADATA_KEY]
    assert (customer["name"], customer["email"]) == (f"{NAME} {run_id}", "verify@example.com")


@pytest.mark.parametrize("failure", [KeyboardInterrupt, SystemExit, OperatorError("CloudWatch is gone")])
def test_whatever_ends_the_verification_nothing_is_left_in_stripe(
    environment: Environment,
    stripe: ReferenceStripe,
    monkeypatch: pytest.MonkeyPatch,
    failure: BaseException | type[BaseException],
) -> None:
    def interrupted(*_: Any) -> bool:
        raise failure

    monkeypatch.setattr(Following, "until", interrupted)
    with pytest.raises(failure if isinstance(failure, type) else type(failure)):
        verify(environment, stripe)
    assert {"customer.deleted", "customer.subscription.deleted", "payment_intent.canceled"} <= {
        *types(stripe)
    }


def test_interrupt_during_the_removal_waits_for_its_end(
    environment: Environment, stripe: ReferenceStripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    retire = CreatedObjects._retire

    def interrupted(objects: CreatedObjects, product_id: str) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        retire(objects, product_id)

    monkeypatch.setattr(Following, "until", follow(lambda _: True))
    monkeypatch.setattr(CreatedObjects, "_retire", interrupted)
    with pytest.raises(SystemExit) as ended:
        verify(environment, stripe)
    assert ended.value.code == 130
    assert types(stripe)[-2:] == ["product.updated", "customer.deleted"]


def test_failure_while_objects_are_created_removes_those_that_there_are(
    environment: Environment, stripe: ReferenceStripe
) -> None:
    stripe.fail(Fault(path="/v1/subscriptions", status=403))
    with pytest.raises(
        OperatorError, match=r"403 to create a subscription: export a STRIPE_SECRET_KEY of test"
    ):
        verify(environment, stripe)
    assert types(stripe) == ["customer.created", "product.created", "product.updated", "customer.deleted"]


def test_object_that_can_not_be_removed_is_named_and_fails_the_verification(
    environment: Environment,
    stripe: ReferenceStripe,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def last_look(_: Following) -> bool:
        customer = stripe.events()[0]["data"]["object"]["id"]
        stripe.fail(Fault(path=f"/v1/customers/{customer}", status=400))
        return True

    monkeypatch.setattr(Following, "until", follow(last_look))
    found = verify(environment, stripe)
    customer = stripe.events()[0]["data"]["object"]["id"]
    assert (found.left, found.passed) == ((f"customer {customer}",), False)
    assert f"customer {customer} is left in Stripe" in "\n".join(report.next_steps("dev", found))


def test_objects_of_a_connected_account_are_created_and_listed_there(
    environment: Environment,
    stripe: ReferenceStripe,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[set[str]] = []

    def look(following: Following) -> bool:
        listed = following.api.events(int(time.time()) - 60, int(time.time()) + 1)
        seen.append({event["account"] for event in listed if concerns(event, following.object_ids)})
        return True

    monkeypatch.setattr(Following, "until", follow(look))
    verify(environment, stripe, "acct_1Connected")
    assert seen == [{"acct_1Connected"}, {"acct_1Connected"}]
    assert stripe.events() == []


def test_repeated_request_changes_nothing_twice(stripe: ReferenceStripe) -> None:
    headers = {"Authorization": f"Bearer {KEY}", "Idempotency-Key": "one"}
    made = [
        httpx.post(
            f"{stripe.url}/v1/customers", data={"name": "Ada"}, headers=headers, trust_env=False
        ).json()
        for _ in range(2)
    ]
    assert made[0] == made[1]
    assert types(stripe) == ["customer.created"]


@pytest.mark.parametrize(
    ("given", "status", "message"),
    [
        ({"customer": "cus_none", "items[0][price_data][product]": "prod_none"}, 404, "No such customer"),
        ({}, 400, "Missing or invalid parameter"),
    ],
)
def test_reference_refuses_what_stripe_refuses(
    stripe: ReferenceStripe, given: dict[str, str], status: int, message: str
) -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    answer = httpx.post(f"{stripe.url}/v1/subscriptions", data=given, headers=headers, trust_env=False)
    assert (answer.status_code, message in answer.json()["error"]["message"]) == (status, True)


@pytest.mark.parametrize(
    ("arguments", "settings", "advice"),
    [
        (
            [],
            {"LIVEMODE": "true", "ALERT_EMAILS": "oncall@huntaze.com"},
            "dev handles live events (livemode = true), and verify works in Stripe's",
        ),
        ([], {"STRIPE_SECRET_KEY": "sk_live_1"}, "STRIPE_SECRET_KEY is a live key"),
        (["--account", "1Connected"], {}, "invalid --account '1Connected': expected an id like acct_"),
        (["--account", "acct_1", "--ping"], {}, "--ping and --account exclude each other"),
    ],
)
@pytest.mark.usefixtures("environment")
def test_wrong_use_is_one_line_and_nothing_is_created(
    stripe: ReferenceStripe,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    settings: dict[str, str],
    advice: str,
) -> None:
    for name, value in (settings | {"STRIPE_API_URL": stripe.url}).items():
        monkeypatch.setenv(name, value)
    done = run_command(["verify", *arguments], monkeypatch, capsys)
    assert (done.code, advice in done.err, done.err.count("\n")) == (2, True, 1), done.err
    assert stripe.requests() == ()


def row(outcome: Any, *, audited: bool, event_type: str = "invoice.paid") -> Row:
    return Row(SentEvent("evt_1", event_type, None, "billing", "", 0.0), outcome, (), audited, None)


@pytest.mark.parametrize(
    ("given", "reason", "expected"),
    [
        (row("applied", audited=True), None, None),
        (row("applied", audited=False), None, "is not in the ledger: docs/runbooks/audit-errors.md"),
        (row(None, audited=False), None, "has not reached the ledger: check the event destination's status"),
        (row(None, audited=True), None, "see the log group /aws/lambda/huntaze-stripe-billing-dev"),
        (row(None, audited=True), "the API answered 503", "failed in its handler: the API answered 503"),
        (row("parked", audited=True), "the API answered 400", "was parked: the API answered 400"),
    ],
)
def test_event_without_a_good_end_names_what_to_look_at_next(
    given: Row, reason: str | None, expected: str | None
) -> None:
    troubles = {} if reason is None else {"evt_1": Trouble(reason, 0.0)}
    found = Verification("run", (given,), troubles, (), (), {})
    lines = list(report.next_steps("dev", found))
    assert found.passed is (expected is None)
    assert lines == [] if expected is None else (len(lines) == 1 and expected in lines[0])
    assert json.loads(json.dumps(report.document("dev", found)))["events"][0]["reason"] == reason


def test_event_that_stripe_never_made_fails_the_verification() -> None:
    found = Verification("run", (), {}, ("invoice.paid",), (), {})
    assert not found.passed
    assert "invoice.paid: Stripe lists no event of run run" in next(report.next_steps("dev", found))
    assert "invoice.paid" in CREATED["paid invoice"]
