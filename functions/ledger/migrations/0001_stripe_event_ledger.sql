-- One row per Stripe event of any type. Safe to run again.

CREATE TABLE IF NOT EXISTS stripe_event_ledger (
    event_id     text        PRIMARY KEY,
    first_seen   timestamptz NOT NULL,
    -- Ids of the EventBridge envelopes that delivered the event. Ids are counted instead of inserts, so that
    -- a message that SQS delivers twice does not look like a second delivery by Stripe.
    delivery_ids text[]      NOT NULL,
    deliveries   integer     NOT NULL GENERATED ALWAYS AS (cardinality(delivery_ids)) STORED,
    type         text        NOT NULL,
    object_id    text,
    customer_id  text,
    api_version  text,
    -- The whole event, personal data included: grant access to this table as to Stripe's dashboard.
    payload      jsonb       NOT NULL
);

CREATE INDEX IF NOT EXISTS stripe_event_ledger_first_seen ON stripe_event_ledger (first_seen);
CREATE INDEX IF NOT EXISTS stripe_event_ledger_type ON stripe_event_ledger (type, first_seen);
CREATE INDEX IF NOT EXISTS stripe_event_ledger_object_id ON stripe_event_ledger (object_id);
CREATE INDEX IF NOT EXISTS stripe_event_ledger_customer_id ON stripe_event_ledger (customer_id);
