"""Replace parts of MiniStack; a missing part is an error."""

from __future__ import annotations

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
