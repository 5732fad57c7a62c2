"""A bucket, a table and Stripe for the scheduled reconciliation."""

from __future__ import annotations

import gzip
import itertools
import json
import time
from dataclasses import dataclass
from typing import Any

from functions.ledger.keys import object_key
from functions.ledger.records import parse
from functions.pipeline.idempotency import record_key
from functions.pipeline.routing_table import ROUTES
from functions.reconciliation.heal import HealTargets, envelope
from functions.shared import names
from ops.local.clients import Aws
from ops.local.services import REGION
from ops.reference.stripe import ReferenceStripe
from tests.functions.conftest import Start
from tests.functions.function import Function
from tests.unit import snapshots

KEY = "sk_test_reconcile"
SOURCE = "aws.partner/stripe.com/ed_test_reconcile"
PERSONAL = "jenny.rosen@example.com"
HOUR = 3600
DAY = 24 * HOUR
HANDLED_WITHIN = 7 * HOUR
MINUTE = 60
LONG = 300.0
# Less than the function reserves for a batch: it stops after one.
SHORT = 30.0

_numbers = itertools.count(1)


def event(seconds_ago: float, event_type: str = "customer.updated") -> dict[str, Any]:
    """An event that Stripe created some seconds ago."""
    made = snapshots.envelope(
        event_type,
        snapshots.customer(email=PERSONAL),
        id=f"evt_reconcile_{next(_numbers)}",
        created=int(time.time() - seconds_ago),
    )
    detail: dict[str, Any] = made["detail"]
    return detail


@dataclass
class World:
    """A bucket, a table and Stripe, all empty at first."""

    aws: Aws
    stripe: ReferenceStripe
    start: Start
    name: str

    def function(self, **variables: str) -> Function:
        merged: dict[str, str] = {
            names.STRIPE_SECRET_KEY: KEY,
            "STRIPE_API_URL": self.stripe.url,
            names.LEDGER_BUCKET: self.name,
            names.IDEMPOTENCY_TABLE: self.name,
            names.RECONCILE: "report",
            names.RECONCILE_FROM: str(int(time.time()) - DAY),
            names.HANDLED_WITHIN_SECONDS: str(HANDLED_WITHIN),
            names.LIVEMODE: "false",
            "AWS_MAX_ATTEMPTS": "1",
        }
        return self.start("reconcile", **(merged | variables))

    def audit(self, *events: dict[str, Any]) -> None:
        """Put events into the ledger, as one object."""
        targets = HealTargets(SOURCE, "aws", "000000000000", REGION, {}, "")
        records = [
            parse(
                {
                    "messageId": f"message-{next(_numbers)}",
                    "body": json.dumps(envelope(each, targets)),
                    "attributes": {"SentTimestamp": str(each["created"] * 1000 + 900)},
                }
            )
            for each in events
        ]
        body = gzip.compress("".join(f"{record.line}\n" for record in records).encode())
        self.aws.client("s3").put_object(Bucket=self.name, Key=object_key(records), Body=body)

    def handle(self, event: dict[str, Any], status: str = "COMPLETED", expires: float = DAY) -> None:
        """Write the handler's record of an event."""
        key = record_key(ROUTES[event["type"]].handler, event["id"])
        item = {
            "id": {"S": key},
            "status": {"S": status},
            "expiration": {"N": str(int(time.time() + expires))},
        }
        self.aws.client("dynamodb").put_item(TableName=self.name, Item=item)

    def checkpoint(self, key: str = "reconcile#checkpoint") -> tuple[int, bool] | None:
        item = self.aws.client("dynamodb").get_item(TableName=self.name, Key={"id": {"S": key}}).get("Item")
        return None if item is None else (int(item["compared_until"]["N"]), item["complete"]["BOOL"])

    def asked_since(self) -> list[int]:
        """Return the start of each list that was requested from Stripe, in order."""
        starts = [
            int(part.partition("=")[2])
            for request in self.stripe.requests()
            for part in request.path.replace("%5B", "[").replace("%5D", "]").split("&")
            if part.startswith("created[gte]=") or part.startswith("/v1/events?created[gte]=")
        ]
        return list(dict.fromkeys(starts))


def new_world(aws: Aws, stripe: ReferenceStripe, start: Start) -> World:
    """A bucket and a table of their own, and an empty Stripe."""
    name = f"reconcile-{next(_numbers)}-test"
    aws.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    aws.client("dynamodb").create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return World(aws, stripe, start, name)
