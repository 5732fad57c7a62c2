"""Names that the deployed stack and the functions agree on. Imports only the standard library."""

# ruff: noqa: S105  (these are the names of secrets, not their values)

import re
from typing import Final

# The functions that apply events; each has a rule, a dead-letter queue and rows of the routing table.
PAYMENTS: Final = "payments"
BILLING: Final = "billing"
HANDLERS: Final = (PAYMENTS, BILLING)

# Ids of Stripe's objects and events. An id becomes an HTTP header, so it holds only what a header may hold.
STRIPE_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,255}")

# The thin twin of a snapshot event has the snapshot event's type with this prefix (Stripe, "Migrate from
# snapshot events to thin events").
THIN_PREFIX: Final = "v1."

# Environment variables of the functions.
ENVIRONMENT: Final = "ENVIRONMENT"
HUNTAZE_API_URL: Final = "HUNTAZE_API_URL"
SECRET_IDS: Final = "SECRET_IDS"
IDEMPOTENCY_TABLE: Final = "IDEMPOTENCY_TABLE"
IDEMPOTENCY_EXPIRY_SECONDS: Final = "IDEMPOTENCY_EXPIRY_SECONDS"
LIVEMODE: Final = "LIVEMODE"
DEAD_LETTER_QUEUE_URL: Final = "DEAD_LETTER_QUEUE_URL"
ORDER: Final = "ORDER"
STRIPE_READS_PER_SECOND: Final = "STRIPE_READS_PER_SECOND"
LEDGER_BUCKET: Final = "LEDGER_BUCKET"

# Keys of the secrets' JSON documents; an environment variable of the same name takes precedence.
HUNTAZE_API_KEY: Final = "HUNTAZE_API_KEY"
STRIPE_SECRET_KEY: Final = "STRIPE_SECRET_KEY"
DATABASE_URL: Final = "DATABASE_URL"
SECRET_KEYS: Final = (HUNTAZE_API_KEY, STRIPE_SECRET_KEY, DATABASE_URL)
# Each value is in a secret of its own, a JSON document with its key, so that a function can read no other
# value. SECRET_IDS are the ARNs of the secrets that a function reads, separated by commas.
SECRET_NAMES: Final = {
    HUNTAZE_API_KEY: "huntaze/stripe-eventbridge/{environment}",
    STRIPE_SECRET_KEY: "huntaze/stripe-eventbridge/{environment}/stripe-secret-key",
    DATABASE_URL: "huntaze/stripe-eventbridge/{environment}/database-url",
}

# How an older state of an object is prevented from overwriting a newer one; see functions.pipeline.ordering.
WATERMARK: Final = "watermark"
REFETCH: Final = "refetch"
OFF: Final = "off"
ORDERS: Final = (WATERMARK, REFETCH, OFF)

# A replay whose name begins with this applies its events again; any other replay applies nothing twice.
FORCED_REPLAY_PREFIX: Final = "forced-"

# In the client context of an invocation: whether the API's answer to this call settles an earlier call with
# unknown outcome. Only an operator sets it, for events that the operator has checked.
SETTLE: Final = "settle"

# Attributes of the idempotency table.
IDEMPOTENCY_KEY_ATTRIBUTE: Final = "id"
IDEMPOTENCY_EXPIRY_ATTRIBUTE: Final = "expiration"

# Metrics, with the dimensions service, environment and event_type. AuthenticationRefused has no event_type,
# because an alarm watches it for the whole function.
METRICS_NAMESPACE: Final = "HuntazeStripe"
DIMENSION_SERVICE: Final = "service"
DIMENSION_ENVIRONMENT: Final = "environment"
DIMENSION_EVENT_TYPE: Final = "event_type"
EVENTS_APPLIED: Final = "EventsApplied"
EVENTS_RECORDED: Final = "EventsRecorded"
DUPLICATES_SKIPPED: Final = "DuplicatesSkipped"
STALE_SKIPPED: Final = "StaleSkipped"
EVENTS_PARKED: Final = "EventsParked"
EVENTS_FAILED: Final = "EventsFailed"
# Of the whole function, without an event_type, for an alarm.
MESSAGES_PARKED: Final = "MessagesParked"
EVENT_AGE: Final = "EventAge"
API_LATENCY: Final = "ApiLatency"
AUTHENTICATION_REFUSED: Final = "AuthenticationRefused"

# Prefix of the id of an envelope that reconcile made, before the event's id. EventBridge's ids are UUIDs.
RECONCILED_ID_PREFIX: Final = "reconcile-"

# Where the audit function writes in its bucket; one folder per day of receipt.
LEDGER_PREFIX: Final = "audit/"
# How the keys of compacted objects end; the function that compacts may write no other.
LEDGER_COMPACTED: Final = "-compacted.jsonl.gz"

# Variables of the redrive function, besides those of the handlers.
AUTO_REDRIVE_ATTEMPTS: Final = "AUTO_REDRIVE_ATTEMPTS"
AUTO_REDRIVE_PER_SECOND: Final = "AUTO_REDRIVE_PER_SECOND"
DEAD_LETTER_QUEUE_URLS: Final = "DEAD_LETTER_QUEUE_URLS"
HANDLER_SECONDS: Final = "HANDLER_SECONDS"
# Seconds that an invocation may take beyond the handler's time-out: for its start and for the network.
START_SECONDS: Final = 15
# At the end of a run, beyond a handler's time-out: seconds in which a redrive begins nothing more, so that
# begun invocations end and received messages are released.
REDRIVE_RESERVE_SECONDS: Final = START_SECONDS + 5
# Without an event_type, like AuthenticationRefused; alarms watch the last two.
EVENTS_REDRIVEN: Final = "EventsRedriven"
EVENTS_LEFT: Final = "EventsLeft"
EVENTS_GIVEN_UP: Final = "EventsGivenUp"
OLDEST_MESSAGE_AGE: Final = "OldestLetterAge"
# The only item of the idempotency table that its role may write.
REDRIVE_RUN: Final = "redrive#run"

# Variables of the reconcile function, besides those of the handlers.
RECONCILE: Final = "RECONCILE"
EVENT_SOURCE_NAME: Final = "EVENT_SOURCE_NAME"
EVENTS_QUEUE_URL: Final = "EVENTS_QUEUE_URL"
HANDLER_FUNCTIONS: Final = "HANDLER_FUNCTIONS"
RECONCILE_REPORT: Final = "report"
RECONCILE_HEAL: Final = "heal"
# Unix seconds, or empty: events that were created before are not compared.
RECONCILE_FROM: Final = "RECONCILE_FROM"
# Connected accounts whose events are compared too: ids with commas between, or ALL_ACCOUNTS; may be unset.
RECONCILE_ACCOUNTS: Final = "RECONCILE_ACCOUNTS"
ALL_ACCOUNTS: Final = "all"
# Stripe's API reference, "The Account object".
ACCOUNT_ID: Final = re.compile(r"acct_[A-Za-z0-9]{1,249}")
# Seconds after which an event that reached the bus has a record of its handler, or is in a dead-letter queue.
HANDLED_WITHIN_SECONDS: Final = "HANDLED_WITHIN_SECONDS"
# How far Stripe's list was compared with the ledger, and how far with the handlers' records.
RECONCILE_CHECKPOINT: Final = "reconcile#checkpoint"
RECONCILE_HANDLED_CHECKPOINT: Final = "reconcile#handled"
# The connected account that was compared last: the next run begins behind it.
RECONCILE_LAST_ACCOUNT: Final = "reconcile#accounts"
# Without an event_type, like AuthenticationRefused; alarms watch the sums.
EVENTS_MISSING: Final = "EventsMissing"
EVENTS_UNHANDLED: Final = "EventsUnhandled"
# How far back Stripe lists events (Stripe API reference, "List all events").
STRIPE_LIST_DAYS: Final = 30

# The largest entry of EventBridge, asynchronous payload of Lambda and message of SQS, attributes included
# (AWS Compute Blog, "More room to build: serverless services now support payloads up to 1 MB").
EVENT_BYTES: Final = 1024 * 1024

# SQS keeps a message for at most 14 days (Amazon SQS, "Message quotas"), and each queue here does. An
# operator must handle a parked event within this time.
QUEUE_RETENTION_SECONDS: Final = 14 * 24 * 3600

# Hosts to which http is as safe as https: the traffic stays on the machine.
LOOPBACK_HOSTS: Final = ("127.0.0.1", "::1", "localhost")

# FIFO message group, in the audit queue, of the event types that no handler takes.
OTHER_MESSAGE_GROUP: Final = "other"

# Who may rewrite the ledger's objects now: a compaction or an erasure, never both.
LEDGER_REWRITE: Final = "ledger#rewrite"

# Where forced replays are recorded in the ledger bucket, and where erasures of a customer are.
REPLAYS_PREFIX: Final = "replays/"
ERASURES_PREFIX: Final = "erasures/"

# Key of an event in the ledger whose personal values were erased, with the time of the erasure.
ERASED: Final = "erased"
