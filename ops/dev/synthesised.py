"""The Terraform of an environment, for pages that show it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Collection, Mapping
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
        stack = write(Path(folder), [environment], variables) / stack_name(environment) / "cdk.tf.json"
        document: dict[str, Any] = json.loads(stack.read_bytes())
    return document


def write(
    folder: Path, environments: Collection[str], variables: Mapping[str, str], *, deployed: bool = False
) -> Path:
    """Write the stacks of environments and that of the state bucket; return the folder that holds them.

    Parameters
    ----------
    deployed
        Whether the latter creates the roles that GitHub deploys the environments with.
    """
    bundle = _NoBundle(folder / "none.zip")
    folder.mkdir(parents=True, exist_ok=True)
    bundle.path.touch()
    loaded = [settings.load(each, environ=variables) for each in environments]
    synthesise(
        folder,
        state=settings.load_state(environ=variables),
        environments=loaded,
        deployed=loaded if deployed else (),
        bundles={each: {"handlers": bundle, "audit": bundle} for each in environments},
    )
    return folder / "stacks"
