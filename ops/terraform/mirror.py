"""Find the AWS provider in a mirror folder on this machine.

A mirror is a folder that holds `registry.terraform.io/hashicorp/aws/VERSION/OS_ARCH`, as
`terraform providers mirror` and the implied mirror folders lay it out.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from ops.errors import OperatorError

PROVIDER: Final = Path("registry.terraform.io", "hashicorp", "aws")
PROVIDER_VERSION: Final = "5.100.0"
INSTALL_PREFIXES: Final = (
    "/opt",
    "/usr/local",
    "/usr/local/lib",
    "/usr/local/share",
    "/usr/lib",
    "/usr/share",
    "/srv",
)
MACHINES: Final = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def find_mirror(environment: Mapping[str, str]) -> Path | None:
    """Return the first mirror that holds the provider for this machine, or None.

    `TF_PLUGIN_MIRROR` names one; otherwise Terraform's implied mirror folders and the usual install prefixes,
    one folder deep, are searched.

    Raises
    ------
    OperatorError
        `TF_PLUGIN_MIRROR` names a folder without the provider.
    """
    named = environment.get("TF_PLUGIN_MIRROR")
    if named:
        if not holds_provider(Path(named)):
            raise OperatorError(
                f"TF_PLUGIN_MIRROR={named} has no {PROVIDER / PROVIDER_VERSION / _platform()}: correct it, "
                "or unset it to search elsewhere"
            )
        return Path(named)
    return next(filter(holds_provider, _candidates(environment)), None)


def _candidates(environment: Mapping[str, str]) -> Iterator[Path]:
    home = Path(environment.get("HOME", "~")).expanduser()
    yield home / ".terraform.d" / "plugins"
    data = environment.get("XDG_DATA_HOME")
    yield (Path(data) if data else home / ".local" / "share") / "terraform" / "plugins"
    for folder in environment.get("XDG_DATA_DIRS", "/usr/local/share:/usr/share").split(os.pathsep):
        yield Path(folder) / "terraform" / "plugins"
    yield home / "Library" / "Application Support" / "io.terraform" / "plugins"
    yield Path("/Library/Application Support/io.terraform/plugins")
    for prefix in map(Path, INSTALL_PREFIXES):
        yield prefix
        try:
            yield from sorted(prefix.iterdir())
        except OSError:
            continue


def holds_provider(folder: Path) -> bool:
    """Return whether a folder holds the provider for this machine, in the layout of a mirror."""
    try:
        return (folder / PROVIDER / PROVIDER_VERSION / _platform()).is_dir()
    except OSError:
        return False


def _platform() -> str:
    machine = platform.machine().lower()
    return f"{'darwin' if sys.platform == 'darwin' else 'linux'}_{MACHINES.get(machine, machine)}"
