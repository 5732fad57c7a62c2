"""`secrets push` and `secrets check` on an embedded AWS and the reference APIs: no value is ever shown."""

from __future__ import annotations

import io
import json
import os
import pty
import select
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber

from functions.shared.names import SECRET_KEYS, SECRET_NAMES
from ops import ROOT, secret_values
from ops import environment as environments
from ops.local.clients import Aws
from ops.local.loopback import free_port
from ops.local.services import REGION, isolated_environment, running_emulator
from ops.reference.huntaze import Fault, ReferenceApi
from ops.reference.stripe import ReferenceStripe
from ops.secret_values import DEPLOYED, PUSHED
from tests.ops.command import Done, run

API, STRIPE, DATABASE = SECRET_KEYS
API_KEY, STRIPE_KEY = "hk_of_the_secrets", "sk_test_of_the_secrets"
# As the provider names a version.
BY_TERRAFORM = "terraform-20261128090000000000000001"
NEW = "hk_not_known_anywhere"
NOBODY = f"postgresql://u:hidden-password@127.0.0.1:{free_port()}/ledger"
Command = Callable[..., Done]


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    with running_emulator(tmp_path_factory.mktemp("secrets")) as url:
        yield Aws(url, REGION)


@pytest.fixture(scope="module")
def services() -> Iterator[tuple[ReferenceApi, ReferenceStripe]]:
    with ReferenceApi(API_KEY) as api, ReferenceStripe(STRIPE_KEY) as stripe:
        yield api, stripe


@pytest.fixture
def stored(aws: Aws) -> Iterator[Callable[[], dict[str, str]]]:
    """Create the secrets as a deploy does; return how to read them."""
    client = aws.client("secretsmanager")
    values = {API: API_KEY, STRIPE: STRIPE_KEY, DATABASE: ""}
    for key, value in values.items():
        client.create_secret(Name=name_of(key))
        put(client, key, value, BY_TERRAFORM)
    yield lambda: {
        key: json.loads(client.get_secret_value(SecretId=name_of(key))["SecretString"])[key]
        for key in SECRET_KEYS
    }
    for key in SECRET_KEYS:
        client.delete_secret(SecretId=name_of(key), ForceDeleteWithoutRecovery=True)


@pytest.fixture
def command(
    aws: Aws,
    services: tuple[ReferenceApi, ReferenceStripe],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Command]:
    api, stripe = services
    variables = isolated_environment(tmp_path) | aws.credentials.environment()
    variables |= {"AWS_ENDPOINT_URL": aws.url, "STRIPE_API_URL": stripe.url, "HUNTAZE_API_URL": api.url}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    for key in SECRET_KEYS:
        monkeypatch.delenv(key, raising=False)
        monkeypatch.delenv(f"TF_VAR_{key}", raising=False)

    def of_secrets(*arguments: str) -> Done:
        done = run(["secrets", *arguments], monkeypatch, capsys)
        for value in (API_KEY, STRIPE_KEY, NEW, "hidden-password"):
            assert value not in done.out + done.err
        return done

    yield of_secrets
    api.clear_faults()
    stripe.clear_faults()


def name_of(key: str) -> str:
    return SECRET_NAMES[key].format(environment="dev")


def put(client: Any, key: str, value: str, version: str) -> str:
    """Write a version as Terraform or the console does, which differ by the id; return the id."""
    client.put_secret_value(
        SecretId=name_of(key), SecretString=json.dumps({key: value}), ClientRequestToken=version
    )
    return version


def states(done: Done) -> dict[str, str]:
    return {each["key"]: each["state"] for each in json.loads(done.out)}


def test_secrets_of_a_deploy_are_accepted(command: Command, stored: Callable[[], dict[str, str]]) -> None:
    done = command("check", "--json")
    assert (done.code, states(done)) == (0, {API: "accepted", STRIPE: "accepted", DATABASE: "empty"})
    table = command("check")
    assert table.code == 0
    assert stored()[API] == API_KEY


def test_secret_that_is_refused_empty_or_gone_fails_the_check(
    aws: Aws, command: Command, stored: Callable[[], dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = aws.client("secretsmanager")
    client.put_secret_value(SecretId=name_of(API), SecretString=json.dumps({API: ""}))
    client.put_secret_value(SecretId=name_of(STRIPE), SecretString="no JSON")
    client.put_secret_value(SecretId=name_of(DATABASE), SecretString=json.dumps({DATABASE: NOBODY}))
    done = command("check", "--json")
    assert (done.code, states(done)) == (1, {API: "refused", STRIPE: "refused", DATABASE: "unreachable"})
    assert "3 values not accepted" in done.err
    assert "secrets push --env dev KEY" in done.err
    assert states(command("check", "--unchecked", DATABASE, "--json"))[DATABASE] == "unchecked"
    monkeypatch.setattr("ops.environment.Environment.secret_id", lambda _self, key: f"gone/{key}")
    assert set(states(command("check", "--json")).values()) == {"missing"}


def test_only_accepted_values_are_written(
    command: Command, stored: Callable[[], dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = stored()
    monkeypatch.setenv(API, NEW)
    monkeypatch.setenv(STRIPE, STRIPE_KEY)
    done = command("push", "--yes", "--json")
    assert (done.code, states(done)) == (1, {API: "refused", STRIPE: "accepted"})
    assert [each["version"] for each in json.loads(done.out)] == [None, None]
    assert "nothing was written" in done.err
    assert stored() == before


def test_value_whose_service_is_out_of_reach_is_written_only_unchecked(
    command: Command, stored: Callable[[], dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DATABASE, NOBODY)
    assert states(command("push", DATABASE, "--yes", "--json")) == {DATABASE: "unreachable"}
    assert stored()[DATABASE] == ""
    assert command("push", DATABASE, "--yes", "--unchecked", DATABASE).code == 0
    assert stored()[DATABASE] == NOBODY


def test_dry_run_checks_and_writes_nothing(
    aws: Aws, command: Command, stored: Callable[[], dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"TF_VAR_{API}", API_KEY)
    before = aws.client("secretsmanager").describe_secret(SecretId=name_of(API))["VersionIdsToStages"]
    done = command("push", "--dry-run")
    assert (done.code, "dry run: nothing was changed" in done.out) == (0, True)
    assert aws.client("secretsmanager").describe_secret(SecretId=name_of(API))["VersionIdsToStages"] == before


def test_version_of_terraform_keeps_a_label_however_often_a_value_is_pushed(
    aws: Aws, command: Command, stored: Callable[[], dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = aws.client("secretsmanager")
    for _ in range(3):
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{API_KEY}\n"))
        assert command("push", API, "--stdin", "--yes").code == 0
    labels = client.describe_secret(SecretId=name_of(API))["VersionIdsToStages"]
    assert labels[BY_TERRAFORM] == [DEPLOYED]
    assert [version.startswith(PUSHED) for version, has in labels.items() if "AWSCURRENT" in has] == [True]
    again = put(client, API, API_KEY, "terraform-20261129090000000000000001")
    monkeypatch.setenv(API, API_KEY)
    assert command("push", API, "--yes").code == 0
    labels = client.describe_secret(SecretId=name_of(API))["VersionIdsToStages"]
    assert DEPLOYED in labels[again]
    assert stored()[API] == API_KEY


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("pushed_before", [True, False])
def test_value_that_was_rotated_in_the_console_does_not_take_over_the_label(
    aws: Aws, command: Command, monkeypatch: pytest.MonkeyPatch, pushed_before: bool
) -> None:
    client = aws.client("secretsmanager")
    monkeypatch.setenv(API, API_KEY)
    if pushed_before:
        assert command("push", API, "--yes").code == 0
    put(client, API, API_KEY, str(uuid.uuid4()))
    for _ in range(2):
        assert command("push", API, "--yes").code == 0
    labels = client.describe_secret(SecretId=name_of(API))["VersionIdsToStages"]
    assert [version for version, has in labels.items() if DEPLOYED in has] == [BY_TERRAFORM]


def test_a_secret_without_a_version_gets_its_first(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedded AWS gives each secret a version, so this answer is written here by botocore's model."""
    client = boto3.client("secretsmanager", region_name=REGION)
    monkeypatch.setattr("ops.environment.Environment.client", lambda _self, _service: client)
    monkeypatch.setenv(API, API_KEY)
    with Stubber(client) as answers:
        answers.add_response("describe_secret", {"Name": name_of(API)}, {"SecretId": name_of(API)})
        put = {"SecretId": name_of(API), "SecretString": ANY, "ClientRequestToken": ANY}
        answers.add_response("put_secret_value", {"VersionId": f"{PUSHED}{uuid.uuid4()}"}, put)
        environment = environments.connect("dev", bus=False, check_account=False)
        assert secret_values.write(environment, API, API_KEY).startswith(PUSHED)
        answers.assert_no_pending_responses()


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(("key", "noted"), [(STRIPE_KEY, True), ("rk_test_of_the_secrets", False)])
def test_a_key_that_may_do_everything_is_noted(
    command: Command, monkeypatch: pytest.MonkeyPatch, key: str, noted: bool
) -> None:
    monkeypatch.setenv(STRIPE, key)
    done = command("push", "--dry-run", "--json", "--unchecked", STRIPE)
    assert (done.code, states(done), "is not restricted (sk_…)" in done.err) == (
        0,
        {STRIPE: "unchecked"},
        noted,
    )


def test_api_that_fails_leaves_the_old_key(
    command: Command,
    services: tuple[ReferenceApi, ReferenceStripe],
    stored: Callable[[], dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    services[0].fail(Fault(status=503))
    monkeypatch.setenv(API, NEW)
    assert states(command("push", API, "--yes", "--json")) == {API: "unreachable"}
    assert stored()[API] == API_KEY


def test_typed_value_is_not_echoed(command: Command, stored: Callable[[], dict[str, str]]) -> None:
    del command
    terminal, inside = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "ops", "secrets", "push", API, "--yes"],
        cwd=ROOT,
        stdin=inside,
        stdout=inside,
        stderr=inside,
    )
    os.close(inside)
    shown = _read_until(terminal, b"(hidden): ")
    os.write(terminal, f"{API_KEY}\n".encode())
    shown += _read_until(terminal, b"accepted")
    assert process.wait(timeout=60) == 0
    os.close(terminal)
    assert API_KEY.encode() not in shown
    assert stored()[API] == API_KEY


def _read_until(terminal: int, sign: bytes) -> bytes:
    shown = b""
    while sign not in shown:
        assert select.select([terminal], [], [], 60)[0], f"no {sign!r} in {shown!r}"
        shown += os.read(terminal, 4096)
    return shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["push", "--yes"], f"missing KEY: name or export {', '.join(SECRET_KEYS)}"),
        (["push", "API_KEY", "--yes"], f"invalid KEY 'API_KEY': expected {', '.join(SECRET_KEYS)}"),
        (["push", API, STRIPE, "--stdin", "--yes"], "--stdin has one value: name one KEY"),
        (["push", API, "--yes"], f"{API} has no value: export it, or pass it to --stdin"),
        (["push", API, "--stdin", "--yes"], f"{API} is empty: `deploy` with TF_VAR_{API}= empties a value"),
        (["push", API], "not a terminal: pass --yes to skip the confirmation"),
        (["check", "--unchecked", "x"], f"invalid --unchecked 'x': expected {', '.join(SECRET_KEYS)}"),
    ],
)
def test_wrong_usage_is_one_line(
    command: Command, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    done = command(*arguments)
    assert (done.code, done.err.strip()) == (2, f"error: {message}")
