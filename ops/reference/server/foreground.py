"""Run a reference API in the foreground until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from ops.reference.server.server import ReferenceServer


def parser(module: str, description: str | None) -> argparse.ArgumentParser:
    """Return a parser of the common options of the reference APIs."""
    options = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    options.add_argument("--port", type=int, required=True, help="loopback port to listen on")
    options.add_argument("--key-file", type=Path, required=True, help="file with the bearer key")
    return options


def serve(
    name: str, key_name: str, options: argparse.Namespace, make: Callable[[str], ReferenceServer]
) -> int:
    """Serve the server that `make` returns for the key; return 1 after one line if it can't start."""
    try:
        key = options.key_file.read_text().strip()
        if not key:
            return _fail(f"{options.key_file} is empty: write the {key_name} into it")
        server = make(key)
    except (OSError, ValueError, OverflowError) as error:
        return _fail(f"the {name} can't start on port {options.port}: {error}")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    sys.stderr.write(f"{name} listens on {server.url}\n")
    try:
        server.serve_forever()
    finally:
        server.server_close()
    return 0


def _fail(message: str) -> int:
    sys.stderr.write(f"{message}\n")
    return 1


def _leave(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)
