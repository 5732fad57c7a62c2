"""The capabilities of the pipeline, in the order in which an event passes them.

1. event_bus: Stripe's partner event bus; archive: all its events, for a replay
2. rules: which events go where; bus_log: all of them, to a log group
3. handler: rule, function and dead-letter queue of payments or billing
4. secret, idempotency: what a handler reads, and which events it has applied
5. audit: rules, FIFO queue and function; ledger: the bucket that it writes to; ledger_table: it, for Athena
6. schedule: a scheduled function; redrive, reconciliation: two that publish metrics
7. inventory: what has metrics, ARNs or addresses; monitoring: alarms, dashboard and saved queries
8. deployment_roles: who may deploy it from GitHub, and what no role of it may exceed
"""

from infra import fast_provider

# Before the first import of a binding.
fast_provider.prepare()
