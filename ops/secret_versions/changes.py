"""What a deploy does to the versions of secrets, as changes in Terraform's JSON form of a plan.

The schema of the resource says what decides: another secret or another number replaces a version (AWS
provider, `aws_secretsmanager_secret_version`). A test compares each case with Terraform's own plan.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from ops.secret_changes import NUMBER, OWNER, RESOURCE, VALUES_RESOURCE, of_versions
from ops.secret_versions.stack import Version

# Of a version that a deploy writes: what is never in a plan, and what only AWS knows.
VALUES: Final = ("secret_binary", "secret_string", "secret_string_wo")
COMPUTED: Final = ("arn", "has_secret_string_wo", "id", "version_id", "version_stages")

Entry = Mapping[str, Any]
# Lists the ids of all versions of a secret in AWS, by the secret's ARN.
VersionIds = Callable[[str], Collection[str]]


def completed(shown: Mapping[str, Any], versions: Sequence[Version], ids: VersionIds) -> dict[str, Any]:
    """Return a plan that forgets the versions as the plan of a deploy, which keeps them.

    Parameters
    ----------
    shown
        What `terraform show -json` prints.
    versions
        Those of the stack.

    Raises
    ------
    OperatorError
        `ids` raised it.
    """
    others = [each for each in shown.get("resource_changes", ()) if each["type"] != VALUES_RESOURCE]
    secrets = {each["address"]: each for each in others if each["type"] == RESOURCE}
    there: dict[str, Entry] = {}
    drift: list[Entry] = []
    for each in of_versions(shown):
        if _is_in_aws(each["change"]["before"], secrets, ids):
            there[each["address"]] = each
        else:
            drift.append(_ended(each))
    configured = {each.address for each in versions}
    tainted = _tainted(shown)
    changes = [
        *others,
        *(_planned(each, there.get(each.address), secrets[each.secret], tainted) for each in versions),
        *(_deleted(each) for address, each in there.items() if address not in configured),
    ]
    return {
        **shown,
        "resource_changes": sorted(changes, key=lambda each: str(each["address"])),
        "resource_drift": [*shown.get("resource_drift", ()), *drift],
    }


def _is_in_aws(before: Mapping[str, Any], secrets: Mapping[str, Entry], ids: VersionIds) -> bool:
    """Return whether AWS still has a version of the state; without its secret it has none."""
    known = (each["change"]["before"] for each in secrets.values())
    secret_id = before[OWNER]
    return any(each and each["id"] == secret_id for each in known) and before["version_id"] in ids(secret_id)


def _tainted(shown: Mapping[str, Any]) -> frozenset[str]:
    """Return the addresses that Terraform replaces because their creation failed half-way."""
    root = shown.get("prior_state", {}).get("values", {}).get("root_module", {})
    return frozenset(each["address"] for each in root.get("resources", ()) if each.get("tainted"))


def _planned(version: Version, former: Entry | None, secret: Entry, tainted: Collection[str]) -> Entry:
    """Return what a deploy does to a version of the stack, where `former` is what AWS has of it."""
    is_new = "create" in secret["change"]["actions"]
    secret_id = None if is_new else secret["change"]["before"]["id"]
    change = _creation(version.number, secret_id)
    if former is None:
        name = version.address.rpartition(".")[2]
        kind = {"mode": "managed", "type": VALUES_RESOURCE, "name": name}
        where = {"address": version.address, **kind, "provider_name": secret["provider_name"]}
        return {**where, "change": change}
    was = former["change"]["before"]
    kept = _before(former)
    wanted = {OWNER: secret_id, NUMBER: version.number}
    replaced = {**change, **kept, "actions": ["delete", "create"]}
    if version.address in tainted:
        return {**former, "change": replaced, "action_reason": "replace_because_tainted"}
    if forcing := [[name] for name, value in wanted.items() if was[name] != value]:
        replaced["replace_paths"] = forcing
        return {**former, "change": replaced, "action_reason": "replace_because_cannot_update"}
    same = {"actions": ["no-op"], "after": was, "after_sensitive": kept["before_sensitive"]}
    return {**_without_reason(former), "change": {**kept, **same, "after_unknown": {}}}


def _creation(number: int, secret_id: str | None) -> dict[str, Any]:
    """Return the change that writes a version; None is the id of a secret that the same deploy creates."""
    known = {NUMBER: number} if secret_id is None else {NUMBER: number, OWNER: secret_id}
    unknown = COMPUTED if secret_id is not None else (*COMPUTED, OWNER)
    return {
        "actions": ["create"],
        "before": None,
        "after": {**dict.fromkeys(VALUES), **known},
        "after_unknown": dict.fromkeys(unknown, True),
        "before_sensitive": False,
        "after_sensitive": {**dict.fromkeys(VALUES, True), "version_stages": []},
    }


def _deleted(former: Entry) -> Entry:
    return {**_ended(former), "action_reason": "delete_because_no_resource_config"}


def _ended(former: Entry) -> Entry:
    """Return the entry of what ends, or has ended, in place of one that is forgotten."""
    change = {**_before(former), "actions": ["delete"], "after": None}
    return {**_without_reason(former), "change": {**change, "after_unknown": {}, "after_sensitive": False}}


def _before(former: Entry) -> dict[str, Any]:
    return {name: former["change"][name] for name in ("before", "before_sensitive")}


def _without_reason(former: Entry) -> dict[str, Any]:
    return {name: value for name, value in former.items() if name != "action_reason"}
