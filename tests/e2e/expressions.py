"""The part of GitHub's language of expressions that our workflows use."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Mapping
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


def _looked_up(path: str, values: Mapping[str, Any]) -> Any:
    found: Any = values
    for part in path.split("."):
        found = (found or {}).get(part)
    return found


def _evaluated(expression: str, values: Mapping[str, Any]) -> Any:
    """The value of an expression, which Python parses once it is written in Python's words."""
    assert not TOKENS.sub("", expression).strip(), expression
    calls: dict[str, Callable[..., Any]] = {
        "look": lambda path: _looked_up(path, values),
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

    def value(node: ast.expr) -> Any:
        match node:
            case ast.Constant(constant):
                return constant
            case ast.BoolOp(operator, operands):
                # The first value that decides, as in GitHub's language and Python's.
                found = map(value, operands)
                decides = bool if isinstance(operator, ast.Or) else lambda each: not each
                return next((each for each in found if decides(each)), value(operands[-1]))
            case ast.UnaryOp(ast.Not(), operand):
                return not value(operand)
            case ast.Compare(left, [ast.Eq() | ast.NotEq() as operator], [right]):
                return (value(left) == value(right)) is isinstance(operator, ast.Eq)
            case ast.Call(ast.Name(name), arguments, []):
                return calls[name](*map(value, arguments))
        raise AssertionError(f"not in our workflows: {ast.unparse(node)}")

    text = "".join(word(token) for token in TOKENS.findall(expression)).strip()
    return value(ast.parse(text, mode="eval").body)
