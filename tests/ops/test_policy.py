"""`make policy` fails where it must: a check without a reason, a wrong licence, a wrong action."""

from __future__ import annotations

import json
import stat
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest

from infra import settings
from infra.policy import Statement, document
from ops.dev.install import install_tool
from ops.dev.policy import __main__ as policy_main
from ops.dev.policy import audit, licences, plans, scan
from tests.policies.shipped import Policy
from tests.policies.validate import Validated, compared, findings

BUCKET = "module.dev.aws_s3_bucket.ledger_bucket"
LOGS = "module.dev.aws_cloudwatch_log_group.logs"


def test_failed_check_without_a_reason_is_a_fault() -> None:
    failed = {(BUCKET, "CKV_AWS_18"), (LOGS, "CKV_AWS_158")}
    assert scan.compared(failed, {(LOGS, "CKV_AWS_158"): "by setting"}) == [
        f"{BUCKET} fails CKV_AWS_18: fix it, or suppress() the check beside the resource with its reason"
    ]


def test_reason_for_what_no_longer_fails_is_a_fault() -> None:
    assert scan.compared(set(), {(LOGS, "CKV_AWS_158"): "by setting"}) == [
        f"{LOGS} no longer fails CKV_AWS_158: remove its suppress()"
    ]


def test_suppression_needs_a_reason() -> None:
    (fault,) = scan.compared({(LOGS, "CKV_AWS_158")}, {(LOGS, "CKV_AWS_158"): " "})
    assert fault == f"{LOGS} suppresses CKV_AWS_158 without a reason: write one"


def test_checkov_finds_a_function_without_its_key_in_a_plan(tmp_path: Path) -> None:
    """A plan has null for the key, and no map for variables with a value that is known after the apply."""
    values: dict[str, Any] = {"function_name": "f", "kms_key_arn": None, "environment": [{}]}
    resource = {
        "address": "module.dev.aws_lambda_function.f",
        "mode": "managed",
        "type": "aws_lambda_function",
        "name": "f",
        "provider_name": "registry.terraform.io/hashicorp/aws",
        "values": values,
    }
    change = {**resource, "change": {"actions": ["create"], "before": None, "after": values}}
    plan: dict[str, Any] = {
        "format_version": "1.2",
        "terraform_version": "1.11.4",
        "planned_values": {
            "root_module": {"child_modules": [{"address": "module.dev", "resources": [resource]}]}
        },
        "resource_changes": [change],
        "configuration": {"root_module": {}},
    }
    (tmp_path / scan.PLAN).write_text(json.dumps(scan.readable(plan)))
    failed = scan.failures(install_tool("policy") / "checkov", tmp_path)
    assert ("module.dev.aws_lambda_function.f", "CKV_AWS_173") in failed


@pytest.mark.parametrize("environment", settings.environments())
def test_no_environment_is_left_out(environment: str) -> None:
    assert settings.load(environment, environ=plans.OWN).alert_addresses


def package(folder: Path, name: str, *lines: str) -> None:
    """Install a package that is nothing but its metadata."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    head = ["Metadata-Version: 2.4", f"Name: {name}", "Version: 1.0"]
    (info / "METADATA").write_text("\n".join([*head, *lines]) + "\n")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("License-Expression: GPL-3.0-only", "GPL-3.0-only"),
        ("License-Expression: MIT AND AGPL-3.0-or-later", "MIT AND AGPL-3.0-or-later"),
        ("Classifier: License :: OSI Approved :: GNU General Public License v3 (GPLv3)", "GPL-3.0-only"),
        ("License: Our own", "a licence that its metadata does not name"),
        ("Summary: says nothing", "a licence that its metadata does not name"),
    ],
)
def test_package_with_another_licence_fails(tmp_path: Path, line: str, said: str) -> None:
    package(tmp_path / "site", "copyleft", line)
    lock = tmp_path / "Pipfile.lock"
    locked = {name: {"version": "==1.0"} for name in ("copyleft", *licences.ACCEPTED)}
    lock.write_text(json.dumps({"_meta": {}, "develop": locked}))
    (fault,) = licences.faults([tmp_path / "site"], lock)
    assert fault.startswith(f"copyleft has {said}: use another package")


@pytest.mark.parametrize(
    "line",
    [
        "License-Expression: MIT",
        "License-Expression: GPL-2.0-only OR (MIT AND BSD-3-Clause)",
        "License-Expression: Apache-2.0 WITH LLVM-exception",
        "Classifier: License :: OSI Approved :: MIT License",
        "License: BSD-3-Clause",
    ],
)
def test_package_with_an_allowed_licence_passes(tmp_path: Path, line: str) -> None:
    package(tmp_path, "permissive", line)
    (found,) = (licences.of(each) for each in distributions(path=[str(tmp_path)]))
    assert licences.fault(found) == ""


def test_accepted_package_that_is_not_locked_is_a_fault(tmp_path: Path) -> None:
    lock = tmp_path / "Pipfile.lock"
    lock.write_text(json.dumps({"_meta": {}, "develop": {}}))
    assert len(licences.faults([tmp_path], lock)) == len(licences.ACCEPTED)


def answering(folder: Path, text: str) -> Path:
    """A program in place of pip-audit, which asks pypi.org."""
    program = folder / "pip-audit"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "Pipfile.lock"
    path.write_text(json.dumps({"_meta": {}, "develop": {"old": {"version": "==1.0"}}}))
    return path


def test_known_vulnerability_is_a_fault(tmp_path: Path, lock: Path) -> None:
    vulnerable = {"name": "old", "version": "1.0", "vulns": [{"id": "GHSA-1", "fix_versions": ["1.1"]}]}
    found = audit.audit(answering(tmp_path, json.dumps({"dependencies": [vulnerable]})), lock)
    assert [fault.partition(",")[0] for fault in found.faults] == ["old 1.0 has GHSA-1: use 1.1"]
    assert found.unknown == []


def test_package_that_nobody_knows_was_not_looked_up(tmp_path: Path, lock: Path) -> None:
    unknown = {"name": "old", "skip_reason": "not found"}
    found = audit.audit(answering(tmp_path, json.dumps({"dependencies": [unknown]})), lock)
    assert (found.faults, found.unknown) == ([], ["old"])


def failing(folder: Path, said: str) -> Path:
    """A program in place of pip-audit, which ends with an error."""
    program = folder / "pip-audit"
    program.write_text(
        f"#!/bin/sh\ncat >&2 <<'END'\nTraceback (most recent call last):\n{said}\nEND\nexit 1\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


@pytest.mark.parametrize(
    "said",
    [
        "requests.exceptions.ConnectionError: HTTPSConnectionPool(host='pypi.org', port=443): Max",
        "requests.exceptions.ProxyError: HTTPSConnectionPool(host='pypi.org', port=443): Max",
        "requests.exceptions.ReadTimeout: HTTPSConnectionPool(host='pypi.org', port=443): Read timed out.",
        "ERROR:pip_audit._cli:Could not connect to PyPI's vulnerability feed\nERROR:pip_audit._cli:Tip: x",
    ],
)
def test_index_that_can_not_be_reached_was_not_asked(tmp_path: Path, lock: Path, said: str) -> None:
    with pytest.raises(audit.NotAskedError, match=r"pypi\.org|PyPI"):
        audit.audit(failing(tmp_path, said), lock)


@pytest.mark.parametrize(
    "said",
    [
        "pip-audit: error: unrecognized arguments: --disable-pip",
        "ModuleNotFoundError: No module named 'requests'",
        "ERROR:pip_audit._cli:invalid requirements input: x.txt",
        "pip_audit._service.interface.ServiceError",
    ],
)
def test_audit_that_fails_in_another_way_is_a_fault(tmp_path: Path, lock: Path, said: str) -> None:
    with pytest.raises(audit.AuditFailedError, match=f"exit code 1: {said[:20]}"):
        audit.audit(failing(tmp_path, said), lock)


@pytest.mark.parametrize("text", ["", "[]", "{}", "no vulnerabilities"])
def test_output_without_answers_is_a_fault(tmp_path: Path, lock: Path, text: str) -> None:
    with pytest.raises(audit.AuditFailedError, match="exit code 0: it printed nothing"):
        audit.audit(answering(tmp_path, text), lock)


def test_audit_that_can_not_be_run_is_a_fault(tmp_path: Path, lock: Path) -> None:
    with pytest.raises(audit.AuditFailedError, match=r"can't run .*: No such file"):
        audit.audit(tmp_path / "pip-audit", lock)


def test_failed_audit_fails_make_policy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert policy_main._audited(failing(tmp_path, "ImportError: x")) == [
        "known vulnerabilities were not looked up: pip-audit failed, exit code 1: ImportError: x"
    ]
    assert policy_main._audited(failing(tmp_path, "requests.exceptions.ConnectionError: pypi.org")) == []
    assert (
        "policy, not a fault: known vulnerabilities were not looked up (requests" in capsys.readouterr().err
    )


def test_action_that_does_not_exist_or_can_not_work_is_a_fault() -> None:
    wrong = document(
        Statement("Read", ["s3:GetObjects"], ["arn:aws:s3:::ledger/*"]),
        Statement("List", ["s3:GetObject"], ["arn:aws:s3:::ledger"]),
    )
    policy = Policy("identity", "a role", wrong)
    found = findings(install_tool("iam") / "python", [policy])
    faults = compared([Validated(policy, {})], found)
    assert [fault.split()[2] for fault in faults] == ["UNKNOWN_ACTION", "RESOURCE_MISMATCH"]
    accepted = {"UNKNOWN_ACTION": "new", "RESOURCE_MISMATCH": "both", "RESOURCE_STAR": "gone"}
    assert compared([Validated(policy, accepted)], found) == [
        "a role no longer has RESOURCE_STAR: remove what accepts it"
    ]
