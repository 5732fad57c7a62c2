"""Run the reference Stripe API in the foreground until SIGTERM or Ctrl-C."""

from __future__ import annotations

import os
import sys

from ops.local.clients import Aws, Credentials
from ops.reference.server import foreground
from ops.reference.stripe.exchange import StripeExchange
from ops.reference.stripe.partner import EmbeddedPartner
from ops.reference.stripe.server import StripeServer
from ops.reference.stripe.store import Store


def main() -> int:
    """Serve; return 1 after one line if the key or the port can't be used."""
    parser = foreground.parser("ops.reference.stripe", __doc__)
    parser.add_argument("--reads-per-second", type=int, help="return 429 for more requests per second")
    parser.add_argument("--aws-url", help="embedded AWS in which event destinations have their event sources")
    parser.add_argument("--aws-region", default="eu-west-1", help="its region")
    options = parser.parse_args()
    partner = _partner(options.aws_url, options.aws_region) if options.aws_url else None
    return foreground.serve(
        "reference Stripe API",
        "secret key",
        options,
        lambda key: StripeServer(
            StripeExchange(key, Store(), options.reads_per_second, partner), options.port
        ),
    )


def _partner(url: str, region: str) -> EmbeddedPartner:
    return EmbeddedPartner(Aws(url, region, Credentials.of(os.environ)))


if __name__ == "__main__":
    sys.exit(main())
