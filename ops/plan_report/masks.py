"""The masks beside a value in a plan: they have its shape, with `true` for everything below.

Source: Terraform, "JSON Output Format", `before_sensitive`, `after_sensitive` and `after_unknown`.
"""

from __future__ import annotations

from typing import Any


def entry(value: object, step: str | int, default: Any) -> Any:
    """Take one step into a value or a mask; a mask that is `true` stays so."""
    if value is True:
        return True
    if isinstance(value, dict):
        return value.get(step, default)
    if isinstance(value, list) and isinstance(step, int):
        return value[step] if step < len(value) else default
    return default


def marks_any(mask: object) -> bool:
    """Return whether a mask has `true` anywhere."""
    if isinstance(mask, dict):
        return any(marks_any(item) for item in mask.values())
    if isinstance(mask, list):
        return any(marks_any(item) for item in mask)
    return mask is True
