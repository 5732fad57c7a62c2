"""A plan as the rules see it: each resource and output before and after, without what must not be shown.

A value that is sensitive, or unknown until the apply, is a `Word` here: no rule can write or compare it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from ops.plan_report.attributes import ABSENT, SENSITIVE, UNKNOWN, Word
from ops.plan_report.changes import ChangeKind, kind_of
from ops.plan_report.masks import entry
from ops.plan_report.sensitive import Sensitive

CLOUD_CONTROL: Final = "aws_cloudcontrolapi_resource"
# What has parts that are resources of their own, which may have its id.
OWNING: Final = (
    "AWS::SQS::Queue",
    "aws_iam_role",
    "aws_lambda_function",
    "aws_s3_bucket",
    "aws_sns_topic",
    "aws_sqs_queue",
)
# The arguments that name what a resource belongs to.
OWNERS: Final = ("queue_url", "bucket", "role", "function_name", "arn")
LOSING: Final = frozenset({ChangeKind.DESTROY, ChangeKind.REPLACE})


@dataclass(frozen=True)
class Resource:
    """One managed resource of a plan, also one that does not change.

    Parameters
    ----------
    type
        The type as Terraform names it; of a resource of the Cloud Control API the type there, such as
        `AWS::SQS::Queue`.
    change
        What happens to it; None is nothing.
    before, after
        Its arguments; of a resource of the Cloud Control API, its properties. Either may be a `Word`: ABSENT
        where it does not exist.
    id
        The provider's id of what exists, by which others refer to it.
    """

    address: str
    type: str
    change: ChangeKind | None
    before: Any
    after: Any
    id: str = ""

    @property
    def is_lost(self) -> bool:
        """Whether what exists is deleted, with or without a successor."""
        return self.change in LOSING

    def was(self, *path: str | int) -> Any:
        """Return a value before; ABSENT where there is none."""
        return at(self.before, *path)

    def will_be(self, *path: str | int) -> Any:
        """Return a value after; ABSENT where there is none, UNKNOWN where only the apply will know."""
        return at(self.after, *path)

    def sides(self, *path: str | int) -> tuple[Any, Any]:
        """Return a value before and after."""
        return self.was(*path), self.will_be(*path)

    def differs(self, *path: str | int) -> bool:
        """Return whether a value that will be known differs."""
        before, after = self.sides(*path)
        return after is not UNKNOWN and before != after


@dataclass(frozen=True)
class Output:
    """An output before and after."""

    before: Any
    after: Any


class Plan:
    """The resources and outputs of what `terraform show -json` prints."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._sensitive = Sensitive(document)

    @cached_property
    def resources(self) -> tuple[Resource, ...]:
        """All managed resources."""
        found = self._document.get("resource_changes", ())
        return tuple(self._resource(each) for each in found if each.get("mode", "managed") == "managed")

    @cached_property
    def outputs(self) -> Mapping[str, Output]:
        """The outputs by name, also those that do not change."""
        return {
            name: Output(*self._both(change))
            for name, change in self._document.get("output_changes", {}).items()
        }

    def of_type(self, *types: str) -> Iterator[Resource]:
        """Yield the resources of some types, also those that do not change."""
        return (each for each in self.resources if each.type in types)

    def changing(self, *types: str) -> Iterator[Resource]:
        """Yield the resources of some types that change."""
        return (each for each in self.of_type(*types) if each.change)

    def goes_with_owner(self, resource: Resource) -> bool:
        """Return whether what it belongs to is destroyed with it: its queue, bucket, role or function."""
        if resource.change is not ChangeKind.DESTROY:
            return False
        return any(
            resource.was(name) in self._destroyed for name in OWNERS if isinstance(resource.was(name), str)
        )

    def references(self, address: str, argument: str) -> tuple[str, ...]:
        """Return what the configuration says that an argument refers to; empty if it does not say."""
        for each in self._document.get("configuration", {}).get("root_module", {}).get("resources", ()):
            if each["address"] == address:
                return tuple(each.get("expressions", {}).get(argument, {}).get("references", ()))
        return ()

    @cached_property
    def _destroyed(self) -> frozenset[str]:
        return frozenset(
            each.id for each in self.of_type(*OWNING) if each.change is ChangeKind.DESTROY and each.id
        )

    def _resource(self, resource: Mapping[str, Any]) -> Resource:
        before, after = self._both(resource["change"])
        type_ = str(resource.get("type") or str(resource["address"]).partition(".")[0])
        id_ = at(before, "id")
        if type_ == CLOUD_CONTROL:
            type_ = str(next((each for each in map(_type_name, (after, before)) if each), type_))
            before, after = _properties(before), _properties(after)
        known = id_ if isinstance(id_, str) else ""
        return Resource(str(resource["address"]), type_, kind_of(resource), before, after, known)

    def _both(self, change: Mapping[str, Any]) -> tuple[Any, Any]:
        hidden = (change.get("before_sensitive"), change.get("after_sensitive"))
        # A value that either side marks is hidden on both: see `attributes.changed`.
        before, after = (self._visible(change.get(side), hidden) for side in ("before", "after"))
        if "delete" not in change["actions"][-1:]:
            after = _with_unknown(after, change.get("after_unknown"))
        return before, after

    def _visible(self, value: Any, masks: tuple[Any, ...]) -> Any:
        if value is None:
            return ABSENT
        if any(mask is True for mask in masks):
            return SENSITIVE
        if isinstance(value, dict):
            return {
                key: self._visible(item, tuple(entry(mask, key, False) for mask in masks))
                for key, item in value.items()
                if not self._sensitive.is_in(key)
            }
        if isinstance(value, list):
            return [
                self._visible(item, tuple(entry(mask, index, False) for mask in masks))
                for index, item in enumerate(value)
            ]
        return SENSITIVE if self._sensitive.is_in(value) else value


def at(value: Any, *path: str | int) -> Any:
    """Take steps into a value; what lies below a `Word` is that `Word`."""
    for step in path:
        if isinstance(value, Word):
            return value
        value = entry(value, step, ABSENT)
    return value


def numbers(sides: tuple[Any, Any]) -> tuple[int, int] | None:
    """Return both sides if they are numbers."""
    before, after = sides
    if isinstance(before, bool) or isinstance(after, bool):
        return None
    return (before, after) if isinstance(before, int) and isinstance(after, int) else None


def decoded(text: Any) -> Any:
    """Return the JSON in a text; a `Word` stays, and UNKNOWN stands for what is not JSON."""
    if isinstance(text, Word):
        return text
    try:
        return json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return UNKNOWN


def _type_name(side: Any) -> Any:
    name = at(side, "type_name")
    return "" if isinstance(name, Word) else name


def _properties(side: Any) -> Any:
    return side if isinstance(side, Word) else decoded(at(side, "desired_state"))


def _with_unknown(value: Any, unknown: Any) -> Any:
    if unknown is True:
        return UNKNOWN
    if isinstance(unknown, dict) and (value is ABSENT or isinstance(value, dict)):
        known: dict[str, Any] = value if isinstance(value, dict) else {}
        below = {key: _with_unknown(known.get(key, ABSENT), mask) for key, mask in unknown.items()}
        return {**known, **{key: item for key, item in below.items() if item is not ABSENT}} or value
    if isinstance(unknown, list) and isinstance(value, list):
        return [_with_unknown(item, entry(unknown, index, False)) for index, item in enumerate(value)]
    return value
