"""What the command line says when it is interrupted or called wrongly: one line, with its exit code."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Final

import pytest
import typer
from rich.console import Console

from functions import __version__
from ops import ROOT, cli
from ops.bundles import Bundle
from ops.deploy import operator_workspace
from ops.dev import install
from ops.errors import NO_CREDENTIALS
from ops.local.loopback import free_port
from ops.local.report import LocalReport, TerraformFacts
from ops.local.run import LocalOptions
from ops.local.services import isolated_environment
from ops.terraform import Terraform, TerraformError
from tests.ops.command import run

# Refuses every write as a full disk does.
FULL = Path("/dev/full")
# With these a command needs no terminal.
UNASKED = {"plan": [], "deploy": ["--yes"], "destroy": ["--yes"], "bootstrap": ["--yes"]}
# A command that waits, behind the real command line; started as `&` in a script starts it.
WAITING = """
import sys, time
from ops import cli
import ops.local.run
def wait(options, console, show):
    print("waiting", flush=True)
    time.sleep(60)
ops.local.run.run = wait
sys.argv = ["huntaze-stripe", "local"]
cli.main()
"""


def started(command: list[str], output: int | IO[str]) -> subprocess.Popen[str]:
    """Start a command as a program of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "ops", *command],
        cwd=ROOT,
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
    )


def options_of_commands(group: Any, name: str = "") -> dict[str, set[str]]:
    """The options of every command, by its name."""
    found: dict[str, set[str]] = {}
    for word, command in group.commands.items():
        if hasattr(command, "commands"):
            found |= options_of_commands(command, f"{name}{word} ")
        if not hasattr(command, "commands") or command.invoke_without_command:
            found[f"{name}{word}"] = {option for each in command.params for option in each.opts}
    return found


def test_every_command_has_json_and_each_that_asks_a_dry_run() -> None:
    commands = options_of_commands(typer.main.get_command(cli.app))
    assert {"deploy", "dlq redrive", "local", "local down", "reconcile"} <= set(commands)
    for name, options in commands.items():
        assert "--json" in options, f"{name}: add the option Json from ops/commands/options.py"
        if "--yes" in options or "--heal" in options:
            assert "--dry-run" in options, name


@pytest.mark.parametrize("ignored", [False, True], ids=["in the foreground", "in a script's background"])
def test_an_interrupt_is_one_line_and_exit_code_130(ignored: bool) -> None:
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.SIG_IGN if ignored else signal.default_int_handler)
    try:
        process = subprocess.Popen(
            [sys.executable, "-c", WAITING],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        signal.signal(signal.SIGINT, before)
    assert process.stdout is not None
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert (process.returncode, said) == (130, "interrupted\n")


# The program itself; `started` says that the interpreter has started.
PROGRAM: Final = (
    install.PROGRAM.format(module="ops.__main__", function="main")
    .replace("__file__", repr(str(ROOT / ".venv" / "bin" / "huntaze-stripe")))
    .replace("\nimport os\n", '\nwrite(1, b"started\\n")\nimport os\n', 1)
)
MOMENTS = 16


def test_an_interrupt_at_any_time_during_start_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        source = {"STRIPE_EVENT_SOURCE_NAME": "aws.partner/stripe.com/ed_test_interrupt"}
        variables = isolated_environment(tmp_path) | source | {"AWS_ENDPOINT_URL": address}

        def started_command() -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [sys.executable, "-S", "-c", PROGRAM, "replay", "status"],
                cwd=ROOT,
                env=variables,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            assert process.stdout is not None
            assert process.stdout.readline() == "started\n"
            return process

        whole = started_command()
        begun = time.monotonic()
        # Only now does it wait for AWS.
        connection, _ = silent.accept()
        seconds = time.monotonic() - begun
        whole.send_signal(signal.SIGINT)
        connection.close()
        ended = [(whole, whole.communicate(timeout=60)[1])]
        for moment in range(MOMENTS):
            process = started_command()
            time.sleep(seconds * moment / MOMENTS)
            process.send_signal(signal.SIGINT)
            ended.append((process, process.communicate(timeout=60)[1]))
    for process, said in ended:
        # Python ends itself by the signal if the exception came through an `exec` of a library; a shell shows
        # 130 in both cases.
        assert process.returncode in (130, -signal.SIGINT)
        assert said == "interrupted\n"


@pytest.mark.parametrize("interrupt", [False, True])
def test_after_an_interrupt_an_object_left_half_made_is_not_reported(interrupt: bool) -> None:
    program = f"""
from ops import signals
signals.raise_exceptions()
class HalfMade:
    def __del__(self):
        self.missing
try:
    if {interrupt}:
        signals.raise_for(signals.signal.SIGINT, None)
except KeyboardInterrupt:
    pass
HalfMade()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ("AttributeError" in done.stderr) is not interrupt


def test_bundles_for_a_program_are_json_alone_on_standard_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "handlers.zip"
    path.write_bytes(b"four")

    def build(_target: object, progress: Callable[[str], None]) -> dict[str, Bundle]:
        progress("handlers.zip")
        return {"handlers": Bundle("handlers", path, "a-digest")}

    monkeypatch.setattr("ops.bundles.build", build)
    done = run(["bundles", "--json"], monkeypatch, capsys)
    assert (done.code, done.err) == (0, "handlers.zip\n")
    assert json.loads(done.out) == [{"name": "handlers", "path": str(path), "bytes": 4, "sha256": "a-digest"}]


@pytest.mark.parametrize("passed", [True, False])
def test_local_run_for_a_program_prints_the_report_alone_on_standard_output(
    passed: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report = LocalReport("dev", TerraformFacts("1", "terraform", 2, 0 if passed else 1), (), {}, (), {})

    def play(_options: LocalOptions, console: Console, show: Callable[[LocalReport], None]) -> bool:
        console.print("tables")
        show(report)
        return report.passed

    monkeypatch.setattr("ops.local.run.run", play)
    done = run(["local", "--json"], monkeypatch, capsys)
    assert (done.code, done.err) == (0 if passed else 1, "tables\n")
    assert json.loads(done.out) == report.as_json()


@pytest.mark.parametrize("count", ["0", "abc", "-1", "1.5", "", "²"])
def test_an_invalid_count_is_named_as_make_knows_it(
    count: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done = run(["local", "--count", count], monkeypatch, capsys)
    assert (done.code, done.err) == (2, f"error: invalid COUNT={count}: expected a whole number above 0\n")


@pytest.mark.parametrize("command", ["deploy", "destroy", "bootstrap", "adopt"])
def test_without_a_terminal_a_change_is_refused_before_any_work(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done = run([command], monkeypatch, capsys)
    assert (done.code, done.out) == (2, "")
    assert done.err == "error: not a terminal: pass --yes to skip the confirmation\n"


def test_version_is_that_of_the_functions(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done = run(["--version"], monkeypatch, capsys)
    assert (done.code, done.out) == (0, f"huntaze-stripe {__version__}\n")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "functions.__version__"}


def commands_of(group: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The words that call each command and each group."""
    below = getattr(group, "commands", {})
    return [path, *(each for word, command in below.items() for each in commands_of(command, (*path, word)))]


@pytest.mark.parametrize("path", commands_of(cli.command_line()), ids=" ".join)
def test_help_fits_a_terminal_of_80_columns(
    path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    done = run([*path, "-h"], monkeypatch, capsys)
    assert done.code == 0
    assert done.out.split("\n")[1].split("[")[0].split() == ["Usage:", "huntaze-stripe", *path]
    for line in done.out.splitlines():
        assert len(line) <= 80
    for jargon in ("<bool>", "<str>", "<list[str]>", "Exit codes: 0 done, ", "…"):
        assert jargon not in done.out


def test_help_lists_every_command_in_a_panel_and_the_exit_codes_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert {name for names in cli.PANELS.values() for name in names} == set(cli.command_line().commands)
    done = run(["--help"], monkeypatch, capsys)
    for panel in cli.PANELS:
        assert f"─ {panel} ─" in done.out
    assert done.out.count("Exit codes") == 1


@pytest.mark.parametrize(
    ("words", "completed"),
    [("dlq redr", "redrive"), ("plan --env st", "staging"), ("dlq list --kind perm", "permanent")],
)
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_commands_options_and_their_values(
    shell: str, words: str, completed: str, tmp_path: Path
) -> None:
    line = f"huntaze-stripe {words}"
    variables = {
        "_HUNTAZE_STRIPE_COMPLETE": f"complete_{shell}",
        "_TYPER_COMPLETE_ARGS": line,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split()) - 1),
    }
    done = subprocess.run(
        [sys.executable, "-m", "ops"],
        cwd=ROOT,
        env=isolated_environment(tmp_path) | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    assert completed in done.stdout
    assert done.stderr == ""


def test_an_unknown_option_is_a_usage_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done = run(["local", "--cuont", "1"], monkeypatch, capsys)
    assert done.code == 2
    assert "--cuont" in done.err


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("command", [["--help"], ["dlq", "--help"], ["plan", "--help"]])
def test_output_that_cannot_be_written_is_one_line(command: list[str]) -> None:
    with FULL.open("w") as full:
        process = started(command, full)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 1
    assert said == (
        "error: can't write the output (No space left on device): check where it goes and the disk\n"
    )


@pytest.mark.parametrize("command", [["--help"], ["plan", "--help"]])
def test_closed_pipe_ends_a_command_quietly(command: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = started(command, writing)
    os.close(writing)
    assert (process.communicate(timeout=20)[1], process.returncode) == ("", 1)


@pytest.mark.parametrize(
    ("closed", "output"), [("<&-", True), (">&-", False), ("2>&-", True), ("<&- >&- 2>&-", False)]
)
def test_a_closed_stream_fails_no_command(closed: str, output: bool) -> None:
    command = f'exec "{sys.executable}" -m ops cost --events-per-month 1000 {closed}'
    done = subprocess.run(
        ["sh", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr, bool(done.stdout)) == (0, "", output)


def test_file_that_cannot_be_used_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ops.deploy.ROOT", tmp_path)
    (tmp_path / "build").touch()
    done = run(["plan"], monkeypatch, capsys)
    assert (done.code, done.out) == (1, "")
    assert (
        done.err
        == f"error: can't use {tmp_path / 'build'} (File exists): check its permissions and the disk\n"
    )


def write_stack_with_a_state_in_s3(folder: Path) -> None:
    bucket = {"bucket": "a-bucket", "key": "a-key", "region": "eu-west-1", "skip_region_validation": True}
    bucket["max_retries"] = 1
    (folder / "cdk.tf.json").write_text(json.dumps({"terraform": {"backend": {"s3": bucket}}}))


def test_terraform_without_aws_credentials_names_the_next_step(tmp_path: Path) -> None:
    write_stack_with_a_state_in_s3(tmp_path)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    started = time.monotonic()
    with pytest.raises(TerraformError) as failure:
        Terraform.at(tmp_path, environment, tmp_path).init()
    assert str(failure.value) == NO_CREDENTIALS
    assert time.monotonic() - started < 60


@pytest.mark.parametrize(
    ("name", "value", "step"),
    [
        ("AWS_PROFILE", "nobody", "check AWS_PROFILE"),
        ("AWS_CA_BUNDLE", "/nowhere", "check AWS_CA_BUNDLE"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:{free}", "check the network and AWS_ENDPOINT_URL"),
        ("HTTPS_PROXY", "http://127.0.0.1:{free}", "check HTTPS_PROXY and HTTP_PROXY"),
    ],
)
def test_terraform_that_is_kept_from_aws_names_the_variable(
    name: str, value: str, step: str, tmp_path: Path
) -> None:
    write_stack_with_a_state_in_s3(tmp_path)
    environment = isolated_environment(tmp_path)
    # Where nothing else is named, a proxy that is not there keeps every call on this machine.
    environment |= {"HTTPS_PROXY": "http://127.0.0.1:9", name: value.format(free=free_port())}
    with pytest.raises(TerraformError, match=rf"terraform init failed: .*; {step}$"):
        Terraform.at(tmp_path, environment, tmp_path).init()


@pytest.mark.parametrize("command", [["plan"], ["deploy"], ["destroy"], ["bootstrap"]])
@pytest.mark.parametrize("value", ["foo", "http://[::1", "http://127.0.0.1:99999"])
def test_invalid_endpoint_is_reported_before_anything_is_planned(
    command: list[str],
    value: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("ops.deploy.ROOT", tmp_path)
    monkeypatch.setenv("AWS_ENDPOINT_URL", value)
    done = run([*command, *UNASKED[command[0]]], monkeypatch, capsys)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"error: invalid AWS_ENDPOINT_URL={value!r}: expected a URL such as http://")
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize("command", [["plan"], ["deploy"], ["destroy"], ["bootstrap"]])
def test_one_command_at_a_time_plans_in_a_checkout(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ops.deploy.ROOT", tmp_path)
    with operator_workspace():
        done = run([*command, *UNASKED[command[0]]], monkeypatch, capsys)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("error: another plan or deploy is running in this checkout")
    with operator_workspace():
        pass
