"""`make browser`, with a package manager that is a program of the test."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.dev import browser

APT_GET = """#!/bin/sh
echo "$1" >> "{log}"
if [ "$1" = install ]; then {install}; fi
"""


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The calls of a package manager; the machine has nothing else."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(browser, "MACOS", ())
    monkeypatch.setattr("os.geteuid", lambda: 0)
    return tmp_path / "log"


def manager(log: Path, install: str) -> None:
    program = log.with_name("apt-get")
    program.write_text(APT_GET.format(log=log, install=install))
    program.chmod(0o700)


def test_a_new_machine_lists_its_packages_and_installs_a_browser(log: Path) -> None:
    found = log.with_name("chromium")
    manager(log, f'printf "" > "{found}"; /bin/chmod 700 "{found}"')
    assert browser.main() == 0
    assert log.read_text().split() == ["update", "install"]
    assert browser.main() == 0
    assert log.read_text().split() == ["update", "install"], "it installs only what is missing"


def test_a_package_manager_that_fails_is_named(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manager(log, "exit 100")
    assert browser.main() == 1
    assert "error: apt-get installed no Chromium" in capsys.readouterr().err


def test_without_a_package_manager_the_error_says_what_to_install(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not log.exists()
    assert browser.main() == 1
    assert capsys.readouterr().err == f"error: {browser.MISSING}\n"
