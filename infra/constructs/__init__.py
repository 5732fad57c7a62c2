"""The capabilities of the pipeline, in the order in which an event passes them:

event_bus, archive, rules, handler and audit with their queues and functions, idempotency,
ledger, secret; encryption, where a key of our own is asked for; monitoring, which watches all.
"""
