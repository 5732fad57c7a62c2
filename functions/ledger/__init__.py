"""The audit ledger: every delivery to the event bus in S3, and every event in PostgreSQL."""
