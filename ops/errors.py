"""The one error that operators see: a line that says what is wrong and what to do next."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

NO_CREDENTIALS: Final = (
    "no AWS credentials: export AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
)


def did_you_mean(wrong: str, known: Collection[str], otherwise: str) -> str:
    """Return the next step after a mistyped name: the known name that is nearest to it, or another step."""
    import difflib

    near = difflib.get_close_matches(wrong, known, n=1)
    return f"did you mean {near[0]}?" if near else otherwise


class OperatorError(Exception):
    """A failure that an operator can fix. The message is one line: what is wrong, the value, what to do.

    Parameters
    ----------
    usage
        Whether the command was used wrongly (exit code 2) rather than failed (exit code 1).
    """

    def __init__(self, message: str, *, usage: bool = False) -> None:
        super().__init__(message)
        self.usage = usage


class DeniedError(OperatorError):
    """AWS denied a call.

    Parameters
    ----------
    what
        What was requested.
    needed
        The right that the caller lacks.
    """

    def __init__(self, what: str, code: str, needed: str) -> None:
        self._what, self._code, self._needed = what, code, needed
        super().__init__(self.naming("the command"))

    @property
    def needed(self) -> str:
        """The right that the caller lacks."""
        return self._needed

    def naming(self, command: str) -> str:
        """Return the message with the name of the command that was denied."""
        return (
            f"AWS denied {self._what} ({self._code}): {command} needs {self._needed}; see docs/permissions.md"
        )
