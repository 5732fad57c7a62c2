"""The sensitive texts of a plan, to hide them also if Terraform has lost the mark.

Terraform marks attributes, not values: what a resource computes from a sensitive argument is not marked, and
a change shows it as the value before.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any, Final

# A shorter text may be an ordinary word: hiding every `dev` would hide the plan.
SHORTEST: Final = 6
# What Go's encoder, and so Terraform's jsonencode, escapes on top of JSON.
ESCAPED_BY_GO: Final = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


class Sensitive:
    """The sensitive texts of one plan, as they are and as JSON inside a string spells them."""

    def __init__(self, plan: Mapping[str, Any]) -> None:
        texts = {text for text in _marked(plan) if len(text) >= SHORTEST}
        for _ in range(2):
            texts |= {form for text in texts for form in _forms(text)}
        self._texts = tuple(texts)

    def is_in(self, value: object) -> bool:
        """Return whether a sensitive text occurs in a value or its keys."""
        if isinstance(value, str):
            return any(text in value for text in self._texts)
        if isinstance(value, dict):
            return any(self.is_in(key) or self.is_in(item) for key, item in value.items())
        return isinstance(value, list) and any(self.is_in(item) for item in value)


def _forms(text: str) -> Iterator[str]:
    for ascii_only in (False, True):
        form = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
        yield form
        for char, escape in ESCAPED_BY_GO.items():
            form = form.replace(char, escape)
        yield form


def _marked(plan: Mapping[str, Any]) -> Iterator[str]:
    changes = [item["change"] for key in ("resource_changes", "resource_drift") for item in plan.get(key, ())]
    for change in [*changes, *plan.get("output_changes", {}).values()]:
        # Both masks on both sides: what is declared sensitive only now has its old value unmarked.
        for value, mask in product(("before", "after"), ("before_sensitive", "after_sensitive")):
            yield from _below(change.get(value), change.get(mask))
    declared = plan.get("configuration", {}).get("root_module", {}).get("variables", {})
    for name, variable in plan.get("variables", {}).items():
        yield from _below(variable.get("value"), declared.get(name, {}).get("sensitive", False))
    yield from _in_state(plan.get("prior_state", {}).get("values", {}))


def _in_state(values: dict[str, Any]) -> Iterator[str]:
    for output in values.get("outputs", {}).values():
        yield from _below(output.get("value"), output.get("sensitive", False))
    pending = [values.get("root_module", {})]
    while pending:
        module = pending.pop()
        pending.extend(module.get("child_modules", ()))
        for resource in module.get("resources", ()):
            yield from _below(resource.get("values"), resource.get("sensitive_values"))


def _below(value: object, mask: object) -> Iterator[str]:
    """Yield the texts that a mask marks."""
    if not mask:
        return
    if mask is True and isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _below(item, mask.get(key) if isinstance(mask, dict) else mask)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            below = mask[index] if isinstance(mask, list) and index < len(mask) else mask is True
            yield from _below(item, below)
