"""Fixtures of saved deploys: a run's folder, and where its deploy is saved."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.names import BOOTSTRAP

STATE = f"terraform.{BOOTSTRAP}.tfstate"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run's folder with a file of each part, and those of a server that gets new data."""
    folder = tmp_path / "run"
    for name in ("aws/state/sqs.json", "aws/state/sts.json", "aws/s3/bucket/key", "cdktf.out/cdk.tf.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    (folder / "cdktf.out" / "provider").symlink_to(tmp_path)
    (folder / "postgres" / "data").mkdir(parents=True)
    (folder / "postgres" / "password").write_text("a password")
    (folder / STATE).write_text("{}")
    return folder


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "warm"
