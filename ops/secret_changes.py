"""What a plan does to the values in the secrets, by its JSON form, in which Terraform shows none of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from functions.shared import names

VALUES_RESOURCE: Final = "aws_secretsmanager_secret_version"
WRITING: Final = frozenset({"create", "update"})


def rewrites_secret(plan: Mapping[str, Any]) -> bool:
    """Return whether a plan, in Terraform's JSON form, writes secret values again.

    Only the first deploy creates all of them, and it may leave some empty.
    """
    every = [change["actions"] for change in _changes(plan)]
    return any(map(WRITING.intersection, every)) and any(actions != ["create"] for actions in every)


def rewritten(plan: Mapping[str, Any], environment: str) -> dict[str, str | None]:
    """Return each key whose existing secret a plan writes, with the version that Terraform wrote last.

    The version is None if it is in the state no more.
    """
    found: dict[str, str | None] = {}
    for change in _changes(plan):
        if WRITING & set(change["actions"]):
            before, after = change["before"] or {}, change["after"] or {}
            secret = str(after.get("secret_id") or before.get("secret_id") or "")
            for key in names.SECRET_KEYS:
                # Secrets Manager ends an ARN with a hyphen and six characters.
                name = names.SECRET_NAMES[key].format(environment=environment)
                if secret.rpartition("-")[0].endswith(f":secret:{name}"):
                    found[key] = before.get("version_id")
    return found


def _changes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for each in plan.get("resource_changes", []):
        if each["type"] == VALUES_RESOURCE:
            yield each["change"]
