"""The settings of one environment: what each one means, its unit, its default and its limits.

Values come from `environments/<name>.toml` on top of `environments/bootstrap.toml` (which
names the state bucket), and an environment variable with the upper-case name of a setting
wins over both. Only `loading` reads the process environment for them; in all of `infra` only
`fast_provider` reads it besides, for the start of Node.js.
"""

from infra.settings.environment import Settings, StateSettings
from infra.settings.function import FunctionSettings
from infra.settings.loading import FOLDER, default_outdir, load, load_state

__all__ = [
    "FOLDER",
    "FunctionSettings",
    "Settings",
    "StateSettings",
    "default_outdir",
    "load",
    "load_state",
]
