"""The policy scan of `make check`: checkov over every synthesised stack.

It reports two things that a plain scan with a skip list does not: a skipped check that no longer fails, and,
with `create_kms_key`, a resource without the key that is not one of the exceptions.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from infra import settings as infra_settings
from ops import ROOT
from ops.console import print_error
from ops.dev.install import SetupError, install_tool

CONFIGURATION: Final = ROOT / ".checkov.yaml"
# Any name of an event source: the scan does not check that it exists.
SOURCE: Final = "aws.partner/stripe.com/ed_policy_scan"
# Settings that each operator must add to the shipped files.
OWN: Final = {"STRIPE_EVENT_SOURCE_NAME": SOURCE, "ALERT_EMAILS": "oncall@huntaze.com"}
# The checks for encryption with a key of our own.
KEY_CHECKS: Final = frozenset({f"CKV_AWS_{number}" for number in (26, 119, 145, 149, 158, 173)})
# An alarm must be published even if the key is gone, and it names no event. The state's bucket is created
# before any key, and contains no value of a secret.
WITHOUT_THE_KEY: Final = frozenset({("CKV_AWS_26", "alerts"), ("CKV_AWS_145", "state_bucket")})

# A check, and the resource that fails it.
Failure = tuple[str, str]


def main() -> int:
    """Scan, print a line for each fault, and return the exit code."""
    skipped = set(yaml.safe_load(CONFIGURATION.read_text())["skip-check"])
    try:
        checkov = install_tool("policy") / "checkov"
    except SetupError as error:
        print_error(f"policy: {error}")
        return 1
    with tempfile.TemporaryDirectory(prefix="huntaze-policy-") as folder:
        plain = scan(checkov, synthesise(Path(folder, "plain"), {}))
        keyed = scan(checkov, synthesise(Path(folder, "keyed"), {"CREATE_KMS_KEY": "true"}))
    faults = find_faults(plain, keyed, skipped)
    for fault in faults:
        print_error(f"policy: {fault}")
    return 1 if faults else 0


def find_faults(
    plain: Collection[Failure], keyed: Collection[Failure], skipped: Collection[str]
) -> list[str]:
    """Return the faults of a scan, one sentence each.

    Parameters
    ----------
    plain, keyed
        Failed checks with the resource that fails, with the shipped settings and with a key of our own.
    skipped
        The checks that `.checkov.yaml` skips.
    """
    failing = {check for check, _ in plain}
    return [
        *(
            f"{resource} fails {check}: fix it, or skip the check in .checkov.yaml with its reason"
            for check, resource in sorted(plain)
            if check not in skipped
        ),
        *(
            f"{check} no longer fails: remove it from .checkov.yaml"
            for check in sorted(set(skipped) - failing)
        ),
        *(
            f"{resource} does not use the key of create_kms_key ({check}): encrypt it with that key"
            for check, resource in sorted(keyed)
            if check in KEY_CHECKS and (check, resource) not in WITHOUT_THE_KEY
        ),
    ]


def synthesise(folder: Path, settings: Mapping[str, str]) -> Path:
    """Write every environment's stack as Terraform JSON, and without settings the state bucket's too."""
    environment = {**os.environ, **OWN, **settings}
    command = [sys.executable, "main.py", *infra_settings.environments(), "--outdir", str(folder)]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    return folder


def scan(checkov: Path, folder: Path) -> set[Failure]:
    """Return the failed checks of the stacks in a folder, each with the resource that fails it."""
    # In the scanned folder it finds no configuration: this program decides what to skip.
    done = subprocess.run(
        [
            *(checkov, "--directory", ".", "--framework", "terraform_json", "--output", "json"),
            *("--skip-download", "--soft-fail", "--compact", "--quiet"),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    report: dict[str, Any] = json.loads(done.stdout)
    if not report["summary"]["passed"]:
        raise ValueError(f"checkov found no resource in {folder}: {report['summary']}")
    return {
        (found["check_id"], found["resource"].rpartition(".")[2])
        for found in report["results"]["failed_checks"]
    }


if __name__ == "__main__":
    sys.exit(main())
