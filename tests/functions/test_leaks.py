"""No personal data and no secret is ever written, whatever fails and at any log level.

Every function runs with all loggers at DEBUG. What it writes to standard output and standard error,
tracebacks with all their causes included, is searched for planted values.
"""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

from functions.shared import names
from ops.local.clients import Aws
from ops.reference.huntaze import Fault, ReferenceApi
from tests.functions.audit import batch_of
from tests.functions.conftest import Start, fresh
from tests.functions.function import Function, FunctionError
from tests.unit import snapshots as stripe

PLANTED_SECRETS = {
    names.HUNTAZE_API_KEY: "hk_planted_5b1f",
    names.STRIPE_SECRET_KEY: "sk_planted_77aa",
}
PERSON = {
    "email": "planted.person@example.com",
    "name": "Planted Person",
    "phone": "+15550177",
    "address": {"line1": "1 Planted Street"},
    "card": {"last4": "last4-9317", "fingerprint": "PlantedFingerprint"},
    "client_secret": "pi_planted_secret",
    "message": "Planted Person's card was declined",
}
PLANTED_VALUES = (
    *PLANTED_SECRETS.values(),
    "planted-password",
    *(value for value in PERSON.values() if isinstance(value, str)),
    "Planted",
    "last4-9317",
)
ALL_LOGS = {"POWERTOOLS_LOG_LEVEL": "DEBUG", "ROOT_LOG_LEVEL": "DEBUG", "POWERTOOLS_LOGGER_LOG_EVENT": "true"}


def assert_nothing_leaked(function: Function) -> None:
    output = function.output()
    assert '"level":"' in output, "the function logged"
    leaked = [value for value in PLANTED_VALUES if value in output]
    assert leaked == []


def try_invoke(function: Function, event: Any) -> str:
    try:
        return str(function.invoke(event))
    except FunctionError as error:
        return f"{error.kind}: {error.message}"


@pytest.fixture(scope="module")
def secret(aws: Aws) -> str:
    name = "planted"
    aws.client("secretsmanager").create_secret(Name=name, SecretString=json.dumps(PLANTED_SECRETS))
    return name


EVENTS = {
    "applied or refused": ("payment_intent.succeeded", stripe.payment_intent(**PERSON)),
    "failure with a payment method": (
        "payment_intent.payment_failed",
        stripe.payment_intent(last_payment_error={"code": "x", "payment_method": PERSON, **PERSON}),
    ),
    "wrong type": (
        "payment_intent.succeeded",
        stripe.payment_intent(amount=PERSON["email"], customer=PERSON),
    ),
    "wrong metadata": ("payment_intent.succeeded", stripe.payment_intent(metadata={"Planted": PERSON})),
    "wrong mode": ("checkout.session.completed", stripe.session("Planted")),
    "no id": ("payment_intent.succeeded", stripe.payment_intent(id=PERSON)),
}


@pytest.mark.parametrize("planted", EVENTS.values(), ids=EVENTS)
def test_events_leave_no_personal_data(
    api: ReferenceApi, start: Start, secret: str, planted: tuple[str, dict[str, Any]]
) -> None:
    function = start("payments", SECRET_IDS=secret, **ALL_LOGS)
    try_invoke(function, fresh(*planted))  # 401: the API does not know the planted key
    echo = json.dumps(PERSON | PLANTED_SECRETS)
    for status in (200, 400, 409, 422, 429, 500):
        api.fail(Fault(status=status, body=echo, headers={"X-Echo": "Planted"}, times=1))
        try_invoke(function, fresh(*planted))
        api.clear_faults()
    api.fail(Fault(reset=True, times=1))
    try_invoke(function, fresh(*planted))
    assert_nothing_leaked(function)


@pytest.mark.parametrize(
    "detail",
    [
        {"id": PERSON["email"]},
        {"type": PERSON["email"]},
        {"api_version": PERSON["email"]},
        {"created": PERSON["email"]},
        {"account": PERSON["name"]},
        {"livemode": PERSON["email"]},
        {"object": PERSON["email"]},
        {"data": PERSON},
    ],
    ids=lambda detail: next(iter(detail)),
)
def test_wrong_envelopes_leave_no_personal_data(start: Start, secret: str, detail: dict[str, Any]) -> None:
    function = start("payments", SECRET_IDS=secret, **ALL_LOGS)
    envelope = fresh("payment_intent.succeeded", stripe.payment_intent(**PERSON))
    envelope["detail"] |= detail
    assert "'parked'" in try_invoke(function, envelope)
    assert_nothing_leaked(function)


@pytest.mark.parametrize(
    "variables",
    [
        {"HUNTAZE_API_KEY": "hk_planted_5b1f\nplanted-password"},
        {"HUNTAZE_API_URL": "https://planted-password@api.example.com"},
        {"HUNTAZE_API_URL": "planted-password"},
        {"IDEMPOTENCY_TABLE": "no-such-table"},
    ],
    ids=str,
)
def test_wrong_settings_leave_no_secrets(start: Start, secret: str, variables: dict[str, str]) -> None:
    function = start("payments", **({"SECRET_IDS": secret} | ALL_LOGS | variables))
    assert "ConfigurationError" in try_invoke(function, fresh("charge.succeeded", stripe.charge(**PERSON)))
    assert_nothing_leaked(function)


def test_secret_that_is_not_json_leaks_nothing(aws: Aws, start: Start) -> None:
    aws.client("secretsmanager").create_secret(Name="planted-text", SecretString="hk_planted_5b1f")
    function = start("payments", SECRET_IDS="planted-text", **ALL_LOGS)
    assert "ConfigurationError" in try_invoke(function, fresh("charge.succeeded", stripe.charge()))
    assert_nothing_leaked(function)


def test_ledger_leaves_no_personal_data(start: Start, secret: str, database_url: str) -> None:
    envelope = fresh("customer.created", stripe.customer(**PERSON))
    unstorable = fresh("customer.created", stripe.customer(**PERSON | {"name": "Planted\u0000"}))
    mistyped = fresh("planted.person@example.com", stripe.customer(**PERSON))
    function = start("audit", SECRET_IDS=secret, DATABASE_URL=database_url, **ALL_LOGS)
    try_invoke(function, batch_of(envelope, unstorable, mistyped, "no json: planted.person@example.com"))
    assert function.output().count('"event audited"') == 2
    assert function.output().count('"event parked"') == 2
    assert_nothing_leaked(function)
    assert database_url not in function.output()


def test_database_that_refuses_leaks_no_password(start: Start, secret: str, database_server: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = listener.getsockname()[1]
    address = database_server.rpartition("@")[2]
    for url in (
        f"postgresql://postgres:planted-password@{address}",
        f"postgresql://postgres:planted-password@127.0.0.1:{closed}/x",
        "planted-password is not a connection string",
    ):
        function = start("audit", SECRET_IDS=secret, DATABASE_URL=url, **ALL_LOGS)
        result = try_invoke(function, batch_of(fresh("customer.created", stripe.customer(**PERSON))))
        assert "PostgreSQL failed" in result
        assert_nothing_leaked(function)
