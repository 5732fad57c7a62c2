"""`python -m ops.bundles`: build the function bundles for one target and print their digests."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ops.bundles import LAMBDA, Target, build
from ops.bundles.target import MACHINES
from ops.errors import OperatorError
from ops.plain import plain


def main(arguments: Sequence[str] | None = None) -> int:
    """Build, print path, size in bytes and SHA-256 of each bundle, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m ops.bundles", description=main.__doc__)
    parser.add_argument("--architecture", choices=sorted(MACHINES), default=LAMBDA.architecture)
    parser.add_argument("--runtime", metavar="pythonX.Y", default=LAMBDA.runtime)
    options = parser.parse_args(arguments)
    try:
        bundles = build(Target(options.architecture, options.runtime), _say)
    except OperatorError as error:
        sys.stderr.write(f"error: {plain(error)}\n")
        return 1
    for bundle in bundles.values():
        sys.stdout.write(f"{bundle.path} {bundle.path.stat().st_size} {bundle.sha256}\n")
    return 0


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
