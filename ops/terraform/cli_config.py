"""A CLI configuration that serves the provider from a mirror, for every engine and for cdktf-cli."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ops.terraform.mirror import find_mirror

PROVIDER_ADDRESS: Final = "registry.terraform.io/hashicorp/aws"


def cli_environment(environment: Mapping[str, str], folder: Path) -> tuple[dict[str, str], Path | None]:
    """Return the environment in which Terraform finds its provider, and the mirror that serves it.

    An operator's own `TF_CLI_CONFIG_FILE` is used if it exists; one that points at a missing file is dropped,
    because Terraform warns of it at every command. Without a mirror the provider comes from the registry,
    through a plugin cache below `folder`.

    Parameters
    ----------
    folder
        Where the configuration is written.
    """
    own = environment.get("TF_CLI_CONFIG_FILE")
    if own and Path(own).is_file():
        return dict(environment), None
    kept = {name: value for name, value in environment.items() if name != "TF_CLI_CONFIG_FILE"}
    mirror = find_mirror(environment)
    if mirror is None:
        cache = folder / "plugin-cache"
        cache.mkdir(parents=True, exist_ok=True)
        return {"TF_PLUGIN_CACHE_DIR": str(cache)} | kept, None
    config = folder / "terraform.rc"
    folder.mkdir(parents=True, exist_ok=True)
    config.write_text(_configuration(mirror))
    return kept | {"TF_CLI_CONFIG_FILE": str(config)}, mirror


def _configuration(mirror: Path) -> str:
    include = json.dumps([PROVIDER_ADDRESS])
    return (
        "disable_checkpoint = true\n"
        "provider_installation {\n"
        f"  filesystem_mirror {{\n    path    = {json.dumps(str(mirror))}\n    include = {include}\n  }}\n"
        f"  direct {{\n    exclude = {include}\n  }}\n"
        "}\n"
    )
