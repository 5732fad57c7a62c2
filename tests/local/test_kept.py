"""A kept run is reached through one file, and started in the background, watched and stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from ops import ROOT
from ops.errors import OperatorError
from ops.local import kept
from ops.local.watch import ServerEndedError, Watch
from tests.ops.command import Done, run

EXPORTS = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "DATABASE_URL": 'postgresql://a:it\'s a "secret"@b/c'}
URLS = {"embedded AWS": "http://127.0.0.1:1"}
# A run without servers: it is kept and waits, or fails before it is ready.
STAND_IN = """
import sys
from pathlib import Path
from ops.local import kept
from ops.local.watch import Watch
folder, passes = Path(sys.argv[1]), sys.argv[2]
if passes == "fails early":
    sys.exit("error: the deploy failed")
with kept.published({}, {}, {}, folder):
    print("on the terminal", flush=True)
    kept.wait_until_stopped(Watch(), passed=passes == "passes", folder=folder)
print("stopping")
"""
COMMAND = (sys.executable, "-c", STAND_IN)


def in_shell(script: str, **environment: str) -> str:
    done = subprocess.run(
        ["sh", "-eu", "-c", script],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_sourcing_the_file_sets_every_variable_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    with kept.published(EXPORTS, {}, URLS, tmp_path) as env:
        assert env.stat().st_mode & 0o777 == 0o600
        for name, value in EXPORTS.items():
            assert in_shell(f'. {env}; printf %s "${name}"') == value
        assert in_shell(f'. {env}; printf %s "$PATH"').startswith(f"{ROOT}/.venv/bin:")
    assert list(tmp_path.iterdir()) == []


def test_after_sourcing_every_version_of_the_aws_cli_gets_the_endpoint_as_an_option(tmp_path: Path) -> None:
    cli = tmp_path / "aws"
    cli.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    cli.chmod(0o700)
    path = f"{tmp_path}:{os.environ['PATH']}"
    with kept.published(EXPORTS, {}, URLS, tmp_path / "local") as env:
        called = in_shell(f". {env}; aws sqs list-queues", PATH=path).split()
        assert called == ["--endpoint-url=http://127.0.0.1:1", "sqs", "list-queues"]
        called = in_shell(f". {env}; unset AWS_ENDPOINT_URL; aws sqs list-queues", PATH=path).split()
        assert called == ["sqs", "list-queues"]


def test_a_run_is_kept_while_its_process_lives(tmp_path: Path) -> None:
    assert kept.kept_run(tmp_path) is None
    with kept.published(EXPORTS, {"embedded AWS": os.getpid()}, URLS, tmp_path):
        run = kept.kept_run(tmp_path)
        assert run is not None
        assert run.pid == os.getpid()
        (server,) = run.servers_json()
        assert server == {
            "name": "embedded AWS",
            "pid": os.getpid(),
            "url": URLS["embedded AWS"],
            "running": True,
        }
        with pytest.raises(
            OperatorError, match=f"already kept \\(process {os.getpid()}\\): stop it"
        ) as refused:
            kept.require_none(tmp_path)
        assert refused.value.usage
    kept.require_none(tmp_path)


@pytest.mark.parametrize("state", ["", "[]", "{}", '{"pid": 1, "created": 0.5, "servers": {}, "urls": {}}'])
def test_a_file_that_a_killed_run_left_is_not_a_run(tmp_path: Path, state: str) -> None:
    (tmp_path / kept.STATE_NAME).write_text(state)
    assert kept.kept_run(tmp_path) is None
    assert not kept.stop(tmp_path)


def test_a_kept_run_ends_when_a_server_does_and_names_it(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    log.write_text("its last words")
    server = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    watch = Watch()
    with server, watch.over("the embedded AWS", server, log):
        assert watch.processes() == {"embedded AWS": server.pid}
        server.kill()
        with pytest.raises(ServerEndedError) as ended:
            kept.wait_until_stopped(watch, passed=True)
    assert str(ended.value) == (
        "the embedded AWS ended while the run was kept (killed by SIGKILL); see build/logs/embedded-aws.log"
    )
    assert (ROOT / "build/logs/embedded-aws.log").read_text() == "its last words"


@pytest.mark.parametrize(("passes", "code"), [("passes", 0), ("has failed", 1)])
def test_a_run_in_the_background_is_ready_with_its_exit_code_and_can_be_stopped(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], passes: str, code: int
) -> None:
    assert kept.start_detached([str(tmp_path), passes], tmp_path, COMMAND) == code
    assert capfd.readouterr().out == "on the terminal\n"
    run = kept.kept_run(tmp_path)
    assert run is not None
    assert os.getsid(run.pid) != os.getsid(0)
    with pytest.raises(OperatorError, match="already kept"):
        kept.start_detached([str(tmp_path), passes], tmp_path, COMMAND)
    assert kept.stop(tmp_path)
    assert not kept.stop(tmp_path)
    psutil.Process(run.pid).wait(timeout=60)
    assert (tmp_path / kept.OUTPUT_NAME).read_text() == "stopping\n"
    assert [file.name for file in tmp_path.iterdir()] == [kept.OUTPUT_NAME]


def test_a_run_in_the_background_that_fails_before_it_is_ready_gives_its_exit_code(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert kept.start_detached([str(tmp_path), "fails early"], tmp_path, COMMAND) == 1
    assert capfd.readouterr().err == "error: the deploy failed\n"
    assert kept.kept_run(tmp_path) is None


def test_a_run_in_the_background_that_is_killed_is_named(tmp_path: Path) -> None:
    (tmp_path / kept.OUTPUT_NAME).write_text("error: an earlier run's\n")
    script = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    with pytest.raises(OperatorError, match="the local run was killed by SIGKILL: start it again"):
        kept.start_detached([], tmp_path, (sys.executable, "-c", script))
    assert kept.last_error(tmp_path) is None


def test_an_interrupt_before_the_run_is_ready_ends_it(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    os.mkfifo(pid_file)
    script = (
        f"open({str(pid_file)!r}, 'w').write(str(__import__('os').getpid())); __import__('time').sleep(600)"
    )
    started: list[int] = []

    def interrupt() -> None:
        started.append(int(pid_file.read_text()))
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        kept.start_detached([], tmp_path, (sys.executable, "-c", script))
    thread.join()
    assert not psutil.pid_exists(started[0])


def test_the_error_that_ended_a_run_in_the_background_can_be_shown(tmp_path: Path) -> None:
    assert kept.last_error(tmp_path) is None
    output = tmp_path / kept.OUTPUT_NAME
    output.write_text("started\nerror: PostgreSQL ended\n")
    assert kept.last_error(tmp_path) == "error: PostgreSQL ended"
    output.write_text("started\nstopping\n")
    assert kept.last_error(tmp_path) is None


def test_the_state_file_holds_no_secret(tmp_path: Path) -> None:
    with kept.published(EXPORTS, {}, URLS, tmp_path):
        state = json.loads((tmp_path / kept.STATE_NAME).read_text())
    assert state == {"pid": os.getpid(), "created": state["created"], "servers": {}, "urls": URLS}


def test_a_server_that_has_ended_is_shown_as_ended(tmp_path: Path) -> None:
    with subprocess.Popen(["true"]) as server:
        pass
    with kept.published(EXPORTS, {"embedded AWS": server.pid}, URLS, tmp_path):
        run = kept.kept_run(tmp_path)
    assert run is not None
    assert [server["running"] for server in run.servers_json()] == [False]


@pytest.fixture
def local(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Done]:
    """Run `huntaze-stripe local` commands on a folder of their own."""
    for function in (kept.kept_run, kept.stop, kept.last_error):
        monkeypatch.setattr(function, "__defaults__", (tmp_path,))
    return lambda *arguments: run(["local", *arguments], monkeypatch, capsys)


def test_status_without_a_run_says_how_to_start_one_and_why_the_last_one_ended(
    local: Callable[..., Done], tmp_path: Path
) -> None:
    (tmp_path / kept.OUTPUT_NAME).write_text("error: PostgreSQL ended\n")
    done = local("status")
    assert (done.code, done.out) == (
        1,
        "no local run is kept: start one with `make local DETACH=1`\nthe last one ended: PostgreSQL ended\n",
    )
    assert json.loads(local("status", "--json").out) == {
        "pid": None,
        "servers": [],
        "error": "error: PostgreSQL ended",
    }


def test_status_shows_the_servers_of_the_run(local: Callable[..., Done], tmp_path: Path) -> None:
    with kept.published(EXPORTS, {"embedded AWS": os.getpid()}, URLS, tmp_path):
        done = local("status")
        assert done.code == 0
        assert "embedded AWS           http://127.0.0.1:1" in done.out
        assert "source build/local/env.sh" in done.out
        assert json.loads(local("status", "--json").out)["pid"] == os.getpid()


def test_down_without_a_run_has_nothing_to_do(local: Callable[..., Done]) -> None:
    assert local("down") == Done(0, "no local run is kept\n", "")
    assert json.loads(local("down", "--json").out) == {"stopped": False}
