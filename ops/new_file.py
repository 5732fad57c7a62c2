"""The file that a command writes what it found to."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
        The name is not UTF-8, or that of a folder, link, device or pipe; or the file exists, or its folder
        does not.
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
    # For root, the rename at the end would replace even /dev/null, or the link /dev/stdout.
    if os.path.lexists(file) and not stat.S_ISREG(file.lstat().st_mode):
        raise existing(option, file, "name a file, not a link, device or pipe")
    if not file.parent.is_dir():
        message = f"invalid {option} {file}: its folder does not exist; create {file.parent} first"
        raise OperatorError(message, usage=True)


def existing(option: str, file: Path, advice: str) -> OperatorError:
    """Return the error of a file that exists."""
    return OperatorError(f"invalid {option} {file}: it exists; {advice}", usage=True)


@contextmanager
def draft(option: str, file: Path, prefix: str, *, if_it_exists: str, force: bool) -> Iterator[Path]:
    """Yield a new file with mode 0600 beside `file`, which it becomes when the block has ended well.

    So until all is written `file` does not change. What killed processes have left is removed.

    Parameters
    ----------
    prefix
        How the names of drafts begin; the id of the process follows. The name should name no person.
    force
        Whether to replace a file that exists.

    Raises
    ------
    OperatorError
        The file can't be written, or exists and `force` is off.
    """
    remove_drafts(file.parent, prefix)
    made = file.with_name(f"{prefix}{os.getpid()}")
    try:
        with _file_errors(option, file):
            os.close(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            yield made
            with made.open("rb") as written:
                os.fsync(written.fileno())
            if force:
                made.replace(file)
            else:
                # Unlike a rename, a link never replaces a file that was made meanwhile.
                os.link(made, file)
    except FileExistsError:
        raise existing(option, file, if_it_exists) from None
    finally:
        made.unlink(missing_ok=True)


def remove_drafts(folder: Path, prefix: str) -> None:
    """Remove the drafts that killed processes have left; this one has written nothing yet."""
    for each in folder.glob(f"{prefix}*"):
        # In a folder for everyone, drafts of others are not ours to remove.
        with suppress(PermissionError, FileNotFoundError, ValueError):
            process = each.name.removeprefix(prefix)
            if process == str(os.getpid()) or not _runs(process):
                each.unlink()


def _runs(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    return True


@contextmanager
def _file_errors(option: str, file: Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError:
        raise
    except OSError as error:
        raise OperatorError(f"can't write {file} ({error.strerror}): use another {option}") from error
