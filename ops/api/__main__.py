"""Write docs/huntaze-api.openapi.json anew: `python -m ops.api`."""

from __future__ import annotations

import sys

from ops.api.openapi import FILE, written


def main() -> int:
    """Write the file; return the exit code."""
    FILE.write_text(written(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
