"""A saved deploy that can't be restored is named in one line, and the run deploys from nothing."""

from __future__ import annotations

import io
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ops.console import PlainConsole
from ops.local import saved, start
from ops.local.fingerprint import fingerprint
from ops.local.loopback import LOOPBACK, free_port
from ops.local.ports import Ports
from ops.local.saved import Record
from ops.local.services import ServiceError
from ops.local.start import Wanted, deployed
from ops.progress import Steps
from tests.local.saved_runs import place, run

__all__ = ["place", "run"]


class From:
    """Stands for a deployment from nothing."""


@pytest.fixture(autouse=True)
def from_nothing(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Note each deploy from nothing, and each save of it."""
    noted: list[bool] = []
    monkeypatch.setattr(start, "_from_nothing", lambda *_: From())
    monkeypatch.setattr(start, "_save", lambda *_: noted.append(True))
    return noted


@pytest.fixture(scope="module")
def key() -> str:
    return fingerprint("default")


def save(key: str, run: Path, place: Path, ports: Ports | None = None) -> None:
    chosen = ports or Ports(free_port(), free_port(), free_port())
    secrets = {"huntaze_api_key": "hk", "stripe_secret_key": "sk"}
    saved.save(Record(key, chosen, secrets, {}, 107, "terraform", "1.11.4", {}), run, place)


def started(tmp_path: Path, place: Path, wanted: Wanted | None = None) -> tuple[Any, str]:
    """Return what `deployed` yields, and what it prints."""
    console = PlainConsole(file=io.StringIO(), width=200)
    with deployed(tmp_path / "new", wanted or Wanted(), Steps(console), place) as deployment:
        assert isinstance(console.file, io.StringIO)
        return deployment, console.file.getvalue()


def test_a_taken_port_is_named(
    tmp_path: Path, run: Path, place: Path, key: str, from_nothing: list[bool]
) -> None:
    with socket.socket() as other:
        other.bind((LOOPBACK, 0))
        other.listen()
        port = other.getsockname()[1]
        save(key, run, place, Ports(free_port(), port, free_port()))
        deployment, said = started(tmp_path, place)
    assert isinstance(deployment, From)
    assert f"port {port} of the saved deploy is in use: this run deploys from nothing" in said
    assert from_nothing == [True]
    # It waits for a run that finds its ports free.
    assert saved.find(key, place)


def test_a_damaged_save_is_removed(tmp_path: Path, run: Path, place: Path, key: str) -> None:
    save(key, run, place)
    found = saved.find(key, place)
    assert found is not None
    (found.folder / "postgres" / "password").write_text("another")
    deployment, said = started(tmp_path, place)
    assert isinstance(deployment, From)
    assert "the saved deploy was damaged, and is removed: this run deploys from nothing" in said
    assert saved.find(key, place) is None


def test_a_save_whose_servers_do_not_start_is_removed(
    tmp_path: Path, run: Path, place: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def failing(*_: Any, **__: Any) -> Iterator[None]:
        raise ServiceError("the embedded AWS did not start: its state is unreadable")
        yield

    monkeypatch.setattr(start, "running_services", failing)
    save(key, run, place)
    deployment, said = started(tmp_path, place)
    assert isinstance(deployment, From)
    assert "can't be used, and is removed (the embedded AWS did not start: its state is unreadable)" in said
    assert saved.find(key, place) is None


def test_fresh_looks_at_no_save(
    tmp_path: Path, run: Path, place: Path, key: str, from_nothing: list[bool]
) -> None:
    save(key, run, place)
    deployment, said = started(tmp_path, place, Wanted(fresh=True))
    assert isinstance(deployment, From)
    assert said == ""
    assert from_nothing == [True]
