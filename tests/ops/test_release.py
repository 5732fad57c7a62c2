"""A release: its notes, and its files with their hashes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from functions import __version__
from ops import ROOT
from ops.bundles import LAMBDA, Target, build
from ops.dev import release
from ops.errors import OperatorError

TAG = f"v{__version__}"
CHANGELOG = f"""# Changelog

## [Unreleased]

- next

## [{__version__}] - 2026-11-28

### Added

- this

## [0.0.1] - 2026-01-01

- former
"""


def test_notes_are_the_section_of_the_version() -> None:
    assert release.notes(TAG, CHANGELOG) == "### Added\n\n- this\n"
    last = CHANGELOG.partition("## [0.0.1]")[0]
    assert release.notes(TAG, last) == "### Added\n\n- this\n"
    assert release.notes(TAG, (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("tag", "changelog", "said"),
    [
        ("v9.9.9", CHANGELOG, "the tag is v9.9.9, and this checkout is version"),
        (__version__, CHANGELOG, "tag the commit that has the version in functions/__init__.py"),
        (TAG, CHANGELOG.replace(" - 2026-11-28", ""), "CHANGELOG.md has no section"),
        (TAG, f"## [{__version__}] - 2026-11-28\n\n## [0.0.1] - 2026-01-01\n", "CHANGELOG.md has no section"),
    ],
)
def test_another_tag_and_a_missing_section_are_refused(tag: str, changelog: str, said: str) -> None:
    with pytest.raises(OperatorError, match="^.*" + said.replace(".", r"\.").replace("[", r"\[")):
        release.notes(tag, changelog)


@pytest.mark.timeout(600)
def test_a_release_is_the_bundles_their_materials_and_hashes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(release, "FOLDER", tmp_path)
    assert release.main([TAG]) == 0
    files = tmp_path / "files"
    sums = (files / release.SUMS).read_text()
    assert capsys.readouterr().out == sums
    rows = [line.split("  ") for line in sums.splitlines()]
    listed = {name: digest for digest, name in rows}
    assert set(listed) == {path.name for path in files.iterdir()} - {release.SUMS}
    for name, digest in listed.items():
        assert hashlib.sha256((files / name).read_bytes()).hexdigest() == digest
    for architecture in ("arm64", "x86_64"):
        for name, bundle in build(Target(architecture, LAMBDA.runtime)).items():
            assert listed[f"{name}-{__version__}-{LAMBDA.runtime}-{architecture}.zip"] == bundle.sha256
    materials = json.loads((files / release.SBOM).read_text())
    assert materials["bomFormat"] == "CycloneDX"
    lock = json.loads((ROOT / "Pipfile.lock").read_text())["functions"]
    shipped = {(part["name"], f"=={part['version']}") for part in materials["components"]}
    assert shipped == {(name, package["version"]) for name, package in lock.items()}


def test_a_tag_that_is_not_the_version_builds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(release, "FOLDER", tmp_path / "release")
    assert release.main(["v9.9.9"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "release").exists()
