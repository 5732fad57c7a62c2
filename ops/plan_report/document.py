"""The form of what `terraform show -json PLAN` prints, as far as a report reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError

Object = dict[str, Any]


class _Part(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(strict=True)


class _OutputChange(_Part):
    actions: list[str]


class _ResourceChange(_OutputChange):
    before: Object | None = None
    after: Object | None = None
    replace_paths: list[list[str | int]] = []
    importing: Object = {}


class _Resource(_Part):
    address: str
    type: str = ""
    mode: str = "managed"
    deposed: str = ""
    previous_address: str = ""
    action_reason: str = ""
    change: _ResourceChange


class _ConfiguredResource(_Part):
    address: str
    expressions: Object = {}


class _Module(_Part):
    variables: Mapping[str, Object] = {}
    resources: list[_ConfiguredResource] = []


class _Configuration(_Part):
    root_module: _Module = _Module()


class _StateModule(_Part):
    resources: list[Object] = []
    child_modules: list[_StateModule] = []


class _StateValues(_Part):
    outputs: Mapping[str, Object] = {}
    root_module: _StateModule = _StateModule()


class _State(_Part):
    values: _StateValues = _StateValues()


class _Document(_Part):
    # A plan without any change has no resource_changes, and a state has no configuration.
    format_version: str
    configuration: _Configuration
    resource_changes: list[_Resource] = []
    resource_drift: list[_Resource] = []
    output_changes: Mapping[str, _OutputChange] = {}
    variables: Mapping[str, Object] = {}
    prior_state: _State = _State()


def is_plan(document: object) -> bool:
    """Return whether something has the form of a plan (Terraform, "JSON Output Format")."""
    try:
        _Document.model_validate(document)
    except ValidationError:
        return False
    return True
