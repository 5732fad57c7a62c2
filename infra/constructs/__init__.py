"""The capabilities of the pipeline, in the order in which an event passes them.

1. event_bus: Stripe's partner event bus; archive: everything on it, for a replay
2. rules: which events go where; bus_log: all of them, in a log group
3. handler: rule, function and dead-letter queue of payments or billing
4. secret and idempotency: what a handler reads, and which events it has applied
5. audit: rules, FIFO queue and function, which writes to the ledger
6. schedule: a scheduled function; reconciliation: the one that compares with Stripe
7. monitoring: alarms, dashboard and saved queries of all of them
"""

from infra import fast_provider

# Before the first import of a binding.
fast_provider.prepare()
