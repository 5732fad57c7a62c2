"""The part of GitHub's language of expressions that our workflows use."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
# Quoted text, operators, names and calls.
TOKENS = re.compile(r"'[^']*'|&&|\|\||==|!=|!|[(),]|[A-Za-z_][\w.-]*")
OPERATORS = {"&&": "and", "||": "or", "!": "not"}


def values_of(texts: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, str]:
    """Texts by name, with the values of their expressions."""
    return {name: value_of(text, values) for name, text in texts.items()}


def value_of(text: Any, values: Mapping[str, Any]) -> str:
    """A text with the values of its expressions."""
    return EXPRESSION.sub(lambda found: _text(_evaluated(found[1], values)), str(text))


def _text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, list) else "" if value is None else str(value)


def holds(condition: str | None, values: Mapping[str, Any], *, failing: bool) -> bool:
    """Whether a job or a step runs; without a function of the status, it does if nothing failed before."""
    text = EXPRESSION.sub(r"\1", condition or "success()")
    states = {"failure": failing, "cancelled": False, "success": not failing}
    asks = any(f"{name}()" in text for name in states)
    return (asks or not failing) and bool(_evaluated(text, {**values, **states}))


def _evaluated(expression: str, values: Mapping[str, Any]) -> Any:
    """The value of an expression in Python's words."""
    assert not TOKENS.sub("", expression).strip(), expression
    calls = {
        "fromJSON": json.loads,
        "format": lambda text, *parts: text.format(*parts),
        "failure": lambda: values["failure"],
        "cancelled": lambda: values["cancelled"],
        "success": lambda: values["success"],
    }

    def word(token: str) -> str:
        if token in OPERATORS:
            return f" {OPERATORS[token]} "
        return token if not token[0].isalpha() or token in calls else f"look({token!r})"

    def look(path: str) -> Any:
        value: Any = values
        for part in path.split("."):
            value = (value or {}).get(part)
        return value

    text = "".join(word(token) for token in TOKENS.findall(expression)).strip()
    return eval(text, {"__builtins__": {}, "look": look, **calls})  # noqa: S307 - of our own workflows
