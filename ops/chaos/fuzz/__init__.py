"""Envelopes that nobody would send, through the handlers and the audit function themselves.

`envelopes.py`, `target.py`, `audit.py`, `run.py`. One process per function, as in Lambda, with a real HTTP
server for the API, a real PostgreSQL for the ledger and an embedded AWS.
"""
