"""Write the name of the event source into an environment's file; everything else stays as it is."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Final

import tomlkit
from tomlkit.exceptions import TOMLKitError

from infra.settings.loading import FOLDER
from ops.errors import OperatorError

KEY: Final = "stripe_event_source_name"
# The example in a new environment's file.
_EXAMPLE: Final = re.compile(rf'^#\s*{KEY}\s*=\s*".*"\s*$', re.MULTILINE)


def path_of(environment: str, folder: Path = FOLDER) -> Path:
    """Return the file of an environment."""
    return folder / f"{environment}.toml"


def written(path: Path) -> str:
    """Return the name in a file; empty if it has none.

    Raises
    ------
    OperatorError
        The file can't be read.
    """
    return str(_parsed(_text(path), path).get(KEY, ""))


def write(path: Path, source_name: str) -> None:
    """Set the name in a file, at once or not at all: in place, else where the example is, else at the top.

    Raises
    ------
    OperatorError
        The file can't be read or written.
    """
    text = _text(path)
    document = _parsed(text, path)
    if KEY in document:
        document[KEY] = source_name
        text = tomlkit.dumps(document)
    elif _EXAMPLE.search(text):
        text = _EXAMPLE.sub(lambda _found: _line(source_name), text, count=1)
    else:
        text = f"{_line(source_name)}\n{text}"
    if _parsed(text, path).get(KEY) != source_name:
        raise OperatorError(f"can't write {KEY} into {path}: set {_line(source_name)} by hand")
    try:
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as draft:
            draft.write(text)
        Path(draft.name).chmod(path.stat().st_mode & 0o777)
        Path(draft.name).replace(path)
    except OSError as error:
        raise OperatorError(
            f"can't write {path} ({error.strerror}): set {_line(source_name)} by hand"
        ) from error


def _line(source_name: str) -> str:
    return f'{KEY} = "{source_name}"'


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise OperatorError(f"can't read {path} ({type(error).__name__}): check the file") from error


def _parsed(text: str, path: Path) -> tomlkit.TOMLDocument:
    try:
        return tomlkit.parse(text)
    except TOMLKitError as error:
        raise OperatorError(f"{path} is not valid TOML ({error}): correct it") from error
