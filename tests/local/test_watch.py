"""A server that ends by itself ends the run, with one line that names it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from ops.local.watch import ServiceError, Watch, watching


def sleeper(log: Path) -> subprocess.Popen[bytes]:
    log.write_text("first words\nlast words\n")
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])


def test_killed_server_interrupts_whatever_the_run_waits_for(tmp_path: Path) -> None:
    with sleeper(tmp_path / "log") as process:
        watch = Watch()
        started = time.monotonic()
        with (  # noqa: PT012 (the server ends while the run waits)
            pytest.raises(ServiceError) as caught,
            watch.over("reference API", process, tmp_path / "log"),
            watching(watch),
        ):
            process.kill()
            time.sleep(60)
    assert time.monotonic() - started < 10
    assert str(caught.value) == (
        "the reference API ended while it was needed (killed by signal 9); its log ends: last words"
    )


def test_error_that_follows_from_it_is_told_as_what_it_is(tmp_path: Path) -> None:
    with sleeper(tmp_path / "log") as process:
        watch = Watch()
        with (  # noqa: PT012 (the server ends, and then what needed it fails)
            pytest.raises(ServiceError, match="PostgreSQL ended"),
            watch.over("PostgreSQL", process, tmp_path / "log"),
            watching(watch),
        ):
            process.kill()
            process.wait()
            raise ConnectionRefusedError


def test_other_errors_and_interrupts_stay_what_they_are(tmp_path: Path) -> None:
    with sleeper(tmp_path / "log") as process:
        watch = Watch()
        for error in (ValueError, KeyboardInterrupt):
            with (
                pytest.raises(error),
                watch.over("PostgreSQL", process, tmp_path / "log"),
                watching(watch),
            ):
                raise error
        process.kill()


def test_server_that_is_stopped_on_purpose_is_no_longer_watched(tmp_path: Path) -> None:
    with sleeper(tmp_path / "log") as process:
        watch = Watch()
        with watching(watch):
            with watch.over("PostgreSQL", process, tmp_path / "log"):
                assert watch.fallen() is None
            process.kill()
            process.wait()
            assert watch.fallen() is None
