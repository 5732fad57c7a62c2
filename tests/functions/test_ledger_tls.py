"""The ledger's PostgreSQL receives nothing before it has proved its identity."""

from __future__ import annotations

import shutil
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from functions.ledger.postgres import LedgerTable
from functions.shared.errors import EventError
from ops.errors import OperatorError
from ops.ledger import PostgresLedger as OperatorsLedger
from tests.functions.audit import invoice_paid, records_of
from tests.functions.postgres_proxy import ELSEWHERE, Proxy, certificate, running_proxy

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")


def proxied_url(database_url: str, proxy: Proxy, options: str = "") -> str:
    """Return the database's URL through a proxy, at an address that does not look like loopback."""
    parts = urlsplit(database_url)
    return f"postgresql://{parts.username}:{parts.password}@{ELSEWHERE}:{proxy.port}{parts.path}?{options}"


def port_of(database_url: str) -> int:
    port = urlsplit(database_url).port
    assert port
    return port


def stored(database_url: str) -> int:
    with psycopg.connect(database_url) as connection:
        if connection.execute("SELECT to_regclass('stripe_event_ledger')").fetchone() == (None,):
            return 0
        (count,) = connection.execute("SELECT count(*) FROM stripe_event_ledger").fetchone() or (0,)
        return int(count)


@needs_openssl
def test_certified_server_receives_events_and_answers_operators(database_url: str, tmp_path: Path) -> None:
    certified = certificate(tmp_path, "IP:127.0.0.1")
    (record,) = records_of(invoice_paid())
    with running_proxy(port_of(database_url), certified) as proxy:
        url = proxied_url(database_url, proxy, f"sslrootcert={certified[0]}")
        ledger = LedgerTable(url)
        assert ledger.insert([record]) == []
        ledger.close()
        assert OperatorsLedger(url).known([record.event_id]) == {record.event_id}
        assert not proxy.in_clear
    assert stored(database_url) == 1


@needs_openssl
@pytest.mark.parametrize(
    ("name", "trusted"), [("IP:127.0.0.1", False), ("DNS:db.example.com", True)], ids=["issuer", "name"]
)
def test_server_with_an_untrusted_certificate_receives_nothing(
    database_url: str, tmp_path: Path, name: str, *, trusted: bool
) -> None:
    certified = certificate(tmp_path, name)
    with running_proxy(port_of(database_url), certified) as proxy:
        url = proxied_url(database_url, proxy, f"sslrootcert={certified[0]}" if trusted else "")
        with pytest.raises(EventError, match="certificate"):
            LedgerTable(url).insert(records_of(invoice_paid()))
        with pytest.raises(OperatorError, match="can't read the ledger"):
            OperatorsLedger(url).known(["evt_1"])
        assert not proxy.in_clear
    assert stored(database_url) == 0


@needs_openssl
def test_require_in_the_url_encrypts_without_a_check(database_url: str, tmp_path: Path) -> None:
    with running_proxy(port_of(database_url), certificate(tmp_path, "DNS:db.example.com")) as proxy:
        ledger = LedgerTable(proxied_url(database_url, proxy, "sslmode=require"))
        assert ledger.insert(records_of(invoice_paid())) == []
        ledger.close()
        assert not proxy.in_clear
    assert stored(database_url) == 1


@pytest.mark.parametrize("options", ["", "sslmode=require", "sslmode=prefer", "sslmode=disable"])
def test_server_without_tls_receives_neither_password_nor_event(database_url: str, options: str) -> None:
    with running_proxy(port_of(database_url), None) as proxy:
        url = proxied_url(database_url, proxy, options)
        with pytest.raises(EventError, match=r"TLS|sslmode"):
            LedgerTable(url).insert(records_of(invoice_paid()))
        with pytest.raises(OperatorError, match="DATABASE_URL"):
            OperatorsLedger(url).known(["evt_1"])
        assert proxy.in_clear == b""
    assert stored(database_url) == 0
