"""The audit ledger: every event of the bus, once a delivery in S3 and once an event in PostgreSQL."""
