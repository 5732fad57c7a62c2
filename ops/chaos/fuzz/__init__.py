"""Malformed envelopes, sent to the handlers and the audit function directly.

`envelopes.py`, `target.py`, `audit.py`, `run.py`. One process per function, as in Lambda, with a real HTTP
server for the API, a real PostgreSQL for the ledger and an embedded AWS.
"""
