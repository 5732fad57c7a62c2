"""Run the reference Stripe API in the foreground until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from types import FrameType

from ops.local.reference_stripe.exchange import StripeExchange
from ops.local.reference_stripe.server import StripeServer
from ops.local.reference_stripe.store import Store


def main() -> int:
    """Serve; return 1 with one line where the key or the port can't be used."""
    options = _options()
    try:
        secret_key = options.key_file.read_text().strip()
        if not secret_key:
            return _fail(f"{options.key_file} holds no secret key")
        server = StripeServer(StripeExchange(secret_key, Store(), options.reads_per_second), options.port)
    except (OSError, ValueError, OverflowError) as error:
        return _fail(f"the reference Stripe API can't start on port {options.port}: {error}")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    sys.stderr.write(f"reference Stripe API listens on {server.url}\n")
    try:
        server.serve_forever()
    finally:
        server.server_close()
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m ops.local.reference_stripe", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="loopback port to listen on")
    parser.add_argument("--key-file", type=Path, required=True, help="file that holds the bearer key")
    parser.add_argument("--reads-per-second", type=int, help="answer 429 to what is asked more often")
    return parser.parse_args()


def _fail(message: str) -> int:
    sys.stderr.write(f"{message}\n")
    return 1


def _leave(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    sys.exit(main())
