"""Run the embedded AWS: `python -m ops.emulator --port N --state-dir DIR [--without FIX]...`.

It accepts the access key in AWS_ACCESS_KEY_ID and no other.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Final

from ops.emulator import EmulatorError
from ops.emulator.fixes import FIXES, selected
from ops.emulator.server import EmulatorServer

ACCESS_KEY: Final = "AWS_ACCESS_KEY_ID"


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        fixes = selected(options.without)
        EmulatorServer(options.port, options.state_dir.resolve(), _access_key_id(), fixes).run()
    except EmulatorError as exc:
        print(f"error: {exc}", file=sys.stderr)  # noqa: T201 - a server process without the CLI's console
        return 1
    return 0


def _access_key_id() -> str:
    value = os.environ.get(ACCESS_KEY, "")
    if not value:
        raise EmulatorError(f"no access key: export {ACCESS_KEY}, and use the same one in clients")
    return value


def _parser() -> argparse.ArgumentParser:
    fixes = "\n".join(f"  {fix.name:18} {fix.reason}" for fix in FIXES)
    parser = argparse.ArgumentParser(
        prog="python -m ops.emulator",
        description="An AWS on loopback: MiniStack with this project's fixes.",
        epilog=f"fixes:\n{fixes}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=int, required=True, help="TCP port on 127.0.0.1")
    parser.add_argument("--state-dir", type=Path, required=True, help="folder for everything that it writes")
    parser.add_argument("--without", action="append", default=[], metavar="FIX", help="leave a fix out")
    return parser


if __name__ == "__main__":
    sys.exit(main())
