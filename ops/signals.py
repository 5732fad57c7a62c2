"""Exit codes, and signals that end a program with one line: shared by the command line and `main.py`.

It imports next to nothing: a program calls `exit_at_once` before it loads anything else.
"""

import os
import signal
import sys
from types import FrameType
from typing import Any, Final

FAILED, USAGE, REFUSED, INTERRUPTED, TERMINATED = 1, 2, 3, 130, 143
# What a supervisor or a closed terminal sends.
_TERMINATING: Final = (signal.SIGTERM, signal.SIGHUP)
STDERR: Final = 2
_received: list[int] = []


def exit_at_once() -> None:
    """End the program at the first signal; for the time while modules load and nothing is started yet.

    An exception would not do: Python drops the one that is raised in a callback of its import system.
    """
    # A shell without job control starts what it puts into the background with SIGINT ignored.
    for number in (signal.SIGINT, *_TERMINATING):
        signal.signal(number, _exit)


def raise_exceptions() -> None:
    """Raise KeyboardInterrupt at SIGINT and SystemExit at SIGTERM and SIGHUP, so that all is cleaned up."""
    _received.clear()
    for number in (signal.SIGINT, *_TERMINATING):
        signal.signal(number, raise_for)
    sys.unraisablehook = _unraisable


def ignore_interrupts() -> None:
    """Let no SIGINT disturb the end of a program, which is near."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def interrupted() -> bool:
    """Return whether SIGINT came, also where a library has turned its exception into another one."""
    return signal.SIGINT in _received


def _exit(number: int, _frame: FrameType | None) -> None:
    if number == signal.SIGINT:
        os.write(STDERR, b"interrupted\n")
    os._exit(INTERRUPTED if number == signal.SIGINT else TERMINATED)


def raise_for(number: int, _frame: FrameType | None) -> None:
    """Raise the exception of a signal: KeyboardInterrupt at SIGINT, else SystemExit."""
    _received.append(number)
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    sys.exit(TERMINATED)


def _unraisable(unraisable: Any) -> None:
    """Send a signal again whose exception was raised in a finalizer or a weakref callback, which drop it.

    After a signal other errors there are its consequence: an object was left half made.
    """
    if not _received:
        sys.__unraisablehook__(unraisable)
    if not _received or not issubclass(unraisable.exc_type, KeyboardInterrupt | SystemExit):
        return
    import threading

    # By a timer: raised here, the exception would be dropped once more.
    threading.Timer(0.01, os.kill, (os.getpid(), _received[-1])).start()
