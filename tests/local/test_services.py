"""No setting or credential of the operator's real accounts reaches the processes of a local run."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.local import clients
from ops.local.services import isolated_environment


@pytest.mark.parametrize(
    "name",
    [
        "AWS_PROFILE",
        "AWS_SESSION_TOKEN",
        "AWS_ENDPOINT_URL_S3",
        "AWS_ROLE_ARN",
        "TF_VAR_HUNTAZE_API_KEY",
        "TF_CLI_ARGS",
        "TF_WORKSPACE",
        "TF_DATA_DIR",
        "HUNTAZE_API_KEY",
        "STRIPE_SECRET_KEY",
        "STRIPE_EVENT_SOURCE_NAME",
        "DATABASE_URL",
    ],
)
def test_settings_of_real_accounts_are_left_out(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(name, "real")
    assert name not in isolated_environment(tmp_path)


def test_real_credentials_are_replaced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAREAL")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "real")
    environment = isolated_environment(tmp_path)
    assert clients.Credentials.of(environment) == clients.CREDENTIALS
    assert "real" not in environment["AWS_ACCESS_KEY_ID"].lower() + environment["AWS_SECRET_ACCESS_KEY"]
    assert environment["AWS_EC2_METADATA_DISABLED"] == "true"


def test_loopback_never_goes_through_a_proxy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "intranet.example")
    assert isolated_environment(tmp_path)["NO_PROXY"] == "intranet.example,127.0.0.1,localhost"


def test_clients_of_the_embedded_aws_ignore_wrong_aws_configuration(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "config").write_text("[default\n")
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://[::1")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "config"))
    clients._session.cache_clear()
    client = clients.Aws("http://127.0.0.1:9", "eu-west-1").client("sqs")
    assert client.meta.endpoint_url == "http://127.0.0.1:9"
