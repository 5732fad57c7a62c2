"""The loop of `make dev`: what a saved file asks for, and which code is live after it."""

from __future__ import annotations

import io
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

from ops import ROOT
from ops.bundles import host_target
from ops.errors import OperatorError
from ops.local.clients import Aws
from ops.local.loop import live_code
from ops.local.loop.changes import Changes, relevant
from ops.local.loop.live_code import LiveCode
from ops.local.loop.unit_tests import UnitTests
from ops.local.services import REGION, running_emulator

ROLE = "arn:aws:iam::000000000000:role/functions"
HANDLER = "functions/payments.py"
ANSWERS = "def handler(event, context):\n    return {answer}\n"


def changes(*paths: str) -> Changes:
    return relevant(str(ROOT / path) for path in paths)


def test_a_module_of_the_functions_alone_needs_no_terraform() -> None:
    saved = changes("functions/pipeline/ordering.py", "functions/pipeline/ordering.py", "functions/x.swp")
    assert saved.paths == ("functions/pipeline/ordering.py",)
    assert saved.code
    assert saved.of_stack() == ()


@pytest.mark.parametrize(
    "path",
    ["infra/stack.py", "environments/dev.toml", "main.py", "functions/pipeline/routing_table.py"],
)
def test_what_synth_reads_needs_terraform(path: str) -> None:
    assert changes(path, "functions/payments.py").of_stack() == (path,)


def test_the_unit_tests_of_a_module_are_those_that_import_it_or_what_imports_it() -> None:
    tests = {path.name for path in changes("functions/pipeline/ordering.py").unit_tests()}
    # It imports the table's items, which import the order.
    assert "test_customer.py" in tests
    assert "test_language.py" not in tests
    alone = changes("tests/unit/test_language.py").unit_tests()
    assert [path.name for path in alone] == ["test_language.py"]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with one handler, which answers 1."""
    (tmp_path / "functions").mkdir()
    (tmp_path / "functions" / "__init__.py").touch()
    (tmp_path / HANDLER).write_text(ANSWERS.format(answer=1))
    monkeypatch.setattr(live_code, "ROOT", tmp_path)
    return tmp_path


@pytest.fixture
def deployed(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkout's bundle, with a package."""
    path = tmp_path_factory.mktemp("bundle") / "handlers.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("package/__init__.py", "NAME = 'package'\n")
        for name in ("functions/__init__.py", HANDLER):
            archive.write(checkout / name, name)
    return path


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with running_emulator(tmp_path_factory.mktemp("loop-aws")) as url:
        yield Aws(url, REGION)


@pytest.fixture
def function(aws: Aws, deployed: Path) -> Any:
    """Return the ARN of a function that runs the bundle."""
    iam, functions = aws.client("iam"), aws.client("lambda")
    trust = (
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", '
        '"Principal": {"Service": "lambda.amazonaws.com"}}]}'
    )
    iam.create_role(RoleName="functions", AssumeRolePolicyDocument=trust)
    made = functions.create_function(
        FunctionName="payments",
        Runtime=host_target().runtime,
        Role=ROLE,
        Handler="functions.payments.handler",
        Code={"ZipFile": deployed.read_bytes()},
        Timeout=30,
    )
    yield made["FunctionArn"]
    functions.delete_function(FunctionName="payments")
    iam.delete_role(RoleName="functions")


def answer(aws: Aws, function: str) -> Any:
    return aws.client("lambda").invoke(FunctionName=function)["Payload"].read().decode()


def test_a_saved_handler_is_live_and_the_former_one_can_come_back(
    aws: Aws, function: str, checkout: Path, deployed: Path
) -> None:
    live = LiveCode(aws, {"payments": function}, {"handlers": deployed}, host_target())
    assert answer(aws, function) == "1"
    assert live.replace() == []
    (checkout / HANDLER).write_text(ANSWERS.format(answer=2))
    assert live.replace() == ["payments"]
    assert answer(aws, function) == "2"
    live.keep()
    (checkout / HANDLER).write_text(ANSWERS.format(answer=3))
    live.replace()
    assert answer(aws, function) == "3"
    assert live.go_back() == ["payments"]
    assert answer(aws, function) == "2"


def test_a_syntax_error_leaves_the_former_code_live(
    aws: Aws, function: str, checkout: Path, deployed: Path
) -> None:
    live = LiveCode(aws, {"payments": function}, {"handlers": deployed}, host_target())
    (checkout / HANDLER).write_text("def handler(:\n")
    with pytest.raises(OperatorError, match=r"can't compile functions/payments\.py: .*SyntaxError"):
        live.replace()
    assert answer(aws, function) == "1"


def test_added_and_removed_modules_are_added_and_removed(
    aws: Aws, function: str, checkout: Path, deployed: Path
) -> None:
    live = LiveCode(aws, {"payments": function}, {"handlers": deployed}, host_target())
    (checkout / "functions" / "added.py").write_text("ANSWER = 4\n")
    (checkout / HANDLER).write_text(
        "from functions.added import ANSWER\nfrom package import NAME\n"
        + ANSWERS.format(answer="[ANSWER, NAME]")
    )
    live.replace()
    assert answer(aws, function) == '[4, "package"]'
    (checkout / "functions" / "added.py").unlink()
    (checkout / HANDLER).write_text(ANSWERS.format(answer=1))
    live.replace()
    code = live._live["handlers"]
    assert zipfile.ZipFile(io.BytesIO(code)).namelist().count("functions/added.py") == 0


def test_a_failing_test_is_shown_and_a_passing_one_is_counted(tmp_path: Path) -> None:
    tests = UnitTests(tmp_path / "output")
    folder = ROOT / "build" / "loop-tests"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        good, bad = folder / "test_good.py", folder / "test_bad.py"
        good.write_text("import pytest\n\n@pytest.mark.unit\ndef test_good():\n    assert True\n")
        bad.write_text("import pytest\n\n@pytest.mark.unit\ndef test_bad():\n    assert 1 == 2\n")
        tests.start([good])
        passed = tests.outcome(timeout=None)
        assert passed is not None
        assert passed.passed
        assert passed.summary.startswith("1 passed")
        tests.start([good, bad])
        failed = tests.outcome(timeout=None)
        assert failed is not None
        assert not failed.passed
        assert "1 failed, 1 passed" in failed.summary
        assert any("assert 1 == 2" in line for line in failed.lines)
        assert tests.outcome() is None
    finally:
        tests.stop()
        shutil.rmtree(folder)
