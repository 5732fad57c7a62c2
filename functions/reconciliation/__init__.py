"""Reconciliation: compare Stripe's own list of events with the ledger, and heal what is missing.

Read `gap.py`, then `heal.py`, then `run.py`, which the schedule starts. The operators' command shares the
first two.
"""
