"""Saved deploys: what is saved is restored whole, or not at all."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

from ops.local import saved
from ops.local.loopback import LOOPBACK, free_port
from ops.local.ports import Ports
from ops.local.saved import Record
from tests.local.saved_runs import STATE, place, run

__all__ = ["place", "run"]


def record(key: str = "k" * 64, ports: Ports | None = None) -> Record:
    chosen = ports or Ports(free_port(), free_port(), free_port())
    return Record(
        key, chosen, {"huntaze_api_key": "hk"}, {"RECONCILE": "off"}, 107, "terraform", "1.11.4", {}
    )


def test_a_restored_deploy_has_every_file_that_a_later_run_needs(
    run: Path, place: Path, tmp_path: Path
) -> None:
    saved.save(record(), run, place)
    found = saved.find("k" * 64, place)
    assert found is not None
    assert found.taken is None
    assert found.record.resources == 107
    again = tmp_path / "again"
    assert saved.restore(found, again, place)
    files = {path.relative_to(again).as_posix() for path in again.rglob("*") if not path.is_dir()}
    assert files == {
        "aws/state/sqs.json",
        "aws/s3/bucket/key",
        "cdktf.out/cdk.tf.json",
        "postgres/password",
        STATE,
    }
    assert (again / "cdktf.out" / "provider").readlink() == tmp_path


def test_sessions_of_the_deploy_are_not_saved(run: Path, place: Path) -> None:
    saved.save(record(), run, place)
    assert list(place.rglob("sqs.json"))
    assert not list(place.rglob("sts.json"))


def test_only_the_owner_can_read_a_saved_deploy(run: Path, place: Path) -> None:
    saved.save(record(), run, place)
    assert stat.S_IMODE(place.stat().st_mode) == 0o700


def test_another_key_finds_nothing(run: Path, place: Path) -> None:
    saved.save(record(), run, place)
    assert saved.find("x" * 64, place) is None


def test_a_damaged_deploy_is_removed_and_not_restored(run: Path, place: Path, tmp_path: Path) -> None:
    saved.save(record(), run, place)
    found = saved.find("k" * 64, place)
    assert found is not None
    (found.folder / "aws" / "state" / "sqs.json").write_text("")
    assert not saved.restore(found, tmp_path / "again", place)
    assert not (tmp_path / "again").exists()
    assert saved.find("k" * 64, place) is None


def test_a_save_that_was_killed_is_never_found_and_later_removed(run: Path, place: Path) -> None:
    torn = place / f"{saved.DRAFT}killed"
    torn.mkdir(parents=True)
    (torn / saved.RECORD).write_text("{")
    assert saved.find("k" * 64, place) is None
    saved.save(record(), run, place)
    assert not torn.exists()


def test_a_folder_without_a_whole_record_is_not_found(place: Path) -> None:
    (place / "torn").mkdir(parents=True)
    (place / "torn" / saved.RECORD).write_text('{"key": "' + "k" * 64 + '"}')
    assert saved.find("k" * 64, place) is None


def test_a_second_deploy_is_found_while_the_ports_of_the_first_are_taken(run: Path, place: Path) -> None:
    with socket.socket() as other:
        other.bind((LOOPBACK, 0))
        other.listen()
        port = other.getsockname()[1]
        saved.save(record(ports=Ports(port, free_port(), free_port())), run, place)
        taken = saved.find("k" * 64, place)
        assert taken is not None
        assert taken.taken == port
        saved.save(record(), run, place)
        free = saved.find("k" * 64, place)
        assert free is not None
        assert free.taken is None


def test_few_deploys_are_kept_and_the_oldest_goes_first(run: Path, place: Path) -> None:
    keys = [f"{number:064}" for number in range(saved.MOST + 1)]
    for age, key in enumerate(reversed(keys)):
        saved.save(record(key), run, place)
        found = saved.find(key, place)
        assert found is not None
        os.utime(found.folder, (1_000_000 - age, 1_000_000 - age))
    saved.save(record("n" * 64), run, place)
    assert saved.find("n" * 64, place)
    assert saved.find(keys[0], place) is None
    assert len([path for path in place.iterdir() if path.is_dir()]) == saved.MOST
