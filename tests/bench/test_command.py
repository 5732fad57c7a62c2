"""`make bench` explains itself, and ends cleanly."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from bench import function, measure, packages, report, sides
from bench.endpoint import Endpoint
from ops import ROOT
from ops.console import open_console
from ops.errors import OperatorError
from ops.progress import Steps

WITHIN_SECONDS = 60


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def wait_until(met: object) -> None:
    assert callable(met)
    deadline = time.monotonic() + WITHIN_SECONDS
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_help_says_what_is_measured_where_it_is_written_and_what_a_part_is() -> None:
    shown = " ".join(bench("--help").stdout.split())
    for words in ("valgrind", "docs/performance.md", "build/bench/report.json", "Ctrl-C", "{instructions,"):
        assert words in shown


def test_a_wrong_option_is_refused_in_one_line() -> None:
    refused = bench("--rounds", "0")
    assert refused.returncode == 2
    assert refused.stderr.splitlines()[-1].endswith("invalid --rounds 0: expected 1 or more")


def test_ctrl_c_ends_the_run_with_one_line_and_removes_its_folder() -> None:
    def folders() -> set[Path]:
        return set(packages.FOLDER.glob(".run-*"))

    before = folders()
    with subprocess.Popen(
        [sys.executable, "-m", "bench", "--without", "install"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait_until(lambda: folders() - before or process.poll() is not None)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=WITHIN_SECONDS)
    assert process.returncode == 130
    assert errors == "interrupted\n"
    assert folders() == before


@pytest.mark.unit
def test_a_program_of_another_thread_ends_with_the_run(tmp_path: Path) -> None:
    written = tmp_path / "pid"
    code = f"import os, pathlib, signal; pathlib.Path({str(written)!r}).write_text(str(os.getpid()))"
    code += "; signal.pause()"
    thread = threading.Thread(target=function.run_program, args=([sys.executable, "-c", code], os.environ))
    thread.start()
    wait_until(lambda: written.is_file() and written.read_text())
    function.end_all()
    thread.join(WITHIN_SECONDS)
    assert not thread.is_alive()
    assert not is_running(int(written.read_text()))


@pytest.mark.unit
def test_without_node_or_npm_the_peers_in_node_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(OperatorError, match="node or npm is not on PATH"):
        packages.node_programs()


@pytest.mark.unit
def test_without_valgrind_the_run_says_so_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", "")
    run = measure.Run(Steps(open_console()), tmp_path, Endpoint("https://localhost", tmp_path))
    assert measure.instructions(run) == {}
    assert run.missing == ["instructions: valgrind is not on PATH"]


@pytest.mark.unit
def test_a_part_that_fails_is_noted_in_one_line(tmp_path: Path) -> None:
    run = measure.Run(Steps(open_console()), tmp_path, Endpoint("https://localhost", tmp_path))

    def fail() -> None:
        raise OperatorError("npm can't install the locked packages (E404)")

    assert run.try_or_note("node", fail) is None
    assert run.missing == ["node: npm can't install the locked packages (E404)"]


@pytest.mark.unit
def test_instructions_of_peers_are_kept_from_an_earlier_report(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", "")
    run = measure.Run(Steps(open_console()), tmp_path, Endpoint("https://localhost", tmp_path))
    peer = sides.Side({}, {})
    run.sides = {report.OURS: peer, report.BARE: peer}
    earlier = report.read()
    counted = measure.instructions(run, earlier)
    bare = earlier.sides[report.BARE]
    assert counted == {report.BARE: {"": bare.cold_instructions, **bare.warm_instructions}}
