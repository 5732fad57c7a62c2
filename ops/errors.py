"""The one error that operators see: a line that says what is wrong and what to do next."""

from __future__ import annotations

from typing import Final

NO_CREDENTIALS: Final = (
    "no AWS credentials: export AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
)


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
