"""A key is checked by a harmless call: real libraries, the reference APIs and a real PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from functions.shared import names
from functions.stripe_api.client import ACCOUNTS_PATH, OBJECT_PATHS, STRIPE_API_URL
from infra import settings
from infra.settings import Settings
from ops import keys, stripe_rights
from ops.keys import State
from ops.local.folder import run_folder
from ops.local.loopback import free_port
from ops.local.postgres import running_postgres
from ops.reference.huntaze import Fault, ReferenceApi
from ops.reference.huntaze.dialects import DIALECTS
from ops.reference.stripe import ReferenceStripe
from tests.local.conftest import KEY
from tests.local.reference_calls import API_KEY

EVENT = {"id": "evt_1", "object": "event", "type": "customer.updated"}


@pytest.fixture(scope="module")
def database_url() -> Iterator[str]:
    with run_folder() as folder, running_postgres(Path(folder)) as url:
        yield url


@pytest.fixture
def stripe(server: ReferenceStripe, monkeypatch: pytest.MonkeyPatch) -> Iterator[ReferenceStripe]:
    monkeypatch.setenv(STRIPE_API_URL, server.url)
    yield server
    server.clear_faults()


def dev(**changes: str) -> Settings:
    needed = {"STRIPE_EVENT_SOURCE_NAME": "aws.partner/stripe.com/ed_keys", "ALERT_EMAILS": "none"}
    return settings.load("dev", environ={**needed, **changes})


def test_key_of_the_api_is_accepted_and_nothing_is_applied(api: ReferenceApi) -> None:
    found = keys.check(names.HUNTAZE_API_KEY, API_KEY, dev(HUNTAZE_API_URL=api.url))
    assert (found.state, found.good) == (State.ACCEPTED, True)
    assert api.applied() == ()


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_key_is_accepted_by_every_dialect(api: ReferenceApi, dialect: str) -> None:
    api.speak(dialect)
    assert keys.huntaze_api(API_KEY, api.url).good


def test_other_key_of_the_api_is_refused_without_naming_it(api: ReferenceApi) -> None:
    found = keys.check(names.HUNTAZE_API_KEY, "hk_another", dev(HUNTAZE_API_URL=api.url))
    assert found.state == State.REFUSED
    assert "401" in found.detail
    assert "hk_another" not in found.detail


def test_api_that_fails_says_nothing_of_the_key(api: ReferenceApi) -> None:
    api.fail(Fault(status=503))
    assert keys.huntaze_api(API_KEY, api.url).state == State.UNREACHABLE
    closed = f"http://127.0.0.1:{free_port()}"
    assert keys.huntaze_api(API_KEY, closed).detail == (
        f"{closed} did not answer (ConnectError): check huntaze_api_url"
    )


def test_key_that_no_header_can_hold_is_refused_before_any_call() -> None:
    assert keys.check(names.HUNTAZE_API_KEY, "two words", dev()).state == State.REFUSED
    assert keys.check(names.STRIPE_SECRET_KEY, "sk_test_\n", dev()).state == State.REFUSED


def test_stripe_key_is_accepted_with_its_rights(stripe: ReferenceStripe) -> None:
    found = keys.check(names.STRIPE_SECRET_KEY, KEY, dev())
    assert found.state == State.ACCEPTED
    assert "Events, Customers, Subscriptions" in found.detail
    assert {request.path.partition("?")[0] for request in stripe.requests()[-3:]} == set(
        stripe_rights.needed(dev()).values()
    )


def test_stripe_key_that_does_not_exist_is_refused(stripe: ReferenceStripe) -> None:
    found = keys.check(names.STRIPE_SECRET_KEY, "sk_test_another", dev())
    assert (found.state, found.detail) == (
        State.REFUSED,
        f"{stripe.url} answered 401: use a key that exists",
    )


THIN = {"THIN_EVENTS": "true"}
CONNECT = {"RECONCILE": "report", "RECONCILE_ACCOUNTS": "all"}


@pytest.mark.parametrize(
    ("changes", "right"),
    [
        ({}, "Customers"),
        (THIN, "Charges"),
        (THIN, "Checkout Sessions"),
        (THIN, "Invoices"),
        (THIN, "PaymentIntents"),
        (CONNECT, "Accounts"),
    ],
)
def test_missing_right_of_a_restricted_key_is_named(
    stripe: ReferenceStripe, changes: dict[str, str], right: str
) -> None:
    settings = dev(**changes)
    stripe.fail(Fault(status=403, path=stripe_rights.needed(settings)[right]))
    found = keys.check(names.STRIPE_SECRET_KEY, KEY, settings)
    assert (found.state, found.detail) == (
        State.REFUSED,
        f"it may not read {right}: let the restricted key read them",
    )


def test_stripe_key_needs_what_the_functions_read(stripe: ReferenceStripe) -> None:
    assert set(stripe_rights.OBJECTS) == set(OBJECT_PATHS)
    assert {ACCOUNTS_PATH} == set(stripe_rights.needed(dev(**THIN, **CONNECT)).values()) - set(
        stripe_rights.needed(dev(**THIN)).values()
    )
    some = dev(RECONCILE="report", RECONCILE_ACCOUNTS="acct_1Nv0FGQ9RKHgCVdK")
    assert stripe_rights.needed(some) == stripe_rights.needed(dev())
    found = keys.check(names.STRIPE_SECRET_KEY, KEY, dev(**THIN, **CONNECT))
    assert found.state == State.ACCEPTED
    assert "Invoices, PaymentIntents, Accounts" in found.detail


def test_mode_of_the_key_must_be_that_of_the_environment(stripe: ReferenceStripe) -> None:
    before = len(stripe.requests())
    found = keys.check(names.STRIPE_SECRET_KEY, "sk_live_abc", dev())
    assert found.state == State.REFUSED
    assert "is a live key" in found.detail
    assert len(stripe.requests()) == before


def test_mode_of_the_account_must_be_that_of_the_environment(stripe: ReferenceStripe) -> None:
    stripe.add_events({**EVENT, "created": int(time.time()) - 60, "livemode": True})
    found = keys.check(names.STRIPE_SECRET_KEY, KEY, dev())
    assert (found.state, found.detail) == (
        State.REFUSED,
        "its events are live events, but livemode = False",
    )


def test_stripe_that_fails_says_nothing_of_the_key(
    stripe: ReferenceStripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    stripe.fail(Fault(status=429))
    assert keys.stripe(KEY, dev()).state == State.UNREACHABLE
    monkeypatch.setenv(STRIPE_API_URL, f"http://127.0.0.1:{free_port()}")
    assert "did not answer" in keys.stripe(KEY, dev()).detail


def test_database_is_asked_for_one(database_url: str) -> None:
    assert keys.check(names.DATABASE_URL, database_url, dev()).state == State.ACCEPTED


@pytest.mark.parametrize(
    ("change", "state"),
    [
        (("postgres:", "postgres:not-"), State.REFUSED),
        (("//postgres:", "//nobody:"), State.REFUSED),
        (("@127.0.0.1:", "@127.0.0.1:1"), State.UNREACHABLE),
        (("postgresql://", "postgres//"), State.REFUSED),
    ],
    ids=["password", "user", "port", "no URL"],
)
def test_database_that_cannot_be_used_is_explained_without_its_url(
    database_url: str, change: tuple[str, str], state: State
) -> None:
    broken = database_url.replace(*change, 1)
    assert broken != database_url
    found = keys.check(names.DATABASE_URL, broken, dev())
    assert found.state == state
    password = database_url.partition("://postgres:")[2].partition("@")[0]
    assert password not in found.detail


def test_database_in_clear_text_is_refused() -> None:
    url = "postgresql://u:p@db.example.com/ledger?sslmode=disable"
    found = keys.check(names.DATABASE_URL, url, dev())
    assert found.state == State.REFUSED
    assert "clear text" in found.detail


def test_empty_value_is_good_only_where_nothing_needs_it() -> None:
    assert keys.check(names.DATABASE_URL, "", dev()).state == State.EMPTY
    assert keys.check(names.STRIPE_SECRET_KEY, "", dev(RECONCILE="off")).state == State.EMPTY
    assert keys.check(names.STRIPE_SECRET_KEY, "", dev(RECONCILE="report")).state == State.REFUSED
    assert keys.check(names.HUNTAZE_API_KEY, "", dev()).state == State.REFUSED
