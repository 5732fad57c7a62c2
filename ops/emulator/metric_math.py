"""The metric math that the stack's alarms use: sums, differences, products and quotients of metrics.

Source: CloudWatch user guide, "Using math expressions with CloudWatch metrics".
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

_OPERATORS: Final[Mapping[type[ast.operator], Callable[[float, float], float]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


class UnknownMathError(Exception):
    """An expression uses something that this module does not evaluate."""


def value(expression: str, metrics: Mapping[str, float | None]) -> float | None:
    """Return the value of an expression in one period, from the values of its metrics.

    It is None if a metric has no value in this period, or for a division by zero.

    Raises
    ------
    UnknownMathError
        The expression calls a function, or names a metric that is not there.
    """
    try:
        return _value(_parsed(expression), metrics)
    except SyntaxError as error:
        raise UnknownMathError(expression) from error


@lru_cache(maxsize=256)
def _parsed(expression: str) -> ast.expr:
    """Parse an expression once: each description of the alarms evaluates all of them in every period."""
    return ast.parse(expression, mode="eval").body


def _value(node: ast.expr, metrics: Mapping[str, float | None]) -> float | None:
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id=name) if name in metrics:
            return metrics[name]
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            first, second = _value(left, metrics), _value(right, metrics)
            if first is None or second is None or (isinstance(op, ast.Div) and second == 0):
                return None
            return _OPERATORS[type(op)](first, second)
    raise UnknownMathError(ast.unparse(node))
