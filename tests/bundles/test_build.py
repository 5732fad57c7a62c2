"""The bundles contain what the handlers need and nothing else, and are reproducible."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from functions.shared.names import SECRET_KEYS
from ops.bundles import LAMBDA, Bundle, Target, build, described_python, host_target
from ops.bundles import builder as building
from ops.bundles.contents import BUNDLES, distributions
from ops.bundles.interpreter import find_interpreter
from ops.errors import OperatorError
from ops.reference.stripe import ReferenceStripe

# The maximum sizes of the bundles with bytecode.
MAXIMUM_BYTES = {"handlers": 3_600_000, "audit": 6_200_000}
UNCHECKED_HASH = 0b01
IMPORT = """
import importlib, sys
importlib.import_module(sys.argv[1])
print(next(path for path in sys.path if path.endswith(".zip") or path.endswith("unpacked")))
print(sys.modules["aws_lambda_powertools"].__file__)
"""

FETCH = """
import sys
from functions.stripe_api.client import StripeApi
key, url = sys.argv[1:]
state = StripeApi(key, url).retrieve("subscription", "sub_1", api_version="2026-03-25.dahlia")
import stripe
print(state["status"], stripe.__file__)
"""


PLANTED = "planted-value-of-the-builder"


@dataclass(frozen=True)
class Elsewhere:
    """What builds in another folder and with other environment variables return; the host's ran at once."""

    folder: Path
    builds: Mapping[Target, Sequence[Mapping[str, Bundle]]]


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Elsewhere:
    folder = tmp_path_factory.mktemp("elsewhere")
    with pytest.MonkeyPatch.context() as changed, ThreadPoolExecutor(2) as pool:
        for name in SECRET_KEYS:
            changed.setenv(name, PLANTED)
            changed.setenv(f"TF_VAR_{name}", PLANTED)
        changed.setattr(building, "OUTPUT", folder)
        host = list(pool.map(build, [host_target(), host_target()]))
        return Elsewhere(folder, {LAMBDA: [build(LAMBDA)], host_target(): host})


@pytest.fixture(scope="module")
def built() -> Mapping[Target, Mapping[str, Bundle]]:
    return {target: build(target) for target in (LAMBDA, host_target())}


def names(bundle: Bundle) -> list[str]:
    with zipfile.ZipFile(bundle.path) as archive:
        return archive.namelist()


@pytest.mark.parametrize("bundle", BUNDLES)
def test_a_bundle_for_lambda_stays_within_its_budget(
    built: Mapping[Target, Mapping[str, Bundle]], bundle: str
) -> None:
    assert built[LAMBDA][bundle].path.stat().st_size < MAXIMUM_BYTES[bundle]


@pytest.mark.parametrize("bundle", BUNDLES)
def test_a_bundle_contains_no_botocore_tests_metadata_or_stubs(
    built: Mapping[Target, Mapping[str, Bundle]], bundle: str
) -> None:
    for target in built:
        held = names(built[target][bundle])
        assert not [name for name in held if name.startswith(("boto3/", "botocore/", "s3transfer/"))]
        assert not [name for name in held if ".dist-info/" in name or name.endswith((".pyi", "py.typed"))]
        assert not [name for name in held if "/tests/" in name]
        assert "functions/payments.py" in held


def test_only_the_audit_bundle_contains_the_database_driver(
    built: Mapping[Target, Mapping[str, Bundle]],
) -> None:
    held = {bundle: {name.partition("/")[0] for name in names(built[LAMBDA][bundle])} for bundle in BUNDLES}
    assert {"psycopg", "psycopg_binary"} <= held["audit"]
    assert not {"psycopg", "psycopg_binary"} & held["handlers"]
    assert "httpx" in held["handlers"]
    assert "httpx" not in held["audit"]


def test_libraries_are_of_the_target_architecture(built: Mapping[Target, Mapping[str, Bundle]]) -> None:
    libraries = [
        name for name in names(built[LAMBDA]["audit"]) if ".cpython-" in name and name.endswith(".so")
    ]
    assert libraries
    assert all("cpython-313-aarch64-linux-gnu" in name for name in libraries)


def test_bytecode_is_of_the_target_and_never_checked_against_its_source(
    built: Mapping[Target, Mapping[str, Bundle]],
) -> None:
    if find_interpreter(host_target()) is None:
        pytest.skip("no interpreter to compile with")
    tag = host_target().runtime.removeprefix("python").replace(".", "")
    with zipfile.ZipFile(built[host_target()]["handlers"].path) as archive:
        compiled = archive.read(f"functions/pipeline/__pycache__/routing_table.cpython-{tag}.pyc")
    assert int.from_bytes(compiled[4:8], "little") == UNCHECKED_HASH
    assert b"/var/task/functions/pipeline/routing_table.py" in compiled


def run_from(bundle: Bundle, folder: Path, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Unpack a bundle and run code with only it and the packages of every Lambda runtime."""
    with zipfile.ZipFile(bundle.path) as archive:
        archive.extractall(folder)
    lent = folder.with_name("runtime")
    lent.mkdir()
    site = Path(next(path for path in sys.path if path.endswith("site-packages")))
    for package in ("boto3", "botocore", "s3transfer", "dateutil", "urllib3", "jmespath", "six.py"):
        (lent / package).symlink_to(site / package)
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{folder}{os.pathsep}{lent}",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "POWERTOOLS_SERVICE_NAME": "payments",
    }
    interpreter = find_interpreter(host_target())
    assert interpreter is not None
    # -S hides the packages of the virtual environment.
    return subprocess.run(
        [interpreter, "-S", "-c", code, *arguments],
        env=environment,
        cwd=folder.parent,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("bundle", "handler"), [(bundle, handler) for bundle, handlers in BUNDLES.items() for handler in handlers]
)
def test_each_handler_loads_from_its_bundle_alone(
    built: Mapping[Target, Mapping[str, Bundle]], bundle: str, handler: str, tmp_path: Path
) -> None:
    folder = tmp_path / "unpacked"
    done = run_from(built[host_target()][bundle], folder, IMPORT, handler)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith(str(folder))


def test_objects_are_fetched_from_stripe_by_the_bundle_alone(
    built: Mapping[Target, Mapping[str, Bundle]], tmp_path: Path
) -> None:
    with ReferenceStripe("sk_test_bundle") as stripe:
        stripe.put({"id": "sub_1", "object": "subscription", "status": "active"})
        done = run_from(
            built[host_target()]["handlers"], tmp_path / "unpacked", FETCH, "sk_test_bundle", stripe.url
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["active", str(tmp_path / "unpacked" / "stripe" / "__init__.py")]


def test_errors_of_stripe_are_understood_by_the_bundle_alone(
    built: Mapping[Target, Mapping[str, Bundle]], tmp_path: Path
) -> None:
    bundle = built[host_target()]["handlers"]
    with ReferenceStripe("sk_test_bundle") as stripe:
        for key, kind in (
            ("sk_test_bundle", "PermanentError: Stripe answered 404"),
            ("sk_test_other", "401"),
        ):
            done = run_from(bundle, tmp_path / key / "unpacked", FETCH, key, stripe.url)
            assert kind in done.stderr.splitlines()[-1]


def test_a_build_elsewhere_gives_the_same_bytes(
    built: Mapping[Target, Mapping[str, Bundle]], elsewhere: Elsewhere
) -> None:
    for target in built:
        again = elsewhere.builds[target][0]
        assert {name: item.sha256 for name, item in again.items()} == {
            name: item.sha256 for name, item in built[target].items()
        }
        assert all(again[name].path.read_bytes() == built[target][name].path.read_bytes() for name in again)


def test_a_bundle_contains_nothing_of_its_build_environment(elsewhere: Elsewhere) -> None:
    for bundle in elsewhere.builds[host_target()][0].values():
        with zipfile.ZipFile(bundle.path) as archive:
            assert archive.namelist()
            found = [name for name in archive.namelist() if PLANTED.encode() in archive.read(name)]
        assert found == []


def test_two_builds_at_once_give_one_result(elsewhere: Elsewhere) -> None:
    first, second = elsewhere.builds[host_target()]
    assert first == second
    assert all(zipfile.is_zipfile(bundle.path) for bundle in first.values())
    assert not list(elsewhere.folder.rglob(".building-*"))


def test_an_up_to_date_bundle_is_not_rebuilt(
    built: Mapping[Target, Mapping[str, Bundle]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert built
    monkeypatch.setattr(building, "_build", lambda *_: pytest.fail("built again"))
    assert build(LAMBDA) == built[LAMBDA]


def test_a_damaged_bundle_is_rebuilt(elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "OUTPUT", elsewhere.folder)
    audit = elsewhere.builds[host_target()][0]["audit"].path
    whole = audit.read_bytes()
    audit.write_bytes(b"half a zip")
    assert build(host_target())["audit"].path == audit
    assert audit.read_bytes() == whole


def test_a_machine_without_the_runtime_reports_the_slower_cold_start() -> None:
    line = building.bytecode_line(LAMBDA, None)
    assert "no python3.13 on this machine" in line
    assert "1.6 times" in line


def test_without_lambdas_python_functions_run_in_the_current_one(monkeypatch: pytest.MonkeyPatch) -> None:
    current = f"{sys.version_info.major}.{sys.version_info.minor}"
    monkeypatch.setattr("ops.bundles.interpreter.LAMBDA", Target("arm64", "python3.99"))
    assert host_target().python == current
    assert described_python() == f"functions in Python {current} instead of 3.99"


def test_lambdas_python_is_found_and_run_wherever_it_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = tmp_path / "versions" / "3.99.1" / "bin" / "python3.99"
    found.parent.mkdir(parents=True)
    found.write_text("#!/bin/sh\necho 3.99\n")
    found.chmod(0o755)
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setattr("ops.bundles.interpreter.LAMBDA", Target("arm64", "python3.99"))
    assert host_target().python == "3.99"
    assert described_python() == "functions in Python 3.99"


def test_no_bundle_has_what_the_embedded_aws_adds_to_the_runtime(
    built: Mapping[Target, Mapping[str, Bundle]],
) -> None:
    modules = {"awslambdaric", "runtime_client", "simplejson", "snapshot_restore_py"}
    for bundles in built.values():
        for bundle in bundles.values():
            tops = {name.split("/")[0].split(".")[0] for name in names(bundle)}
            assert "functions" in tops
            assert not tops & modules


def test_a_failing_shim_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shim = tmp_path / "python3.99"
    shim.write_text("#!/bin/sh\nexit 127\n")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_interpreter(Target("arm64", "python3.99")) is None


def test_an_import_that_is_not_locked_names_the_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.bundles.contents.locked", dict)
    with pytest.raises(OperatorError, match=r"^functions\.\S+ imports \S+, which is not in \[functions\]"):
        distributions(("functions.payments",), LAMBDA)


def test_an_unreachable_index_is_reported_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "OUTPUT", tmp_path)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(
        OperatorError, match=r"^pip can't install the functions' packages for arm64"
    ) as failure:
        build(LAMBDA)
    assert "\n" not in str(failure.value)
    assert not list(tmp_path.rglob("*.zip"))
