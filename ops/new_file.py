"""The file that a command writes what it found to."""

from __future__ import annotations

import os
from pathlib import Path

from ops.errors import OperatorError


def check(option: str, file: Path, default_folder: Path, *, if_it_exists: str | None) -> None:
    """Refuse a file that can't be written; the default folder is created, for its owner alone.

    Parameters
    ----------
    option
        The option that names the file, for the message.
    if_it_exists
        What to do then, for the message; None if the command replaces the file.

    Raises
    ------
    OperatorError
        The name is not UTF-8 or that of a folder, the file exists, or its folder does not.
    """
    try:
        str(file).encode()
    except UnicodeEncodeError:
        message = f"invalid {option} {str(file)!a}: the name is not UTF-8; use another one"
        raise OperatorError(message, usage=True) from None
    if file.parent == default_folder:
        try:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            message = f"can't write {file} ({error.strerror}): use another {option}"
            raise OperatorError(message) from error
    if file.is_dir() or (if_it_exists is not None and os.path.lexists(file)):
        raise existing(option, file, if_it_exists or "name a file, not a folder")
    if not file.parent.is_dir():
        message = f"invalid {option} {file}: its folder does not exist; create {file.parent} first"
        raise OperatorError(message, usage=True)


def existing(option: str, file: Path, advice: str) -> OperatorError:
    """Return the error of a file that exists."""
    return OperatorError(f"invalid {option} {file}: it exists; {advice}", usage=True)
