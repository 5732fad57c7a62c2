"""A pause is a difference from what Terraform knows: the plan shows it, and the next deploy resumes."""

from __future__ import annotations

import json
from typing import Any

from ops import ROOT
from ops.switches import SWITCHES, TAG
from tests.e2e.pipeline import Pipeline, run_ops


def status(pipeline: Pipeline) -> dict[str, Any]:
    done = run_ops(pipeline, "pause", "--status", "--env", "dev", "--json")
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
