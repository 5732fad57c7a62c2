"""The ledger's PostgreSQL is told nothing before it has proved who it is."""

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
from tests.functions.postgres_front import ELSEWHERE, Front, certificate, front_of

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="certificates are made by openssl")


def elsewhere(database_url: str, front: Front, options: str = "") -> str:
    """The database's URL by way of a front, at an address that is not known to be loopback."""
    parts = urlsplit(database_url)
    return f"postgresql://{parts.username}:{parts.password}@{ELSEWHERE}:{front.port}{parts.path}?{options}"


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
def test_certified_server_takes_events_and_answers_operators(database_url: str, tmp_path: Path) -> None:
    certified = certificate(tmp_path, "IP:127.0.0.1")
    (record,) = records_of(invoice_paid())
    with front_of(port_of(database_url), certified) as front:
        url = elsewhere(database_url, front, f"sslrootcert={certified[0]}")
        ledger = LedgerTable(url)
        assert ledger.insert([record]) == []
        ledger.close()
        assert OperatorsLedger(url).known([record.event_id]) == {record.event_id}
        assert not front.in_clear
    assert stored(database_url) == 1


@needs_openssl
@pytest.mark.parametrize(
    ("name", "trusted"), [("IP:127.0.0.1", False), ("DNS:db.example.com", True)], ids=["issuer", "name"]
)
def test_server_whose_certificate_proves_nothing_is_told_nothing(
    database_url: str, tmp_path: Path, name: str, *, trusted: bool
) -> None:
    certified = certificate(tmp_path, name)
    with front_of(port_of(database_url), certified) as front:
        url = elsewhere(database_url, front, f"sslrootcert={certified[0]}" if trusted else "")
        with pytest.raises(EventError, match="certificate"):
            LedgerTable(url).insert(records_of(invoice_paid()))
        with pytest.raises(OperatorError, match="can't be read"):
            OperatorsLedger(url).known(["evt_1"])
        assert not front.in_clear
    assert stored(database_url) == 0


@needs_openssl
def test_require_in_the_url_encrypts_without_a_check(database_url: str, tmp_path: Path) -> None:
    with front_of(port_of(database_url), certificate(tmp_path, "DNS:db.example.com")) as front:
        ledger = LedgerTable(elsewhere(database_url, front, "sslmode=require"))
        assert ledger.insert(records_of(invoice_paid())) == []
        ledger.close()
        assert not front.in_clear
    assert stored(database_url) == 1


@pytest.mark.parametrize("options", ["", "sslmode=require", "sslmode=prefer", "sslmode=disable"])
def test_server_that_says_it_has_no_tls_learns_neither_password_nor_event(
    database_url: str, options: str
) -> None:
    with front_of(port_of(database_url), None) as front:
        url = elsewhere(database_url, front, options)
        with pytest.raises(EventError, match=r"TLS|sslmode"):
            LedgerTable(url).insert(records_of(invoice_paid()))
        with pytest.raises(OperatorError, match="DATABASE_URL"):
            OperatorsLedger(url).known(["evt_1"])
        assert front.in_clear == b""
    assert stored(database_url) == 0
