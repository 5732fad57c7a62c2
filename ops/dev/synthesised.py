"""The Terraform of an environment, for pages that show it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra import settings
from infra.app import synthesise
from infra.names import stack_name


@dataclass(frozen=True)
class _NoBundle:
    """Stands for the functions' code, of which the pages show nothing."""

    path: Path
    sha256: str = "0" * 64
    contents: Mapping[str, str] = field(default_factory=dict)


def synthesised(environment: str, variables: Mapping[str, str]) -> dict[str, Any]:
    """Return the `cdk.tf.json` of an environment; other variables of the process change nothing."""
    with tempfile.TemporaryDirectory() as folder:
        bundle = _NoBundle(Path(folder) / "none.zip")
        bundle.path.touch()
        synthesise(
            Path(folder),
            state=settings.load_state(environ=variables),
            environments=[settings.load(environment, environ=variables)],
            bundles={environment: {"handlers": bundle, "audit": bundle}},
        )
        stack = Path(folder) / "stacks" / stack_name(environment) / "cdk.tf.json"
        document: dict[str, Any] = json.loads(stack.read_bytes())
    return document
