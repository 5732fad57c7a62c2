"""`make local` passes its variables on, and refuses one that it doesn't know before anything runs."""

from __future__ import annotations

import subprocess

import pytest

from ops import ROOT


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--dry-run", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("variables", "options"),
    [
        ((), ""),
        (("EVENTS=my events", "COUNT=3"), '--events "my events" --count "3"'),
        (("KEEP=1", "DETACH=0"), "--keep"),
        (("DETACH=1",), "--detach"),
    ],
)
def test_variables_become_options(variables: tuple[str, ...], options: str) -> None:
    done = make("local", *variables)
    assert done.returncode == 0, done.stderr
    command = " ".join(done.stdout.replace("\\\n", " ").split())
    assert command.endswith(f"local {options}".rstrip())


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("local", "EVENT=folder"), "unknown variable EVENT: make local takes EVENTS COUNT KEEP DETACH"),
        (("chaos", "EVENTS=9"), "unknown variable EVENTS: make chaos takes SEED EVENTS_TOTAL"),
    ],
)
def test_unknown_variable_is_refused_with_the_known_ones(arguments: tuple[str, ...], error: str) -> None:
    done = make(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert error in done.stderr
