"""What runs in Lambda: from Stripe's events on the bus to the Huntaze API and the audit ledger."""

__version__ = "0.1.0"
