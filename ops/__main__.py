"""The program `huntaze-stripe`, also `python -m ops`."""

import os
import sys

from ops import signals


def main() -> None:
    """Run the command line."""
    signals.exit_at_once()
    _open_streams()
    from ops import cli

    cli.main()


def _open_streams() -> None:
    """Open each standard stream that a shell closed, as `>&-` does: Python has None there.

    Otherwise the next file or socket would get its number, and with it what a started program prints.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8"))


if __name__ == "__main__":
    main()
