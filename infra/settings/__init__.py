"""The settings of one environment: what each one means, its unit, its default and its limits.

An environment variable with the upper-case name of a setting wins over `environments/<name>.toml`, that over
`environments/common.toml`, and that over the default. `environments/bootstrap.toml` names the bucket of the
Terraform state, and the repository that deploys. Only `loading` reads the process environment.
"""

from infra.settings.environment import Settings, StateSettings
from infra.settings.function import FunctionSettings
from infra.settings.loading import (
    FOLDER,
    check_environment,
    default_outdir,
    environments,
    load,
    load_deployed,
    load_state,
)

__all__ = [
    "FOLDER",
    "FunctionSettings",
    "Settings",
    "StateSettings",
    "check_environment",
    "default_outdir",
    "environments",
    "load",
    "load_deployed",
    "load_state",
]
