"""Read the settings from their files and the process environment."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from infra import names, settings_source
from infra.errors import SettingsError
from infra.settings.environment import Settings, StateSettings

FOLDER: Final = Path(__file__).resolve().parents[2] / "environments"
# Values of all environments, and where the Terraform state is stored.
_COMMON: Final = "common"
_BOOTSTRAP: Final = "bootstrap"
# Required settings that no role depends on.
_UNSET: Final[Mapping[str, object]] = MappingProxyType(
    {
        "stripe_event_source_name": "aws.partner/stripe.com/ed_unset",
        "huntaze_api_url": "https://unset.invalid",
        "alert_emails": ["none"],
    }
)


def environments(folder: Path = FOLDER) -> tuple[str, ...]:
    """The names of the environments: one for each TOML file but common.toml and bootstrap.toml.

    Raises
    ------
    SettingsError
        A file has a name that no environment can have.
    """
    found = _file_names(folder)
    for name in found:
        if not re.fullmatch(names.ENVIRONMENT, name):
            raise SettingsError(
                f"{folder.name}/{name}.toml: invalid environment name; rename the file to match "
                f"{names.ENVIRONMENT}, for example preview.toml"
            )
    return found


def check_environment(name: str, folder: Path = FOLDER) -> None:
    """Check that an environment exists.

    Raises
    ------
    SettingsError
        It has no file, or a name that no environment can have.
    """
    valid = re.fullmatch(names.ENVIRONMENT, name) and name not in (_COMMON, _BOOTSTRAP)
    known = _file_names(folder)
    if not valid or name not in known:
        step = f"use one of {', '.join(known)}" + (f", or add {folder.name}/{name}.toml" if valid else "")
        raise SettingsError(f'no environment "{name}"; {step}')


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
    check_environment(environment, folder)
    files = [settings_source.toml_file(folder / f"{name}.toml") for name in (_COMMON, environment)]
    sources = (*_state_sources(folder), settings_source.Source("fallbacks", fallbacks), *files)
    return settings_source.build(
        Settings, *sources, environ=_environ(environ), given={"environment": environment}
    )


def load_state(*, folder: Path = FOLDER, environ: Mapping[str, str] | None = None) -> StateSettings:
    """Read the settings of the bootstrap stack.

    Raises
    ------
    SettingsError
        A setting is misspelled or wrong.
    """
    return settings_source.build(StateSettings, *_state_sources(folder), environ=_environ(environ))


def load_deployed(
    state: StateSettings, *, folder: Path = FOLDER, environ: Mapping[str, str] | None = None
) -> tuple[Settings, ...]:
    """Read the settings of the environments that GitHub deploys, also of those that are not complete yet.

    Raises
    ------
    SettingsError
        An environment is unknown, or one of its settings is misspelled or wrong.
    """
    if not state.github_repository:
        return ()
    wanted = state.github_environments or environments(folder)
    return tuple(load(name, folder=folder, environ=environ, fallbacks=_UNSET) for name in wanted)


def default_outdir(environ: Mapping[str, str] | None = None) -> Path:
    """The folder for the synthesised stacks: CDKTF_OUTDIR, which cdktf-cli sets, or cdktf.out."""
    return Path(_environ(environ).get("CDKTF_OUTDIR") or "cdktf.out")


def _file_names(folder: Path) -> tuple[str, ...]:
    return tuple(sorted({path.stem for path in folder.glob("*.toml")} - {_COMMON, _BOOTSTRAP}))


def _state_sources(folder: Path) -> tuple[settings_source.Source, ...]:
    return (settings_source.toml_file(folder / f"{_BOOTSTRAP}.toml"),)


def _environ(environ: Mapping[str, str] | None) -> Mapping[str, str]:
    return os.environ if environ is None else environ
