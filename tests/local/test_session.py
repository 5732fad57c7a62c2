"""What the loop of `make dev` does with a save, in order; its parts have tests of their own."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from infra.names import BOOTSTRAP
from ops import ROOT
from ops.console import PlainConsole
from ops.errors import OperatorError
from ops.local.loop import session
from ops.local.loop.changes import Changes
from ops.local.loop.session import Session
from ops.local.loop.unit_tests import Outcome

PASSED = Outcome(passed=True, summary="3 passed", lines=("3 passed",))
BROKEN = Outcome(passed=False, summary="1 failed", lines=("E assert 1 == 2", "1 failed"))
HANDLER = Changes(("functions/payments.py",))
STACK = Changes(("infra/stack.py",))


class Code:
    """Live code that notes what is done with it."""

    def __init__(self, notes: list[str]) -> None:
        self.notes = notes
        self.error: OperatorError | None = None

    def replace(self) -> list[str]:
        if self.error:
            raise self.error
        self.notes.append("replace")
        return ["payments"]

    def keep(self) -> None:
        self.notes.append("keep")

    def go_back(self) -> list[str]:
        self.notes.append("go back")
        return ["payments"]


class Suite:
    """Unit tests that end at once."""

    def __init__(self) -> None:
        self.files: list[Path] = []
        self.next: Outcome | None = None

    def start(self, files: list[Path]) -> None:
        self.files = files

    def stop(self) -> None:
        self.files = []

    def outcome(self, timeout: float | None = 0) -> Outcome | None:
        del timeout
        outcome, self.next = self.next, None
        return outcome


class Loop:
    """A session over fakes, what they note, and what is printed."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.notes: list[str] = []
        self.code, self.tests = Code(self.notes), Suite()
        self.console = PlainConsole(file=io.StringIO(), width=200)
        self.bootstrap = folder / "stacks" / BOOTSTRAP / "cdk.tf.json"
        self.bootstrap.parent.mkdir(parents=True)
        self.bootstrap.write_text("{}")
        self.synth: Callable[[], object] = lambda: None
        self.changes = 1
        workspace = SimpleNamespace(outdir=folder)
        deployment: Any = SimpleNamespace(workspace=workspace, services=SimpleNamespace(aws=None))
        monkeypatch.setattr(Session, "_live_code", lambda _self: self.code)
        monkeypatch.setattr(session, "UnitTests", lambda: self.tests)
        monkeypatch.setattr("ops.local.roles.place", lambda *_: None)
        monkeypatch.setattr("ops.local.roles.assumed", lambda *_: None)
        monkeypatch.setattr(session, "as_role", lambda given, _: given)
        monkeypatch.setattr(session, "synthesise", self._synthesise)
        monkeypatch.setattr(session, "plan_stack", self._plan)
        monkeypatch.setattr(session, "apply", lambda planned, _: self.notes.append(f"apply {planned.name}"))
        self.session = Session(deployment, self.console)

    def _synthesise(self, *_: Any) -> None:
        self.notes.append("synth")
        self.synth()

    def _plan(self, _workspace: Any, _stack: str, name: str, _steps: Any) -> Any:
        self.notes.append(f"plan {name}")
        return SimpleNamespace(name=name, summary=SimpleNamespace(changes=self.changes))

    @property
    def said(self) -> str:
        assert isinstance(self.console.file, io.StringIO)
        return self.console.file.getvalue()


@pytest.fixture
def loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Loop:
    return Loop(tmp_path, monkeypatch)


def test_code_is_live_before_its_tests_end_and_is_kept_when_they_pass(loop: Loop) -> None:
    loop.session.bring(Changes(("functions/pipeline/ordering.py",)))
    assert loop.notes == ["replace"]
    assert ROOT / "tests" / "unit" / "test_customer.py" in loop.tests.files
    loop.tests.next = PASSED
    loop.session._watching = True
    loop.session.tick()
    assert loop.notes == ["replace", "keep"]
    assert "live in payments after" in loop.said
    assert "unit tests: 3 passed" in loop.said


def test_a_failed_test_is_shown_and_the_former_code_is_live_again(loop: Loop) -> None:
    loop.session.bring(HANDLER)
    loop.tests.next = BROKEN
    loop.session._watching = True
    loop.session.tick()
    assert loop.notes == ["replace", "go back"]
    assert "E assert 1 == 2" in loop.said
    assert "unit tests failed (1 failed): the former code is live again" in loop.said


def test_a_syntax_error_is_shown_and_nothing_else_is_done(loop: Loop) -> None:
    loop.code.error = OperatorError("can't compile functions/payments.py: SyntaxError")
    loop.session.bring(HANDLER)
    assert loop.notes == []
    assert loop.tests.files == []
    assert "can't compile functions/payments.py: SyntaxError; the former code stays live" in loop.said


def test_what_was_saved_before_the_watch_is_brought_once(loop: Loop) -> None:
    loop.session.tick()
    loop.session.tick()
    assert loop.notes == ["replace"]


def test_a_change_of_the_stack_says_so_and_runs_terraform(loop: Loop) -> None:
    loop.session.bring(STACK)
    assert loop.notes == ["synth", "plan dev", "apply dev"]
    assert "1 file of the stack changed: Terraform runs" in loop.said


def test_nothing_is_applied_where_the_plan_has_no_changes(loop: Loop) -> None:
    loop.changes = 0
    loop.session.bring(STACK)
    assert loop.notes == ["synth", "plan dev"]


def test_the_bootstrap_is_applied_once_if_its_stack_differs(loop: Loop) -> None:
    loop.synth = lambda: loop.bootstrap.write_text('{"resource": {}}')
    loop.session.bring(STACK)
    loop.session.bring(STACK)
    first = ["synth", "plan bootstrap", "apply bootstrap", "plan dev", "apply dev"]
    assert loop.notes == [*first, "synth", "plan dev", "apply dev"]


def test_terraform_does_not_run_while_tests_fail(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop.tests, "start", lambda _files: setattr(loop.tests, "next", BROKEN))
    loop.session.bring(Changes(("functions/shared/names.py",)))
    assert loop.notes == ["replace", "go back"]
    assert "Terraform runs" in loop.said
