"""The Terraform of an environment, for pages that show it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra import settings
from infra.app import synthesise
from infra.names import stack_name
from ops import ROOT
from ops.console import print_json
from ops.errors import OperatorError


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


def synthesised_apart(environment: str, variables: Mapping[str, str]) -> dict[str, Any]:
    """Do the same in a process of its own, for a program that goes on: JSII's Node.js ends with it.

    Raises
    ------
    OperatorError
        The stack can't be synthesised.
    """
    done = subprocess.run(
        [sys.executable, "-m", "ops.dev.synthesised", environment],
        cwd=ROOT,
        env=dict(variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        # Ctrl-C is for the program, which ends this one.
        start_new_session=True,
    )
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["it wrote nothing"]
        raise OperatorError(
            f"can't synthesise {environment} ({lines[-1]}): see `make plan ENV={environment}`"
        )
    document: dict[str, Any] = json.loads(done.stdout)
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


if __name__ == "__main__":
    print_json(synthesised(sys.argv[1], os.environ))
