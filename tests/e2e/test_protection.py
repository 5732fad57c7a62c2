"""What a destroy refuses at plan, by real Terraform's own words, in one line."""

from __future__ import annotations

import pytest

from tests.e2e.pipeline import Pipeline, run_ops

pytestmark = pytest.mark.usefixtures("checkout")

PROTECTED = {"DELETION_PROTECTION": "true"}


def test_a_protected_environment_is_not_destroyed_in_part(pipeline: Pipeline) -> None:
    done = run_ops(pipeline, "destroy", "--env", "dev", "--yes", **PROTECTED)
    assert done.returncode == 1
    assert done.stderr.startswith(
        "error: deletion_protection = true refuses this plan of dev, which would delete "
    )
    assert done.stderr.count("\n") == 1
    assert len(pipeline.deployment.terraform.resources()) == pipeline.deployment.facts.resources
