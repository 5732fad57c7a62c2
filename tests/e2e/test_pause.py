"""A pause is a difference from what Terraform knows: the plan shows it, and the next deploy resumes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from functions.shared.names import HANDLERS
from ops import ROOT
from ops.switches import SWITCHES, TAG
from tests.e2e.pipeline import Pipeline, run_ops

pytestmark = pytest.mark.usefixtures("checkout")


def status(pipeline: Pipeline, command: str = "pause") -> dict[str, Any]:
    done = run_ops(pipeline, command, "--status", "--env", "dev", "--json")
    assert done.returncode == 0, done.stderr
    return {each["part"]: each for each in json.loads(done.stdout)}


def test_the_next_deploy_resumes_every_part_and_its_plan_shows_it(pipeline: Pipeline) -> None:
    before = status(pipeline)
    assert list(before) == list(SWITCHES)
    assert all(state["deployed"] and not state["paused"] for state in before.values())
    done = run_ops(pipeline, "pause", *SWITCHES, "--env", "dev", "--yes")
    assert done.returncode == 0, done.stderr
    assert all(state["paused"] for state in status(pipeline).values())

    planned = run_ops(pipeline, "plan", "--env", "dev", "--json")
    assert planned.returncode == 0, planned.stderr
    counts = json.loads(planned.stdout)
    assert (counts["add"], counts["change"], counts["destroy"]) == (0, len(SWITCHES), 0)
    shown = (ROOT / counts["markdown"]).read_text()
    assert shown.count('`state`: `"DISABLED"` → `"ENABLED"`') == len(SWITCHES) - 1, "the mapping has none"
    assert TAG in shown

    done = run_ops(pipeline, "deploy", "--env", "dev", "--yes")
    assert done.returncode == 0, done.stderr
    assert status(pipeline) == before


def test_resume_starts_every_part_and_says_what_to_replay(pipeline: Pipeline) -> None:
    before = status(pipeline)
    assert run_ops(pipeline, "pause", *SWITCHES, "--env", "dev", "--yes").returncode == 0
    done = run_ops(pipeline, "resume", *SWITCHES, "--env", "dev", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    replays = {each["part"]: each["replay"] for each in json.loads(done.stdout)}
    assert [part for part, replay in replays.items() if replay] == list(HANDLERS)
    assert status(pipeline, "resume") == before
