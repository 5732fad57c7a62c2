"""Read the settings from their files and the process environment."""

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from infra import settings_source
from infra.errors import SettingsError
from infra.names import ENVIRONMENTS
from infra.settings.environment import Settings, StateSettings

FOLDER: Final = Path(__file__).resolve().parents[2] / "environments"


def load(
    environment: str,
    *,
    folder: Path = FOLDER,
    environ: Mapping[str, str] | None = None,
    fallbacks: Mapping[str, object] = MappingProxyType({}),
) -> Settings:
    """Read the settings of one environment.

    Parameters
    ----------
    fallbacks
        Values of required settings that the caller has no use for, should they not be set.

    Raises
    ------
    SettingsError
        The environment is unknown, or a setting is missing, misspelled or wrong.
    """
    if environment not in ENVIRONMENTS:
        raise SettingsError(f'"{environment}" is no environment; take one of {", ".join(ENVIRONMENTS)}')
    sources = (
        *_state_sources(folder),
        settings_source.Source("fallbacks", fallbacks),
        settings_source.toml_file(folder / f"{environment}.toml"),
    )
    return settings_source.build(
        Settings, *sources, environ=_environ(environ), given={"environment": environment}
    )


def load_state(*, folder: Path = FOLDER, environ: Mapping[str, str] | None = None) -> StateSettings:
    """Read the settings of the bootstrap stack; raises SettingsError as `load` does."""
    return settings_source.build(StateSettings, *_state_sources(folder), environ=_environ(environ))


def default_outdir(environ: Mapping[str, str] | None = None) -> Path:
    """The folder for the synthesised stacks: what cdktf-cli asks for, else cdktf.out."""
    return Path(_environ(environ).get("CDKTF_OUTDIR") or "cdktf.out")


def _state_sources(folder: Path) -> tuple[settings_source.Source, ...]:
    return (settings_source.toml_file(folder / "bootstrap.toml"),)


def _environ(environ: Mapping[str, str] | None) -> Mapping[str, str]:
    return os.environ if environ is None else environ
