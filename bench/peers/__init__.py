"""The peers of `make bench`: other ways from the same Stripe events to the same API (docs/performance.md)."""
