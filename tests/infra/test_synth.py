"""The synth as a whole: stable, quiet, self-contained, and the same without its optimisations."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import main
from infra import fast_provider, settings, settings_source
from ops import ROOT
from tests.infra.conftest import EVERYTHING_ON, SOURCE, ZipBundle, make_bundle, synthesise_into

# Loads the installed bindings, whole, with their checks of each argument's type, as JSII does it by itself.
PLAIN_SYNTH = """
import sys
from pathlib import Path
from infra import fast_provider
fast_provider.prepare = fast_provider.start_jsii = lambda: None
from tests.infra.conftest import EVERYTHING_ON, synthesise_into
synthesise_into(Path(sys.argv[1]), EVERYTHING_ON)
assert Path(sys.modules["cdktf_cdktf_provider_aws"].__file__).is_relative_to(sys.prefix)
"""


def files(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


def run(arguments: list[str], cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("JSII_", "NODE_"))}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=kept | {"PYTHONPATH": str(cwd), **environment},
        text=True,
        capture_output=True,
        check=False,
    )


def test_two_synths_in_different_folders_give_the_same_bytes(secured_outdir: Path, tmp_path: Path) -> None:
    assert files(synthesise_into(tmp_path, EVERYTHING_ON)) == files(secured_outdir)


def test_a_checkout_elsewhere_gives_the_same_bytes_without_short_cuts(
    secured_outdir: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "another checkout"
    for part in ("infra", "functions", "environments", "tests"):
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    result = run(["-c", PLAIN_SYNTH, str(tmp_path)], copy)
    assert result.returncode == 0, result.stderr
    assert files(tmp_path / "cdktf.out") == files(secured_outdir)


def test_no_path_of_this_machine_is_written(secured_outdir: Path) -> None:
    for name, content in files(secured_outdir).items():
        if not name.endswith(".zip"):
            assert str(ROOT).encode() not in content, name
            assert str(secured_outdir.parent).encode() not in content, name


def test_secrets_of_the_operator_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted = {
        "HUNTAZE_API_KEY": "planted-api-key",
        "STRIPE_SECRET_KEY": "planted-stripe-key",
        "DATABASE_URL": "postgresql://planted",
    }
    for name, value in planted.items():
        monkeypatch.setenv(name, value)
    written = b"".join(files(synthesise_into(tmp_path, planted)).values())
    assert b"planted" not in written


def test_old_bundles_do_not_stay(tmp_path: Path) -> None:
    outdir = synthesise_into(tmp_path)
    stale = outdir / "stacks" / "huntaze-stripe-dev" / "assets" / "handlers_code" / "old" / "bundle.zip"
    stale.parent.mkdir()
    stale.touch()
    synthesise_into(tmp_path)
    assert not stale.exists()


def test_nodes_environment_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODE_OPTIONS", "--no-warnings")
    monkeypatch.delenv("JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION", raising=False)
    fast_provider.start_jsii()
    assert os.environ["NODE_OPTIONS"] == "--no-warnings"
    assert "JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION" not in os.environ


# Imports as on a machine without the CDKTF bindings, and where no copy of them can be made.
WITHOUT_BINDINGS = """
import sys
from importlib import import_module
class Refusing:
    def find_spec(self, name, path=None, target=None):
        packages = {"cdktf", "cdktf_cdktf_provider_aws", "constructs", "jsii"}
        if name == "infra.bindings" or name.partition(".")[0] in packages:
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Refusing())
*modules, arguments = [part.split() for part in sys.argv[1:]]
for (module,) in modules:
    import_module(module)
if arguments:
    sys.argv[1:] = arguments
    import_module("ops.cli").main()
"""


def test_names_settings_and_what_on_call_runs_load_without_the_bindings() -> None:
    folders = [ROOT / "ops" / name for name in ("dlq", "doctor", "replay", "rights", "story")]
    files = [file for folder in folders for file in folder.glob("[a-z]*.py")]
    files += [ROOT / "ops" / f"{name}.py" for name in ("environment", "ledger", "reconciliation", "switches")]
    modules = [".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files]
    assert len(modules) > 15
    for first in ("infra.names", "infra.policy", "infra.settings", "infra.patterns"):
        result = run(["-c", WITHOUT_BINDINGS, first, *modules, ""], ROOT)
        assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize(
    "arguments", ["--help", "dlq --help", "dlq list --env nosuch", "doctor --env nosuch"]
)
def test_commands_of_on_call_run_without_the_bindings(arguments: str) -> None:
    result = run(["-c", WITHOUT_BINDINGS, arguments], ROOT)
    assert "Traceback" not in result.stderr
    assert result.returncode == (2 if "nosuch" in arguments else 0)


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ZipBundle:
    """A bundle in place of the built ones."""
    made = make_bundle(tmp_path)
    monkeypatch.setattr(main, "_bundles", lambda _settings: {"handlers": made, "audit": made})
    return made


def stacks(outdir: Path) -> set[str]:
    return {folder.name for folder in (outdir / "stacks").iterdir()}


def test_main_writes_every_complete_environment(
    tmp_path: Path, bundle: ZipBundle, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STRIPE_EVENT_SOURCE_NAME", SOURCE)
    monkeypatch.setenv("ALERT_EMAILS", "none")
    assert main.main(["--outdir", str(tmp_path / "out")]) == 0
    everything = {f"huntaze-stripe-{name}" for name in ("bootstrap", *settings.environments())}
    assert stacks(tmp_path / "out") == everything
    names = ", ".join(settings.environments())
    line = f"main.py: several of {names} have the same event source; deploy only one of them\n"
    assert capfd.readouterr() == ("", line)


def test_main_lists_what_it_leaves_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("STRIPE_EVENT_SOURCE_NAME", raising=False)
    assert main.main(["--outdir", str(tmp_path / "out")]) == 0
    assert stacks(tmp_path / "out") == {"huntaze-stripe-bootstrap"}
    out, err = capfd.readouterr()
    assert out == ""
    *left_out, step = err.splitlines()
    assert left_out == [
        f"main.py: left out {name}: environments/{name}.toml: stripe_event_source_name is not set"
        for name in settings.environments()
    ]
    assert "Workbench > Event destinations" in step


def test_main_leaves_out_an_environment_without_alarm_addresses(
    tmp_path: Path, bundle: ZipBundle, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STRIPE_EVENT_SOURCE_NAME", SOURCE)
    assert main.main(["--outdir", str(tmp_path / "out")]) == 0
    assert stacks(tmp_path / "out") == {f"huntaze-stripe-{name}" for name in ("bootstrap", "dev", "staging")}
    left_out, step, _ = capfd.readouterr().err.splitlines()
    assert left_out == "main.py: left out prod: environments/prod.toml: alert_emails is not set"
    assert 'alert_emails = ["none"]' in step


def test_main_writes_the_environment_asked_for(
    tmp_path: Path, bundle: ZipBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRIPE_EVENT_SOURCE_NAME", SOURCE)
    monkeypatch.setenv("CDKTF_OUTDIR", str(tmp_path / "asked by cdktf"))
    assert main.main(["staging"]) == 0
    assert stacks(tmp_path / "asked by cdktf") == {"huntaze-stripe-bootstrap", "huntaze-stripe-staging"}


@pytest.mark.parametrize(
    ("arguments", "environ", "expected"),
    [
        (["dev"], {}, "stripe_event_source_name is not set"),
        (["dev", "prod"], {"STRIPE_EVENT_SOURCE_NAME": "no"}, "has the wrong format"),
        (["test"], {}, 'no environment "test"; use one of dev'),
        ([], {"LIVEMODE": "perhaps"}, "must be true or false"),
        ([], {"STATE_BUCKET": "Not A Bucket"}, "state_bucket = 'Not A Bucket' has the wrong format"),
    ],
)
def test_main_stops_with_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    arguments: list[str],
    environ: dict[str, str],
    expected: str,
) -> None:
    monkeypatch.delenv("STRIPE_EVENT_SOURCE_NAME", raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert main.main([*arguments, "--outdir", str(tmp_path / "out")]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("main.py: ")
    assert err.count("\n") == 1
    assert expected in err
    assert not (tmp_path / "out").exists()


def test_main_reports_a_folder_that_it_cannot_write(
    tmp_path: Path, bundle: ZipBundle, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STRIPE_EVENT_SOURCE_NAME", SOURCE)
    assert main.main(["dev", "--outdir", str(bundle.path)]) == 1
    out, err = capfd.readouterr()
    assert out == ""
    step = "choose another folder with --outdir"
    assert err == f"main.py: cannot write to {bundle.path}: File exists; {step}\n"


def test_main_reports_a_missing_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("STRIPE_EVENT_SOURCE_NAME", raising=False)
    monkeypatch.setenv("JSII_NODE", "node-that-is-not-there")
    assert main.main(["--outdir", str(tmp_path)]) == 2
    last = capfd.readouterr().err.splitlines()[-1]
    assert last == "main.py: node-that-is-not-there is not on PATH; install Node.js 20 or newer"


def test_help_lists_every_setting(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main.main(["--help"])
    text = capfd.readouterr().out
    for declared in settings_source.declarations(settings.Settings):
        assert f"{declared.name} ({declared.variable};" in text


def test_main_as_a_program_prints_nothing_but_its_own_lines(tmp_path: Path) -> None:
    result = run(["main.py", "--outdir", str(tmp_path)], ROOT, STRIPE_EVENT_SOURCE_NAME="")
    assert result.returncode == 0
    assert result.stdout == ""
    assert all(line.startswith("main.py: ") for line in result.stderr.splitlines())


def test_cdktf_json_runs_main() -> None:
    app = json.loads((ROOT / "cdktf.json").read_text(encoding="utf-8"))
    assert app["app"] == ".venv/bin/python main.py"
    assert app["language"] == "python"
    assert app["output"] == "cdktf.out"
    assert app["sendCrashReports"] == "false"
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", app["projectId"])


def test_message_for_another_interpreter_names_the_right_one() -> None:
    # Without the site module an interpreter has nothing installed, like that of a system.
    result = subprocess.run(
        [sys.executable, "-S", "main.py", "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.count("\n") == 1
    assert result.stderr.endswith("run `.venv/bin/python main.py`\n")


def test_an_interrupt_of_main_during_the_imports_prints_one_line(tmp_path: Path) -> None:
    # A module in the way of the first import: it interrupts its own process.
    shutil.copy(ROOT / "main.py", tmp_path)
    (tmp_path / "argparse.py").write_text("from posix import getpid, kill\nkill(getpid(), 2)\n")
    done = subprocess.run(
        [sys.executable, "main.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (130, "interrupted\n")


@pytest.mark.parametrize(
    ("ending", "code", "expected"),
    [(signal.SIGINT, 130, ["interrupted"]), (signal.SIGTERM, 143, [])],
    ids=["interrupted", "terminated"],
)
def test_main_that_is_stopped_leaves_no_traceback_and_no_temporary_folder(
    ending: signal.Signals, code: int, expected: list[str], tmp_path: Path
) -> None:
    # pytest's own folder is below build/, so main.py's is made in this one.
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    process = subprocess.Popen(
        [sys.executable, "main.py", "--outdir", str(tmp_path / "out")],
        cwd=ROOT,
        env={**os.environ, "STRIPE_EVENT_SOURCE_NAME": "", "TMPDIR": str(temporary)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while not any(temporary.rglob("jsii-kernel-*")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    # As a terminal does it: Node.js, in the same group, gets the signal too.
    os.killpg(process.pid, ending)
    _, said = process.communicate(timeout=120)
    lines = [line for line in said.splitlines() if not line.startswith("main.py: ")]
    assert (process.returncode, lines) == (code, expected)
    assert list(temporary.iterdir()) == []
