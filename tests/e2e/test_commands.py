"""The commands for people reach a running local environment by the printed exports alone."""

from __future__ import annotations

import os
import subprocess
import sys

from ops.local.deployment import shell_exports
from ops.local.folder import ROOT
from tests.e2e.conftest import Pipeline


def ops(pipeline: Pipeline, *arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME")}
    return subprocess.run(
        [sys.executable, "-m", "ops", *arguments],
        cwd=ROOT,
        env=kept | shell_exports(pipeline.deployment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_plan_prints_that_nothing_changes_and_writes_it_as_markdown(pipeline: Pipeline) -> None:
    done = ops(pipeline, "plan", "--env", "dev")
    assert done.returncode == 0, done.stderr
    assert "0 to add, 0 to change, 0 to destroy" in done.stdout
    assert "written to build/plans/dev.md" in done.stdout
    assert (ROOT / "build" / "plans" / "dev.md").read_text().startswith("<!-- huntaze-plan:dev -->")


def test_destroy_asks_and_changes_nothing_where_nobody_answers(pipeline: Pipeline) -> None:
    done = ops(pipeline, "destroy", "--env", "dev")
    assert (done.returncode, done.stderr) == (2, "error: nobody can be asked here: add --yes\n")
    assert f"{pipeline.deployment.facts.resources} to destroy" in done.stdout
    assert len(pipeline.deployment.terraform.resources()) == pipeline.deployment.facts.resources


def test_the_plan_of_the_first_deploy_was_written_for_a_reviewer(pipeline: Pipeline) -> None:
    markdown = pipeline.deployment.planned.markdown_file.read_text()
    assert markdown.startswith("<!-- huntaze-plan:dev -->")
    assert "aws_lambda_function" in markdown
    assert len(markdown) < 65_536
