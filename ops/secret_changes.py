"""What a plan does to the values in the secrets, by its JSON form, in which Terraform shows none of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from functions.shared import names

# Terraform's names: of a secret and of its version, and of the arguments of a version that decide whether a
# deploy writes it again. The last one is the setting `secret_version`.
RESOURCE: Final = "aws_secretsmanager_secret"
VALUES_RESOURCE: Final = "aws_secretsmanager_secret_version"
OWNER: Final = "secret_id"
NUMBER: Final = "secret_string_wo_version"
WRITING: Final = frozenset({"create", "update"})


def rewrites_secret(plan: Mapping[str, Any]) -> bool:
    """Return whether a plan, in Terraform's JSON form, writes secret values again.

    Only the first deploy creates all of them, and it may leave some empty.
    """
    every = [each["change"]["actions"] for each in of_versions(plan)]
    return any(map(WRITING.intersection, every)) and any(actions != ["create"] for actions in every)


def rewritten(plan: Mapping[str, Any], environment: str) -> dict[str, str | None]:
    """Return each key whose existing secret a plan writes, with the version that Terraform wrote last.

    The version is None if it is in the state no more.
    """
    found: dict[str, str | None] = {}
    for each in of_versions(plan):
        change = each["change"]
        if WRITING & set(change["actions"]):
            before, after = change["before"] or {}, change["after"] or {}
            secret = str(after.get(OWNER) or before.get(OWNER) or "")
            for key in names.SECRET_KEYS:
                # Secrets Manager ends an ARN with a hyphen and six characters.
                name = names.SECRET_NAMES[key].format(environment=environment)
                if secret.rpartition("-")[0].endswith(f":secret:{name}"):
                    found[key] = before.get("version_id")
    return found


def of_versions(plan: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the entries of versions among the resource changes of a plan."""
    return [each for each in plan.get("resource_changes", ()) if each["type"] == VALUES_RESOURCE]
