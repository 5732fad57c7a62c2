"""Make passes its variables on, and refuses one that the target doesn't take before anything runs."""

from __future__ import annotations

import os
import subprocess

import pytest

from ops import ROOT


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    # `make test` leaves its own options and depth in the environment.
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))
    }
    return subprocess.run(
        ["make", "--dry-run", "--no-print-directory", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (("local",), "local"),
        (("local", "EVENTS=my events", "COUNT=3"), 'local --events "my events" --count "3"'),
        (("local", "KEEP=1", "DETACH=0"), "local --keep"),
        (("local", "DETACH=1"), "local --detach"),
        (("local", "FRESH=1"), "local --fresh"),
        (("local", "FRESH=0"), "local"),
        (("dev",), "local --dev"),
        (
            ("dev", "EVENTS=my events", "VARIANT=all", "FRESH=1"),
            'local --dev --events "my events" --variant "all" --fresh',
        ),
        (("chaos", "SEED=7", "DELIVERIES=500"), 'chaos --seed "7" --deliveries "500"'),
        (("simulate",), 'simulate --env "prod" --plots build/simulation --sized'),
        (
            ("simulate", "ENV=dev", "SCENARIO=slow", "RATE=5"),
            'simulate --env "dev" --plots build/simulation --scenario "slow" --events-per-second "5"',
        ),
        (("chaos", "EVENTS_TOTAL=500"), 'chaos --deliveries "500"'),
    ],
)
def test_variables_become_options(arguments: tuple[str, ...], command: str) -> None:
    done = make(*arguments)
    assert done.returncode == 0, done.stderr
    assert " ".join(done.stdout.replace("\\\n", " ").split()).endswith(f"huntaze-stripe {command}")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("local", "EVENT=folder"), "unknown variable EVENT: make local takes EVENTS COUNT KEEP DETACH"),
        (("dev", "COUNT=2"), "unknown variable COUNT: make dev takes EVENTS VARIANT FRESH"),
        (("chaos", "EVENTS=9"), "unknown variable EVENTS: make chaos takes SEED DELIVERIES"),
        (
            ("model", "SWITCH=1"),
            "unknown variable SWITCH: make model takes MODEL SEED MINUTES MAX SWITCHES FAULTS SCHEDULE",
        ),
    ],
)
def test_unknown_variable_is_refused_with_the_known_ones(arguments: tuple[str, ...], error: str) -> None:
    done = make(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert error in done.stderr
