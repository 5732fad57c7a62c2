"""Plan a stack without reading the values of its secrets, and say what a deploy does to them.

AWS provider 5.100 refreshes an `aws_secretsmanager_secret_version` with GetSecretValue, and fails if the call
is denied. Of a resource that a `removed` block forgets, Terraform reads nothing. So a plan that nobody
applies forgets the versions (`stack.py`). What a deploy does to them follows from the stack, the state and
the list of the versions in AWS (`changes.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Final

from ops.secret_changes import of_versions
from ops.secret_versions.changes import VersionIds, completed
from ops.secret_versions.stack import left_out
from ops.terraform import PlanSummary, Terraform
from ops.terraform.messages import Progress

__all__ = ["VersionIds", "ids_in_aws", "plan"]

# Of an answer that goes on in another page, and of the request for that page.
NEXT: Final = "NextToken"


def ids_in_aws(environment: str) -> VersionIds:
    """Return what lists the versions of an environment's secrets; it connects when it is called.

    Raises
    ------
    OperatorError
        When it is called: AWS refuses or does not answer.
    """

    from ops import environment as environments

    # A plan without a version in the state asks nothing.
    client = cache(lambda: environments.connect(environment, bus=False).client("secretsmanager"))

    def ids(secret_id: str) -> set[str]:
        request: dict[str, Any] = {"SecretId": secret_id, "IncludeDeprecated": True}
        found: set[str] = set()
        while True:
            with environments.aws_errors(f"the secret {secret_id}"):
                answer = client().list_secret_version_ids(**request)
            found.update(each["VersionId"] for each in answer["Versions"])
            if NEXT not in answer:
                return found
            request[NEXT] = answer[NEXT]

    return ids


def plan(
    terraform: Terraform, file: Path, progress: Progress | None, ids: VersionIds
) -> tuple[PlanSummary, dict[str, Any]]:
    """Plan a stack without reading a secret; return the counts and the JSON form of a deploy's plan.

    Parameters
    ----------
    file
        Where Terraform saves its plan. It is deleted, because an apply of it would forget the versions.

    Raises
    ------
    OperatorError
        Terraform failed, AWS refuses, or the stack writes a version in another form.
    """
    try:
        with left_out(terraform.folder, terraform.pull_state()) as versions:
            summary = terraform.plan(file, progress)
        shown = terraform.show(file)
    finally:
        file.unlink(missing_ok=True)
    whole = completed(shown, versions, ids)
    return _counted(summary, shown, whole), whole


def _counted(summary: PlanSummary, shown: Mapping[str, Any], whole: Mapping[str, Any]) -> PlanSummary:
    """Return the counts of a plan, less what it forgets, and with what a deploy does instead."""
    actions = [action for each in of_versions(whole) for action in each["change"]["actions"]]
    return replace(
        summary,
        add=summary.add + actions.count("create"),
        destroy=summary.destroy + actions.count("delete"),
        other=summary.other - len(of_versions(shown)),
    )
