"""The TLS parameters for libpq, by the host of the database and its URL."""

from __future__ import annotations

from pathlib import Path

import certifi
import pytest

from functions.ledger import connection
from functions.ledger.connection import encryption
from functions.shared.errors import ConfigurationError

PUBLIC = certifi.where()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p@127.0.0.1:5432/x",
        "postgresql://u:p@localhost/x?sslmode=disable",
        "postgresql://u:p@[::1]/x",
        "host=/var/run/postgresql dbname=x",
        "host=@abstract dbname=x",
        "host=127.0.0.1,localhost dbname=x",
        "host=db.example.com hostaddr=127.0.0.1",
    ],
)
def test_loopback_is_left_to_libpq(url: str) -> None:
    assert encryption(url) == {}


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p@db.example.com/x",
        "postgresql:///x?service=prod",
        "postgresql://u:p@/x",
        "host=localhost,db.example.com dbname=x",
        "host=localhost hostaddr=10.0.0.1 dbname=x",
        "host=localhost.example.com",
        "postgresql://u:p@10.0.0.1/x?sslmode=",
    ],
)
def test_remote_server_must_prove_its_name(url: str) -> None:
    assert encryption(url) == {"sslmode": "verify-full", "sslrootcert": PUBLIC}


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ("sslmode=require", {}),
        ("sslmode=verify-ca", {"sslrootcert": PUBLIC}),
        ("sslmode=verify-full&sslrootcert=/own.pem", {}),
        ("sslrootcert=/own.pem", {"sslmode": "verify-full"}),
    ],
)
def test_parameters_of_the_url_are_kept(options: str, wanted: dict[str, str]) -> None:
    assert encryption(f"postgresql://u:p@db.example.com/x?{options}") == wanted


@pytest.mark.parametrize("mode", ["disable", "allow", "prefer"])
def test_modes_without_tls_are_refused_without_quoting_the_url(mode: str) -> None:
    with pytest.raises(ConfigurationError, match=f"DATABASE_URL has sslmode={mode}") as caught:
        encryption(f"postgresql://u:planted@db.example.com/x?sslmode={mode}")
    assert "planted" not in str(caught.value)
    assert "example" not in str(caught.value)


def test_sslmode_of_the_environment_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSSLMODE", "disable")
    assert encryption("postgresql://u:p@db.example.com/x")["sslmode"] == "verify-full"


def test_authorities_beside_the_module_replace_the_public_ones(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(connection, "OWN_AUTHORITIES", tmp_path / "database-ca.pem")
    (tmp_path / "database-ca.pem").write_text("-----BEGIN CERTIFICATE-----")
    assert encryption("postgresql://u:p@db.example.com/x")["sslrootcert"] == str(tmp_path / "database-ca.pem")
