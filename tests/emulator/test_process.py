"""The embedded AWS as a process: it says why it does not start, keeps its state, leaves nothing behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import types
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ops.emulator import EmulatorError
from ops.emulator.__main__ import main
from ops.emulator.execution import ExecutionEnvironment
from ops.emulator.patching import replace
from ops.emulator.process_group import Command
from ops.emulator.reaper import Reaper
from ops.emulator.server import check_version
from tests.emulator.process import Emulator, running, wait_until
from tests.emulator.resources import bus, function, invoke, queue, rule, send
from tests.emulator.roles import ACCOUNT

RETURNS_ITS_PROCESS = """
import os
def handler(event, context):
    return {"pid": os.getpid()}
"""
# Lambda sends SIGTERM only to functions with extensions.
NOTES_SIGTERM = """
import pathlib, signal
def handler(event, context):
    note = pathlib.Path(event["folder"], "terminated")
    signal.signal(signal.SIGTERM, lambda *_: note.touch())
"""
SLEEPS = """
import time
def handler(event, context):
    time.sleep(60)
"""
STARTS_ANOTHER_AND_EXITS = """
import os, pathlib, subprocess
def handler(event, context):
    started = subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    pathlib.Path(event["folder"], "pid").write_text(str(started.pid))
    os._exit(1)
"""
SLEEPS_ONCE = """
import pathlib, time
def handler(event, context):
    seen = pathlib.Path(event["folder"], "seen")
    if seen.exists():
        return seen.with_name("done").touch()
    seen.touch()
    time.sleep(60)
"""


def test_a_stop_leaves_neither_processes_nor_unpacked_code(tmp_path: Path) -> None:
    with running(tmp_path) as emulator:
        arn = function(emulator.aws, RETURNS_ITS_PROCESS)
        worker = psutil.Process(invoke(emulator.aws, arn, {})["pid"])
        assert (tmp_path / "workers" / "code").is_dir()
    assert not worker.is_running()
    assert not (tmp_path / "workers").exists()


def test_functions_end_with_a_killed_emulator_even_busy_ones(tmp_path: Path) -> None:
    with _killed(tmp_path) as emulator:
        arn = function(emulator.aws, SLEEPS, Timeout=60)
        emulator.aws.client("lambda").invoke(FunctionName=arn, InvocationType="Event", Payload="{}")
        wait_until(lambda: bool(emulator.workers()), "a worker was expected")
        workers = emulator.workers()
    wait_until(lambda: not any(map(_lives, workers)), f"these live on: {workers}")


def test_frozen_functions_end_with_a_killed_emulator(tmp_path: Path) -> None:
    with _killed(tmp_path) as emulator:
        worker = psutil.Process(invoke(emulator.aws, function(emulator.aws, RETURNS_ITS_PROCESS), {})["pid"])
        assert worker.status() == psutil.STATUS_STOPPED
    wait_until(lambda: not _lives(worker), "the frozen process was expected to end")


def test_a_stop_sends_functions_no_signal_that_they_could_handle(tmp_path: Path) -> None:
    with running(tmp_path) as emulator:
        arn = function(emulator.aws, NOTES_SIGTERM)
        invoke(emulator.aws, arn, {"folder": str(tmp_path)})
    assert not (tmp_path / "terminated").exists()


def test_what_a_function_started_ends_with_it(emulator: Emulator, tmp_path: Path) -> None:
    arn = function(emulator.aws, STARTS_ANOTHER_AND_EXITS)
    assert invoke(emulator.aws, arn, {"folder": str(tmp_path)})["errorType"] == "Runtime.ExitError"
    started = int((tmp_path / "pid").read_text())
    wait_until(
        lambda: not psutil.pid_exists(started) or not _lives(psutil.Process(started)),
        "what the function started was expected to end",
    )


def test_functions_start_and_end_with_the_emulator_after_its_reaper_was_killed(tmp_path: Path) -> None:
    with _killed(tmp_path) as emulator:
        aws = emulator.aws
        first = psutil.Process(invoke(aws, function(aws, RETURNS_ITS_PROCESS), {})["pid"])
        (reaper,) = _reapers(emulator)
        reaper.kill()
        wait_until(lambda: not _lives(reaper), "the reaper was expected to end")
        second = psutil.Process(invoke(aws, function(aws, RETURNS_ITS_PROCESS), {})["pid"])
        arn = function(aws, SLEEPS, Timeout=60)
        aws.client("lambda").invoke(FunctionName=arn, InvocationType="Event", Payload="{}")
        wait_until(lambda: len(emulator.workers()) == 3, "a third worker was expected")
        workers = emulator.workers()
        assert {first, second} < set(workers)
    wait_until(lambda: not any(map(_lives, workers)), f"these live on: {workers}")


def test_a_process_that_the_reaper_can_not_watch_does_not_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pids = []

    def refuse(_reaper: Reaper, pid: int) -> None:
        pids.append(pid)
        raise OSError("no more processes")

    monkeypatch.setattr(Reaper, "watch", refuse)
    command = Command(("sleep", "60"), tmp_path, {"PATH": os.defpath}, 128)
    with pytest.raises(OSError, match="no more processes"):
        ExecutionEnvironment(command, Reaper())
    assert [pid for pid in pids if psutil.pid_exists(pid)] == []


def test_state_survives_a_restart(tmp_path: Path) -> None:
    with running(tmp_path) as emulator:
        aws = emulator.aws
        name, taker = bus(aws), queue(aws)
        rule(aws, name, taker.arn)
        arn = function(aws, RETURNS_ITS_PROCESS)
        logs = aws.client("logs")
        logs.put_query_definition(name="kept", queryString="fields @message")
        glue = aws.client("glue")
        glue.create_database(DatabaseInput={"Name": "kept"}, Tags={"of": "ours"})
        glue.create_table(DatabaseName="kept", TableInput={"Name": "table", "Parameters": {"a": "b"}})
        aws.client("s3").create_bucket(
            Bucket="kept", CreateBucketConfiguration={"LocationConstraint": aws.region}
        )
        aws.client("s3").put_object(Bucket="kept", Key="object", Body=b"\x00\x01")
        send(aws, name, {"n": 1})
    with running(tmp_path) as emulator:
        aws = emulator.aws
        send(aws, name, {"n": 2})
        url = aws.client("sqs").get_queue_url(QueueName=taker.arn.rpartition(":")[2])["QueueUrl"]
        answer = aws.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10)
        details = [json.loads(message["Body"])["detail"]["n"] for message in answer["Messages"]]
        assert details == [1, 2]
        assert invoke(aws, arn, {})["pid"]
        assert aws.client("s3").get_object(Bucket="kept", Key="object")["Body"].read() == b"\x00\x01"
        queries = aws.client("logs").describe_query_definitions()["queryDefinitions"]
        assert [query["name"] for query in queries] == ["kept"]
        glue = aws.client("glue")
        assert glue.get_table(DatabaseName="kept", Name="table")["Table"]["Parameters"] == {"a": "b"}
        database = f"arn:aws:glue:{aws.region}:{ACCOUNT}:database/kept"
        assert glue.get_tags(ResourceArn=database)["Tags"] == {"of": "ours"}


def test_an_asynchronous_invocation_survives_a_restart(tmp_path: Path) -> None:
    with running(tmp_path) as emulator:
        arn = function(emulator.aws, SLEEPS_ONCE, Timeout=60)
        payload = json.dumps({"folder": str(tmp_path)})
        emulator.aws.client("lambda").invoke(FunctionName=arn, InvocationType="Event", Payload=payload)
        wait_until((tmp_path / "seen").exists, "the function was expected to start")
    assert not (tmp_path / "done").exists()
    with running(tmp_path):
        wait_until((tmp_path / "done").exists, "the event was expected to be delivered again")


def test_a_message_that_was_out_comes_back_after_a_restart(tmp_path: Path) -> None:
    with running(tmp_path) as emulator:
        held = queue(emulator.aws, VisibilityTimeout="600")
        held.sqs.send_message(QueueUrl=held.url, MessageBody="again")
        assert held.sqs.receive_message(QueueUrl=held.url)["Messages"]
    with running(tmp_path) as emulator:
        sqs = emulator.aws.client("sqs")
        url = sqs.get_queue_url(QueueName=held.arn.rpartition(":")[2])["QueueUrl"]
        (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
        assert message["Body"] == "again"


def test_an_unknown_fix_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["--port", "1", "--state-dir", str(tmp_path), "--without", "rules"]) == 1
    assert "unknown fix rules: expected rule-arns" in capsys.readouterr().err


def test_another_release_of_ministack_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda _name: "1.6.0")
    with pytest.raises(EmulatorError, match=r"MiniStack 1\.6\.0 is installed, and the fixes need 1\.5\.33"):
        check_version()


def test_a_fix_for_what_is_not_there_is_refused() -> None:
    module = types.ModuleType("ministack.services.other")
    with pytest.raises(EmulatorError, match=r"no ministack\.services\.other\._gone"):
        replace(module, "_gone", None)


@contextlib.contextmanager
def _killed(folder: Path) -> Iterator[Emulator]:
    with running(folder) as emulator:
        yield emulator
        emulator.process.send_signal(signal.SIGKILL)
        emulator.process.wait()


def _reapers(emulator: Emulator) -> list[psutil.Process]:
    children = psutil.Process(emulator.process.pid).children()
    return [child for child in children if any("reaper.py" in part for part in child.cmdline())]


def _lives(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False
