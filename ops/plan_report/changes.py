"""The changes of a plan, in a reviewer's order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from ops.plan_report.attributes import ABSENT, UNKNOWN, Attribute, Path, changed, shown_path
from ops.plan_report.sensitive import Sensitive


class ChangeKind(Enum):
    """What happens to a resource, the most dangerous first. The value is the word for people."""

    DESTROY = "destroy"
    REPLACE = "replace"
    FORGET = "forget"
    UPDATE = "update"
    CREATE = "create"
    IMPORT = "import"
    MOVE = "move"
    OTHER = "other"


# Source: Terraform, "JSON Output Format", actions.
KINDS: Final = {
    ("delete",): ChangeKind.DESTROY,
    ("delete", "create"): ChangeKind.REPLACE,
    ("create", "delete"): ChangeKind.REPLACE,
    ("create", "forget"): ChangeKind.REPLACE,
    ("forget",): ChangeKind.FORGET,
    ("update",): ChangeKind.UPDATE,
    ("create",): ChangeKind.CREATE,
}
NOTHING: Final = (("no-op",), ("read",))
REASONS: Final = {
    "replace_because_tainted": "an earlier creation of it failed half-way",
    "replace_by_request": "asked for with -replace",
    "replace_by_triggers": "replace_triggered_by",
    "delete_because_no_resource_config": "no longer in the configuration",
    "delete_because_no_module": "its module is no longer in the configuration",
    "delete_because_wrong_repetition": "count or for_each was added or removed",
    "delete_because_count_index": "count became smaller",
    "delete_because_each_key": "its key is no longer in for_each",
    "delete_because_no_move_target": "it moved to an address that is not in the configuration",
}


# What the provider computes again at each update of a function, and of a resource of the Cloud Control API.
COMPUTED: Final = frozenset(
    {"last_modified", "version", "qualified_arn", "qualified_invoke_arn", "code_sha256", "properties"}
)


@dataclass(frozen=True)
class Change:
    """What a plan does to one resource, or to one output.

    Parameters
    ----------
    forced_by
        Paths of the attributes that force a replacement.
    reason
        Why it is destroyed or replaced, if Terraform says so.
    previous
        The address that it moves from.
    """

    kind: ChangeKind
    address: str
    forced_by: tuple[Path, ...] = ()
    reason: str = ""
    previous: str = ""
    attributes: tuple[Attribute, ...] = ()


@dataclass(frozen=True)
class Changes:
    """What a plan changes.

    Parameters
    ----------
    resources
        Managed resources: by kind, then in the plan's own order (by address).
    outputs
        By name.
    """

    resources: tuple[Change, ...]
    outputs: tuple[Change, ...]


def changes_of(plan: Mapping[str, Any]) -> Changes:
    """Return the changes of what `terraform show -json PLAN` prints."""
    order = list(ChangeKind)
    sensitive = Sensitive(plan)
    found = (_resource(resource, sensitive) for resource in plan.get("resource_changes", ()))
    return Changes(
        tuple(sorted(filter(None, found), key=lambda change: order.index(change.kind))),
        tuple(
            Change(_kind(change), name, attributes=tuple(changed(change, sensitive)))
            for name, change in sorted(plan.get("output_changes", {}).items())
            if tuple(change["actions"]) not in NOTHING
        ),
    )


def kind_of(resource: Mapping[str, Any]) -> ChangeKind | None:
    """Return what happens to a resource; None is nothing."""
    actions = tuple(resource["change"]["actions"])
    if actions not in NOTHING:
        return KINDS.get(actions, ChangeKind.OTHER)
    if "importing" in resource["change"]:
        return ChangeKind.IMPORT
    return ChangeKind.MOVE if resource.get("previous_address") else None


def _resource(resource: dict[str, Any], sensitive: Sensitive) -> Change | None:
    change = resource["change"]
    address = str(resource["address"])
    if "deposed" in resource:
        address += f" (deposed object {resource['deposed']})"
    previous = str(resource.get("previous_address", ""))
    actions = tuple(change["actions"])
    if actions in NOTHING:
        if "importing" in change:
            return Change(ChangeKind.IMPORT, address)
        return Change(ChangeKind.MOVE, address, previous=previous) if previous else None
    kind = _kind(change)
    reason = REASONS.get(resource.get("action_reason", ""), "")
    if kind is ChangeKind.OTHER:
        reason = ", ".join(filter(str.isalpha, actions))
    if kind in (ChangeKind.DESTROY, ChangeKind.FORGET):
        return Change(kind, address, reason=reason, previous=previous)
    paths = (shown_path(path, change, sensitive) for path in change.get("replace_paths", ()))
    forced = tuple(dict.fromkeys(paths))
    attributes = [item for item in changed(change, sensitive) if _is_listed(item, kind, forced)]
    return Change(kind, address, forced, reason, previous, tuple(attributes))


def _is_listed(attribute: Attribute, kind: ChangeKind, forced: Sequence[Path]) -> bool:
    """Return whether to list an attribute: not the computed and empty ones of a new object."""
    if kind is ChangeKind.UPDATE:
        return not (attribute.after is UNKNOWN and attribute.path[0] in COMPUTED)
    if attribute.is_below(forced):
        return True
    is_empty = attribute.after in (None, ABSENT, [], {}) and attribute.before in (None, ABSENT)
    # What a replacement leaves unset was computed before: AWS computes it again.
    is_left_unset = kind is ChangeKind.REPLACE and attribute.after in (None, ABSENT)
    return attribute.after is not UNKNOWN and not is_empty and not is_left_unset


def _kind(change: dict[str, Any]) -> ChangeKind:
    return KINDS.get(tuple(change["actions"]), ChangeKind.OTHER)
