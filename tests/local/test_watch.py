"""A killed server ends the run with one line that names it and the copy of its log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest

from ops import ROOT
from ops.errors import OperatorError
from ops.local.clients import Aws
from ops.local.postgres import running_postgres
from ops.local.services import REGION, running_emulator, running_reference_api
from ops.local.watch import ServerEndedError, Watch

QUICKLY_SECONDS = 10.0
Ask = Callable[[], object]


@contextmanager
def reference_api(folder: Path, watch: Watch) -> Iterator[Ask]:
    with running_reference_api(folder, "key", watch=watch) as url:
        headers = {"Authorization": "Bearer key"}
        yield lambda: httpx.get(
            f"{url}/_control/requests", headers=headers, trust_env=False
        ).raise_for_status()


@contextmanager
def emulator(folder: Path, watch: Watch) -> Iterator[Ask]:
    with running_emulator(folder, watch=watch) as url:
        yield lambda: Aws(url, REGION).client("sqs").list_queues()


@contextmanager
def postgres(folder: Path, watch: Watch) -> Iterator[Ask]:
    with running_postgres(folder, watch=watch) as url:
        yield lambda: psycopg.connect(url).close()


SERVERS = {
    "the reference API": (reference_api, "build/logs/reference-api.log"),
    "the embedded AWS": (emulator, "build/logs/embedded-aws.log"),
    "PostgreSQL": (postgres, "build/logs/postgresql.log"),
}


@pytest.mark.parametrize("name", SERVERS)
def test_a_killed_server_is_named_in_one_line_with_a_copy_of_its_log(name: str, tmp_path: Path) -> None:
    run: Callable[[Path, Watch], AbstractContextManager[Ask]]
    run, log = SERVERS[name]
    watch = Watch()
    with run(tmp_path / "server", watch) as ask:
        ask()
        watch.check("while nothing was wrong")
        (server,) = watch._servers
        server.process.kill()
        started = time.monotonic()
        with pytest.raises(ServerEndedError) as failure, watch.guarding("while events were sent"):
            ask()
        assert time.monotonic() - started < QUICKLY_SECONDS
    assert str(failure.value) == f"{name} ended while events were sent (killed by SIGKILL); see {log}"
    assert (ROOT / log).is_file()


def test_a_server_that_runs_and_does_not_answer_is_named(tmp_path: Path) -> None:
    watch = Watch()
    with (
        running_reference_api(tmp_path, "key", watch=watch) as url,
        pytest.raises(OperatorError) as failure,
        watch.guarding("while events were sent"),
    ):
        httpx.get(f"{url}/nothing-is-here", trust_env=False).raise_for_status()
    assert str(failure.value).startswith("the reference API failed while events were sent: ")
    assert "\n" not in str(failure.value)


def test_a_failure_with_all_servers_alive_is_not_changed(tmp_path: Path) -> None:
    watch = Watch()
    with (
        running_reference_api(tmp_path, "key", watch=watch),
        pytest.raises(ZeroDivisionError),
        watch.guarding("while events were sent"),
    ):
        raise ZeroDivisionError


def test_a_server_that_the_run_stops_is_not_reported(tmp_path: Path) -> None:
    watch = Watch()
    with running_reference_api(tmp_path, "key", watch=watch):
        pass
    watch.check("afterwards")
