"""Environments are data: a file in environments/ makes one, and its name fits into every name in AWS."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from infra import settings
from infra.app import synthesise
from infra.errors import SettingsError
from ops import ROOT
from tests.infra.conftest import EVERYTHING_ON, SOURCE, make_bundle
from tests.infra.terraform_json import Stack

PREVIEW = 'huntaze_api_url = "https://api.preview.huntaze.com"\n'
LONGEST = "preview-1234-eu1"
# Characters that AWS allows in a name, by resource type and attribute (the quotas page of each service).
LIMITS = {
    ("aws_lambda_function", "function_name"): 64,
    ("aws_iam_role", "name"): 64,
    ("aws_iam_role_policy", "name"): 128,
    ("aws_cloudwatch_event_rule", "name"): 64,
    ("aws_scheduler_schedule", "name"): 64,
    ("aws_s3_bucket", "bucket"): 63,
    ("aws_dynamodb_table", "name"): 255,
    ("aws_sns_topic", "name"): 256,
    ("aws_kms_alias", "name"): 256,
    ("aws_secretsmanager_secret", "name"): 512,
    ("aws_cloudwatch_dashboard", "dashboard_name"): 255,
    ("aws_cloudwatch_metric_alarm", "alarm_name"): 255,
    ("aws_cloudwatch_composite_alarm", "alarm_name"): 255,
    ("aws_cloudwatch_query_definition", "name"): 255,
    ("aws_cloudwatch_log_group", "name"): 512,
    ("aws_glue_catalog_database", "name"): 255,
    ("aws_glue_catalog_table", "name"): 255,
    ("aws_cloudwatch_log_resource_policy", "policy_name"): 512,
}
CLOUD_CONTROL_LIMITS = {"QueueName": 80, "ArchiveName": 48}
ACCOUNT_ID = "${data.aws_caller_identity.account_identity.account_id}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped files with an environment of the longest name, and one more."""
    copy = tmp_path / "environments"
    shutil.copytree(settings.FOLDER, copy)
    for name in ("preview", LONGEST):
        (copy / f"{name}.toml").write_text(PREVIEW, encoding="utf-8")
    return copy


def synthesised(folder: Path, name: str) -> Stack:
    environ = EVERYTHING_ON | {"STRIPE_EVENT_SOURCE_NAME": SOURCE, "AUTO_REDRIVE": "true"}
    environ["RECONCILE"] = "heal"
    bundle = make_bundle(folder.parent)
    synthesise(
        folder.parent / "out",
        state=settings.load_state(environ=environ),
        environments=[settings.load(name, folder=folder, environ=environ)],
        bundles={name: {"handlers": bundle, "audit": bundle}},
    )
    return Stack.read(folder.parent / "out", f"huntaze-stripe-{name}")


def test_a_new_file_makes_an_environment(folder: Path) -> None:
    assert settings.environments(folder) == ("dev", "preview", LONGEST, "prod", "staging")
    stack = synthesised(folder, "preview")
    assert stack.named("aws_lambda_function", "huntaze-stripe-payments-preview")


def test_longest_name_fits_into_every_name_in_aws(folder: Path) -> None:
    assert len(LONGEST) == 16
    stack = synthesised(folder, LONGEST)
    named = {kind for kind, _ in LIMITS}
    for (kind, attribute), limit in LIMITS.items():
        for resource in stack.of_type(kind).values():
            name = resource[attribute].replace(ACCOUNT_ID, "1" * 12)
            assert "${" in name or len(name) <= limit, name
    for resource in stack.of_type("aws_cloudcontrolapi_resource").values():
        state = json.loads(resource["desired_state"])
        for attribute, limit in CLOUD_CONTROL_LIMITS.items():
            assert len(state.get(attribute, "")) <= limit
    attributes = {attribute for _, attribute in LIMITS}
    for kind, resources in stack.document["resource"].items():
        for resource in resources.values():
            carries_it = any(LONGEST in str(resource.get(attribute, "")) for attribute in attributes)
            assert kind in named or not carries_it, f"LIMITS lacks {kind}"


@pytest.mark.parametrize("name", ["Preview", "p", "1preview", "preview_2", "preview-with-17-ch", "pre view"])
def test_file_with_a_name_that_no_environment_can_have_is_refused(folder: Path, name: str) -> None:
    (folder / f"{name}.toml").write_text(PREVIEW, encoding="utf-8")
    expected = (
        f"environments/{name}.toml: invalid environment name; rename the file to match "
        "[a-z][a-z0-9-]{1,15}, for example preview.toml"
    )
    with pytest.raises(SettingsError) as raised:
        settings.environments(folder)
    assert str(raised.value) == expected
    with pytest.raises(SettingsError, match=f'^no environment "{name}"; use one of .*[a-z]$'):
        settings.load(name, folder=folder, environ={})
    assert settings.load("dev", folder=folder, environ={"STRIPE_EVENT_SOURCE_NAME": SOURCE})


@pytest.mark.parametrize("reserved", ["common", "bootstrap"])
def test_shared_files_are_not_environments(folder: Path, reserved: str) -> None:
    assert reserved not in settings.environments(folder)
    with pytest.raises(SettingsError, match=f'^no environment "{reserved}"; use one of dev, [a-z0-9, -]*$'):
        settings.load(reserved, folder=folder, environ={})


@pytest.mark.parametrize(
    ("name", "code", "expected"),
    [
        ("preview", 2, "stripe_event_source_name is not set"),
        ("nosuch", 2, 'no environment "nosuch"; use one of dev, preview, prod, staging, or add'),
    ],
)
def test_commands_take_the_environment_that_a_file_makes(
    tmp_path: Path, name: str, code: int, expected: str
) -> None:
    for part in ("infra", "functions", "ops", "environments"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "environments" / "preview.toml").write_text(PREVIEW, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "ops", "replay", "status", "--env", name],
        cwd=tmp_path,
        env={**os.environ, "STRIPE_EVENT_SOURCE_NAME": "", "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (code, "")
    assert expected in done.stderr


def test_no_code_names_the_shipped_environments() -> None:
    files = [ROOT / "main.py", ROOT / "Makefile", *(ROOT / ".github" / "workflows").iterdir()]
    files += [path for part in ("infra", "functions", "ops") for path in (ROOT / part).rglob("*.py")]
    # One is the default of --env and of a local run. Bare, `prod` also begins a Stripe product's id,
    # and `dev` is a folder; a workflow gives both as an example.
    named = {".py": re.compile(r"""\bstaging\b|["'](dev|prod)["']""")}
    anywhere = re.compile(r"\bstaging\b")
    found = [
        str(path.relative_to(ROOT))
        for path in files
        if named.get(path.suffix, anywhere).search(path.read_text(encoding="utf-8"))
    ]
    assert found == ["ops/__init__.py"]
