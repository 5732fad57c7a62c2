"""The copy of the bindings, and the process that loads it; test_synth.py compares a synth without them."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from infra import bindings, bindings_copy
from ops import ROOT

MODULES = frozenset({"sqs_queue_policy", "provider"})
SPACES = {"sqsQueuePolicy", "provider"}
HOST = ROOT / "infra" / "jsii_host.cjs"


def archive_of(copy: Path) -> Path:
    (archive,) = (copy / bindings.PROVIDER / "_jsii").glob("*.tgz")
    return archive


def text(archive: Path, name: str) -> str:
    with tarfile.open(archive) as opened:
        reader = opened.extractfile(name)
        assert reader is not None
        return reader.read().decode()


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bindings.made(MODULES, tmp_path_factory.mktemp("bindings"))


def test_the_stacks_modules_are_found() -> None:
    assert {"lambda_function", "s3_bucket", "provider"} <= bindings.used()
    assert "sqs_queue" not in bindings.used()


def test_the_copy_has_the_chosen_modules_only(copy: Path) -> None:
    assert {path.name for path in copy.iterdir()} == set(bindings.PACKAGES)
    provider = copy / bindings.PROVIDER
    assert {path.name for path in provider.iterdir()} == {"__init__.pyc", "_jsii", *MODULES}
    assert not list(copy.rglob("*.py"))


def test_the_copys_archive_has_the_chosen_types_only(copy: Path) -> None:
    archive = archive_of(copy)
    types = json.loads(text(archive, "package/.jsii"))["types"]
    assert {value["namespace"] for value in types.values()} == SPACES
    assert types["@cdktf/provider-aws.sqsQueuePolicy.SqsQueuePolicy"]["base"] == "cdktf.TerraformResource"
    index = text(archive, "package/lib/index.js")
    assert {line.split()[0] for line in index.splitlines() if "require(" in line} == {
        f"exports.{name}" for name in SPACES
    }
    with tarfile.open(archive) as opened:
        scripts = {name for name in opened.getnames() if name.endswith(".js")}
    assert scripts == {
        "package/lib/index.js",
        "package/lib/provider/index.js",
        "package/lib/sqs-queue-policy/index.js",
    }


def test_a_second_copy_has_the_same_bytes_and_what_a_killed_process_left_is_removed(
    copy: Path, tmp_path: Path
) -> None:
    left = tmp_path / f"making-{copy.name}"
    (left / "cdktf").mkdir(parents=True)
    again = bindings.made(MODULES, tmp_path)
    assert again.name == copy.name
    assert {path.name for path in tmp_path.iterdir()} == {again.name, ".lock"}
    names = [path.relative_to(copy) for path in copy.rglob("*") if path.is_file()]
    assert len(names) > 10
    assert [name for name in names if (again / name).read_bytes() != (copy / name).read_bytes()] == []


def test_other_modules_are_another_copy_and_a_copy_is_made_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bindings_copy.Chosen] = []

    def make(_packages: object, target: Path, chosen: bindings_copy.Chosen) -> None:
        asked.append(chosen)
        target.mkdir()

    monkeypatch.setattr(bindings_copy, "make", make)
    made = [
        bindings.made(modules, tmp_path) for modules in ({"kms_key"}, {"kms_key", "kms_alias"}, {"kms_key"})
    ]
    assert made[0] == made[2] != made[1]
    assert asked == [{bindings.PROVIDER: {"kms_key"}}, {bindings.PROVIDER: {"kms_key", "kms_alias"}}]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code = (
        "import sys; from pathlib import Path; from infra import bindings, fast_provider, errors\n"
        "bindings.FOLDER = Path(sys.argv[1])\n"
        "try: fast_provider.prepare()\n"
        "except errors.InfraError as error: print(error)"
    )
    folder = tmp_path / "file" / "bindings"
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"cannot write to {folder}: Not a directory; make it writable\n"


def run_host(
    folder: Path, program: str | None, compiled: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a launcher as JSII does it, with a program beside it."""
    launcher = folder / "bin" / "jsii-runtime.js"
    launcher.parent.mkdir(exist_ok=True)
    launcher.write_text("console.log('launched');")
    if program is not None:
        (folder / "lib").mkdir(exist_ok=True)
        (folder / "lib" / "program.js").write_text(program)
    return subprocess.run(
        ["node", "--require", str(HOST), str(launcher)],
        input="a message\n",
        env={**os.environ, "SYNTH_COMPILED_SCRIPTS": str(compiled or "")},
        capture_output=True,
        text=True,
        check=True,
    )


def test_the_program_runs_in_the_launchers_process_and_its_messages_are_its_own(tmp_path: Path) -> None:
    program = """
        const fs = require('fs');
        const read = Buffer.alloc(100);
        const length = fs.readSync(3, read);
        console.log('to stdout');
        fs.writeSync(3, `${read.subarray(0, length).toString().trim()} is answered\\n`);
        console.error('to stderr');
    """
    done = run_host(tmp_path, program)
    assert done.stdout == "a message is answered\n"
    said = [json.loads(line) for line in done.stderr.splitlines()]
    assert said == [
        {name: base64.b64encode(f"to {name}\n".encode()).decode()} for name in ("stdout", "stderr")
    ]


def test_a_launcher_without_the_program_runs_as_it_is(tmp_path: Path) -> None:
    assert run_host(tmp_path, None).stdout == "launched\n"


def test_a_rarely_used_package_is_loaded_when_it_is_used(tmp_path: Path) -> None:
    package = tmp_path / "lib" / "node_modules" / "archiver"
    package.mkdir(parents=True)
    (package / "index.js").write_text(
        "console.log('loaded'); module.exports = (n) => n + 1; module.exports.twice = (n) => 2 * n;"
    )
    program = (
        "const made = require('archiver'); console.log('required'); console.log(made(1), made.twice(3));"
    )
    done = run_host(tmp_path, program)
    said = [base64.b64decode(json.loads(line)["stdout"]).decode() for line in done.stderr.splitlines()]
    assert said == ["required\n", "loaded\n", "2 6\n"]


def test_no_stack_is_kept_for_a_token(tmp_path: Path, copy: Path) -> None:
    (archive,) = (copy / "cdktf" / "_jsii").glob("*.tgz")
    name = "lib/tokens/private/stack-trace.js"
    shipped = tmp_path / "lib" / "node_modules" / "cdktf" / name
    shipped.parent.mkdir(parents=True)
    shipped.write_text(text(archive, f"package/{name}"))
    assert "exports.captureStackTrace = captureStackTrace;" in shipped.read_text()
    program = f"require('fs').writeSync(3, `${{require('cdktf/{name}').captureStackTrace().length}}\\n`);"
    assert run_host(tmp_path, program).stdout == "0\n"


PROGRAM = (
    "require('fs').writeSync(3, `${[1, 2].map((n) => n + 1)} ${require('./part.js')} ${__filename}\\n`);"
)


def test_compiled_scripts_are_written_once_and_give_the_same(tmp_path: Path) -> None:
    compiled = tmp_path / "compiled"
    part = tmp_path / "lib" / "part.js"
    part.parent.mkdir()
    part.write_text("module.exports = 'first';")
    expected = f"2,3 first {part.with_name('program.js')}\n"
    assert run_host(tmp_path, PROGRAM, compiled).stdout == expected
    first = compiled.stat()
    assert run_host(tmp_path, PROGRAM, compiled).stdout == expected
    assert compiled.stat().st_ino == first.st_ino
    # Of the same length, which is all that V8 compares.
    part.write_text("module.exports = 'other';")
    assert run_host(tmp_path, PROGRAM, compiled).stdout == expected.replace("first", "other")
    assert compiled.stat().st_ino != first.st_ino
    assert {path.name for path in tmp_path.iterdir()} == {"bin", "lib", "compiled"}


@pytest.mark.parametrize("name", ["no folder/compiled", "broken"])
def test_without_compiled_scripts_the_program_runs(name: str, tmp_path: Path) -> None:
    (tmp_path / "broken").write_bytes(b"\xff\x0f not what V8 writes")
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "part.js").touch()
    done = run_host(tmp_path, PROGRAM, tmp_path / name)
    assert (done.stdout.split()[0], done.stderr) == ("2,3", "")
