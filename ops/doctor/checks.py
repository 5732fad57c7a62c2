"""The checks, in the order of the table: the way of an event, after what everything rests on."""

from __future__ import annotations

from typing import Final

from ops.doctor import (
    account,
    alarms,
    bus,
    exits,
    functions,
    policies,
    queues,
    state,
    stores,
    stripe,
    targets,
)
from ops.doctor.check import Check

# Without these nothing else can be checked.
FIRST: Final = (Check("credentials", account.credentials), Check("account", account.account))
CHECKS: Final = (
    Check("region", state.region),
    Check("state bucket", state.bucket),
    Check("state versioning", state.versioning),
    Check("state lock", state.lock),
    Check("Stripe key", stripe.key),
    Check("event destination", stripe.destination),
    Check("event types", stripe.event_types),
    Check("event source", bus.source),
    Check("bus", bus.bus),
    Check("archive", bus.archive),
    Check("rules", bus.rules),
    Check("targets", targets.targets),
    Check("permissions", policies.invocations),
    Check("queue policies", policies.queue_policies),
    Check("topic policy", policies.topic_policy),
    Check("key policy", policies.key_policy),
    Check("secrets", functions.secrets),
    Check("functions", functions.functions),
    Check("failure exits", exits.exits),
    Check("function code", functions.code),
    Check("concurrency", functions.concurrency),
    Check("paused", functions.paused),
    Check("subscriptions", alarms.subscriptions),
    Check("alarms", alarms.alarms),
    Check("dead-letter queues", queues.parked),
    Check("audit backlog", queues.backlog),
    Check("ledger bucket", stores.bucket),
    Check("ledger database", stores.database),
    Check("idempotency", stores.table),
    Check("Huntaze API", stores.api),
)
