"""Run the reference Stripe API in the foreground until SIGTERM or Ctrl-C."""

from __future__ import annotations

import sys

from ops.reference.server import foreground
from ops.reference.stripe.exchange import StripeExchange
from ops.reference.stripe.server import StripeServer
from ops.reference.stripe.store import Store


def main() -> int:
    """Serve; return 1 after one line if the key or the port can't be used."""
    parser = foreground.parser("ops.reference.stripe", __doc__)
    parser.add_argument("--reads-per-second", type=int, help="return 429 for more requests per second")
    options = parser.parse_args()
    return foreground.serve(
        "reference Stripe API",
        "secret key",
        options,
        lambda key: StripeServer(StripeExchange(key, Store(), options.reads_per_second), options.port),
    )


if __name__ == "__main__":
    sys.exit(main())
