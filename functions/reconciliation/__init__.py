"""Reconciliation: Stripe's own list of events against the ledger, and the way back for what is missing.

Read `gap.py`, then `heal.py`, then `run.py`, which is what the schedule starts; the operators' command
shares the first two.
"""
