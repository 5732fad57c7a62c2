"""The synthesised stacks under the real provider's schema."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any, Final

import pytest

from ops.terraform import Terraform

# A validation needs no state, and the S3 backend would want credentials.
NO_BACKEND: Final[dict[str, Any]] = {"terraform": {"backend": {"local": {}}}}


@pytest.fixture(scope="module")
def terraform(outdir: Path, tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    """One initialised folder: all stacks use the same provider."""
    folder = tmp_path_factory.mktemp("validate") / "stack"
    shutil.copytree(outdir / "stacks" / "huntaze-stripe-bootstrap", folder)
    (folder / "local_override.tf.json").write_text(json.dumps(NO_BACKEND), encoding="utf-8")
    terraform = Terraform.at(folder, os.environ, folder.parent)
    terraform.init()
    return terraform


@pytest.mark.parametrize(
    ("variant", "environment"),
    [
        ("outdir", "bootstrap"),
        ("outdir", "dev"),
        ("outdir", "staging"),
        ("outdir", "prod"),
        ("secured_outdir", "prod"),
    ],
)
def test_stack_is_valid_for_the_provider(
    request: pytest.FixtureRequest, terraform: Terraform, variant: str, environment: str
) -> None:
    outdir: Path = request.getfixturevalue(variant)
    stack = outdir / "stacks" / f"huntaze-stripe-{environment}"
    shutil.copytree(stack, terraform.folder, dirs_exist_ok=True)
    terraform.validate()
