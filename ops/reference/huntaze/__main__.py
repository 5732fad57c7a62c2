"""Run the reference Huntaze API in the foreground until SIGTERM or Ctrl-C."""

from __future__ import annotations

import sys
from pathlib import Path

from ops.reference.huntaze.dialects import CODED, DIALECTS
from ops.reference.huntaze.exchange import ApiExchange
from ops.reference.huntaze.server import ApiServer
from ops.reference.server import foreground


def main() -> int:
    """Serve; return 1 after one line if the key, the journal or the port can't be used."""
    parser = foreground.parser("ops.reference.huntaze", __doc__)
    parser.add_argument(
        "--journal", type=Path, help="file of JSON lines from which a restarted server restores its state"
    )
    parser.add_argument(
        "--dialect", choices=DIALECTS, default=CODED.name, help="how it responds to repeated and busy keys"
    )
    options = parser.parse_args()
    dialect = DIALECTS[options.dialect]
    return foreground.serve(
        "reference API",
        "API key",
        options,
        lambda key: ApiServer(ApiExchange(key, options.journal, dialect), options.port),
    )


if __name__ == "__main__":
    sys.exit(main())
