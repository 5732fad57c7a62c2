"""The path of one event through a handler.

1. `process` is the entry: it runs the steps below, parks what no retry can help, and reports the outcome.
2. `envelope` checks the EventBridge envelope and returns the event; `replay_names` reads a replay's name.
3. `routing_table` has one row per event type. `route` maps the event's object by its row to a request of the
   API; `objects` reads the object's values.
4. `apply` applies the event once. `claims` claims its items in one transaction: its record (`idempotency`),
   its effect (`effects`) and the states of its object (`ordering`), all in the `idempotency_table`.
5. `refetch` fetches the object's current state from Stripe, where that is sent instead of the event's.
6. `api` calls the Huntaze API, and `apply` ends the claim by what is known of the outcome.
7. `outcomes` logs and counts how it ended; `parking` puts what no retry can help into the dead-letter queue.
"""
