"""Replace parts of MiniStack; a missing part is an error."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from ops.emulator import EmulatorError


def original(owner: ModuleType | type, name: str) -> Any:
    """Return the attribute of a MiniStack module or class that a fix builds on.

    Raises
    ------
    EmulatorError
        It doesn't exist: the fix is written for another release.
    """
    try:
        return getattr(owner, name)
    except AttributeError as exc:
        raise EmulatorError(
            f"MiniStack has no {owner.__name__}.{name}, which a fix replaces; "
            "review ops/emulator/fixes for the installed release"
        ) from exc


def replace(owner: ModuleType | type, name: str, replacement: Any) -> Any:
    """Set the attribute and return its former value.

    Raises
    ------
    EmulatorError
        It doesn't exist: the fix is written for another release.
    """
    before = original(owner, name)
    setattr(owner, name, replacement)
    return before


def replace_operation(
    owner: ModuleType, name: str, wrapped: Callable[[Callable[..., Any]], Callable[..., Any]]
) -> None:
    """Replace an operation, also in the tables through which a module calls its operations.

    Parameters
    ----------
    wrapped
        Returns the new function for the former one.

    Raises
    ------
    EmulatorError
        The function doesn't exist: the fix is written for another release.
    """
    replacement = wrapped(original(owner, name))
    before = replace(owner, name, replacement)
    for table in vars(owner).values():
        if type(table) is dict:
            for action, handler in table.items():
                if handler is before:
                    table[action] = replacement
