"""The provider is found by looking, and a mirror that is named wrongly is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.errors import OperatorError
from ops.terraform import mirror
from ops.terraform.cli_config import cli_environment
from ops.terraform.mirror import PROVIDER, PROVIDER_VERSION, find_mirror


def make_mirror(folder: Path, version: str = PROVIDER_VERSION) -> Path:
    (folder / PROVIDER / version / mirror._platform()).mkdir(parents=True)
    return folder


@pytest.fixture(autouse=True)
def no_prefixes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror, "INSTALL_PREFIXES", ())


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path / "home"), "XDG_DATA_DIRS": str(tmp_path / "none")}


def test_the_mirror_that_is_named_is_used(tmp_path: Path, environment: dict[str, str]) -> None:
    made = make_mirror(tmp_path / "anywhere")
    assert find_mirror(environment | {"TF_PLUGIN_MIRROR": str(made)}) == made


def test_a_named_folder_without_the_provider_is_refused(tmp_path: Path, environment: dict[str, str]) -> None:
    other_version = make_mirror(tmp_path / "other", "5.99.0")
    with pytest.raises(OperatorError, match=r"TF_PLUGIN_MIRROR=.*other has no"):
        find_mirror(environment | {"TF_PLUGIN_MIRROR": str(other_version)})


@pytest.mark.parametrize(
    "place",
    ["home/.terraform.d/plugins", "home/.local/share/terraform/plugins"],
)
def test_an_implied_mirror_folder_is_found(tmp_path: Path, environment: dict[str, str], place: str) -> None:
    assert find_mirror(environment) is None
    made = make_mirror(tmp_path / place)
    assert find_mirror(environment) == made


def test_an_install_prefix_is_looked_through_one_folder_deep(
    tmp_path: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "INSTALL_PREFIXES", (str(tmp_path / "opt"),))
    made = make_mirror(tmp_path / "opt" / "some-mirror")
    assert find_mirror(environment) == made


def test_a_configuration_that_is_missing_is_dropped_and_the_mirror_served(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    made = make_mirror(tmp_path / "mirror")
    environment |= {"TF_PLUGIN_MIRROR": str(made), "TF_CLI_CONFIG_FILE": str(tmp_path / "missing.rc")}
    settled, found = cli_environment(environment, tmp_path / "scratch")
    assert found == made
    config = Path(settled["TF_CLI_CONFIG_FILE"])
    assert config.parent == tmp_path / "scratch"
    assert f'path    = "{made}"' in config.read_text()


def test_the_operators_own_configuration_stays_in_force(tmp_path: Path, environment: dict[str, str]) -> None:
    own = tmp_path / "own.rc"
    own.touch()
    settled, _ = cli_environment(environment | {"TF_CLI_CONFIG_FILE": str(own)}, tmp_path / "scratch")
    assert settled["TF_CLI_CONFIG_FILE"] == str(own)


def test_without_a_mirror_the_registry_is_used_through_a_cache(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    settled, found = cli_environment(environment, tmp_path / "scratch")
    assert found is None
    assert Path(settled["TF_PLUGIN_CACHE_DIR"]).is_dir()
