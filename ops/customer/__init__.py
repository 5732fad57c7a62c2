"""One customer's personal data: what is held, in one file, and its erasure.

Read `search.py` for which events concern a customer, and `erased.py` for what is kept of them. `objects.py`,
`rows.py`, `parked.py` and `items.py` are the stores: the ledger in S3 and in PostgreSQL, the dead-letter
queues and the idempotency table. `holdings.py` reads all of them, and `export.py` writes what they hold to a
file. `plan.py` says what an erasure changes, `refusals.py` what forbids it, and `erasure.py` does it.
"""
