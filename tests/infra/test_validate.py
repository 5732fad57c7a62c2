"""The synthesised stacks under the real provider's schema."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any, Final

import pytest

from infra.app import PROVIDER_LOCK
from ops.terraform import Terraform, TerraformError
from ops.terraform.command import LOCK_FILE

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


def test_provider_with_another_checksum_is_refused(outdir: Path, tmp_path: Path) -> None:
    """It is not started: the checksum is compared when it is installed."""
    folder = tmp_path / "stack"
    shutil.copytree(outdir / "stacks" / "huntaze-stripe-bootstrap", folder)
    (folder / "local_override.tf.json").write_text(json.dumps(NO_BACKEND), encoding="utf-8")
    lock = folder / LOCK_FILE
    locked = lock.read_text(encoding="utf-8")
    lock.write_text(re.sub(r'"h1:.{4}', '"h1:AAAA', locked), encoding="utf-8")
    with pytest.raises(TerraformError, match=r"checksum|lock file"):
        Terraform.at(folder, os.environ, tmp_path).init()


def test_every_stack_has_the_providers_checksums(outdir: Path) -> None:
    stacks = list((outdir / "stacks").iterdir())
    assert len(stacks) == 4
    assert {(stack / LOCK_FILE).read_bytes() for stack in stacks} == {PROVIDER_LOCK.read_bytes()}
