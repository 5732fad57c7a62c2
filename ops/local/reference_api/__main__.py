"""Run the reference Huntaze API in the foreground until SIGTERM or Ctrl-C."""

from __future__ import annotations

import sys
from pathlib import Path

from ops.local.reference_api.exchange import ApiExchange
from ops.local.reference_api.server import ApiServer
from ops.local.reference_server import foreground


def main() -> int:
    """Serve; return 1 with one line where the key, the journal or the port can't be used."""
    parser = foreground.parser("ops.local.reference_api", __doc__)
    parser.add_argument("--journal", type=Path, help="JSON lines that let a restarted server remember")
    options = parser.parse_args()
    return foreground.serve(
        "reference API",
        "API key",
        options,
        lambda key: ApiServer(ApiExchange(key, options.journal), options.port),
    )


if __name__ == "__main__":
    sys.exit(main())
