"""The embedded AWS, `python -m ops.emulator`: MiniStack with our fixes, on loopback."""

from ops.errors import OperatorError


class EmulatorError(OperatorError):
    """The embedded AWS can't start with these options; the message says what to change."""
