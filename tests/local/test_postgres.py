"""A real PostgreSQL runs below a folder, on loopback only, and ends with its context."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import psycopg
import pytest

from ops.local.folder import run_folder
from ops.local.postgres import PostgresError, running_postgres


@pytest.fixture
def folder() -> Iterator[Path]:
    with run_folder() as path:
        yield path


def test_data_outlives_a_restart(folder: Path) -> None:
    with running_postgres(folder) as url, psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    with running_postgres(folder) as url, psycopg.connect(url) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_it_listens_on_loopback_only_and_ends_with_its_context(folder: Path) -> None:
    with running_postgres(folder) as url:
        port = urlsplit(url).port
        listening = [
            connection
            for connection in psutil.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
        ]
        assert {connection.laddr.ip for connection in listening} == {"127.0.0.1"}
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url, connect_timeout=2)


def test_the_password_is_required(folder: Path) -> None:
    with running_postgres(folder) as url:
        password = urlsplit(url).password
        assert password
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(url.replace(password, "wrong"), connect_timeout=2)


def test_a_port_that_is_taken_is_one_clear_error(folder: Path) -> None:
    with running_postgres(folder / "first") as url:
        port = urlsplit(url).port
        with pytest.raises(PostgresError, match="did not start"), running_postgres(folder / "second", port):
            pass
