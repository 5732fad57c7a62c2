"""Checks of `doctor` on an account that lacks what they look at, or holds it in another form."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from functions.shared import names
from ops import environment as environments
from ops.doctor.check import Finding, Status
from ops.doctor.checks import CHECKS
from ops.doctor.context import Context
from ops.doctor.run import made_by
from tests.ops.dead_letters import World

# Nobody listens there.
NOWHERE = "http://127.0.0.1:1"
EVERY = {check.name: check for check in CHECKS}


def look(name: str) -> Finding:
    """Make one check as the command does."""
    environment = environments.connect("dev", bus=False, check_account=False)
    return made_by(EVERY[name], Context(environment, datetime.now(UTC)))


def store(world: World, key: str, value: str) -> None:
    """Put a value into the secret of a key, as a deploy does."""
    client = world.aws.client("secretsmanager")
    name = names.SECRET_NAMES[key].format(environment="dev")
    text = json.dumps({key: value})
    try:
        client.create_secret(Name=name, SecretString=text)
    except client.exceptions.ResourceExistsException:
        client.put_secret_value(SecretId=name, SecretString=text)


@pytest.mark.parametrize(
    ("check", "key", "deployed", "exported", "text"),
    [
        ("Stripe key", names.STRIPE_SECRET_KEY, "sk_live_deployed", "sk_test_exported", "is a live key"),
        ("ledger database", names.DATABASE_URL, "mysql://deployed", "", "it is not a PostgreSQL URL"),
        ("ledger database", names.DATABASE_URL, "", "mysql://exported", "none: the ledger is in S3 alone"),
    ],
)
def test_the_deployed_value_is_checked_and_not_the_exported_one(
    person: pytest.MonkeyPatch, world: World, check: str, key: str, deployed: str, exported: str, text: str
) -> None:
    person.setenv("STRIPE_API_URL", NOWHERE)
    store(world, key, deployed)
    person.setenv(key, exported)
    found = look(check)
    assert text in found.text, found


def test_a_deployed_value_that_cannot_be_read_is_not_replaced_by_the_exported_one(
    person: pytest.MonkeyPatch, world: World
) -> None:
    store(world, names.STRIPE_SECRET_KEY, "sk_test_deployed")
    secret = names.SECRET_NAMES[names.STRIPE_SECRET_KEY].format(environment="dev")
    world.aws.client("secretsmanager").delete_secret(SecretId=secret, ForceDeleteWithoutRecovery=True)
    person.setenv("STRIPE_API_URL", NOWHERE)
    person.setenv(names.STRIPE_SECRET_KEY, "sk_test_exported")
    found = look("Stripe key")
    assert (found.status, f"the secret {secret} does not exist" in found.text) == (Status.FAIL, True), found
