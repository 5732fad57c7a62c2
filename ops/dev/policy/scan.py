"""checkov over the plan of every variant.

What a resource fails on purpose stands in the comment of that resource, with its reason. A suppression whose
check no longer fails is a fault, too: so a resource that a setting must encrypt can't be excused once it is.
"""

from __future__ import annotations

import copy
import json
import subprocess
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

from ops.dev.policy.plans import Planned

FUNCTION: Final = "aws_lambda_function"
PLAN: Final = "plan.json"

# A resource, and the check that it fails.
Failure = tuple[str, str]


def faults(checkov: Path, planned: Planned, folder: Path) -> list[str]:
    """Scan a plan, and return its faults, one sentence each."""
    folder.mkdir()
    (folder / PLAN).write_text(json.dumps(readable(planned.shown)))
    return compared(failures(checkov, folder), planned.suppressed)


def failures(checkov: Path, folder: Path) -> set[Failure]:
    """Return the failed checks of the plans in a folder.

    Raises
    ------
    ValueError
        checkov found nothing to check.
    """
    # In the scanned folder it finds no configuration that would skip a check.
    done = subprocess.run(
        [
            *(checkov, "--directory", ".", "--framework", "terraform_plan", "--output", "json"),
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
    return {(found["resource"], found["check_id"]) for found in report["results"]["failed_checks"]}


def compared(failed: Collection[Failure], suppressed: Mapping[Failure, str]) -> list[str]:
    """Return what fails without a reason, and each reason for what does not fail."""
    return [
        *(
            f"{resource} fails {check}: fix it, or suppress() the check beside the resource with its reason"
            for resource, check in sorted(set(failed) - set(suppressed))
        ),
        *(
            f"{resource} no longer fails {check}: remove its suppress()"
            for resource, check in sorted(set(suppressed) - set(failed))
        ),
        *(
            f"{resource} suppresses {check} without a reason: write one"
            for (resource, check), reason in sorted(suppressed.items())
            if not reason.strip()
        ),
    ]


def readable(shown: Mapping[str, Any]) -> dict[str, Any]:
    """Return a plan that checkov reads as it reads a configuration.

    A plan has null for what is not set, which checkov takes for a value: a function with variables and
    without a key would pass. And it leaves out a map with a value that is known after the apply, so that
    every function would be one without variables.
    """
    plan: dict[str, Any] = copy.deepcopy(dict(shown))
    for module in plan["planned_values"]["root_module"].get("child_modules", []):
        for resource in module.get("resources", []):
            values = {name: value for name, value in resource["values"].items() if value is not None}
            if resource["type"] == FUNCTION:
                values["environment"] = [{"variables": {"SET": "known after apply"}}]
            resource["values"] = values
    return plan
