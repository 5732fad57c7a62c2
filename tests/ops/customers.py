"""An environment that holds events of several customers, in every store and as the functions write them."""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg.rows import dict_row

from functions.ledger.keys import object_key
from functions.ledger.postgres import LedgerTable
from functions.ledger.records import LedgerRecord, parse
from functions.pipeline.effects import effect_key
from functions.pipeline.idempotency import record_key
from functions.pipeline.ordering import states_key
from functions.shared import names
from ops.local.clients import Aws
from ops.local.services import REGION
from tests.ops.dead_letters import World
from tests.unit import snapshots

ACCOUNT = "000000000000"
BUCKET = f"huntaze-stripe-ledger-dev-{ACCOUNT}"
TABLE = "huntaze-stripe-idempotency-dev"
SECRET = "huntaze/stripe-eventbridge/dev/database-url"
JENNY, MARK = "cus_Jenny1", "cus_Mark1"
# What must be nowhere after the erasure of Jenny.
PERSONAL = (
    "jenny.rosen@example.com",
    "Jenny Rosen",
    "+33199000000",
    "12 Rue de l'Exemple",
    "no. 4242 of Jenny",
)

_numbers = itertools.count(1)


def event(event_type: str, stripe_object: dict[str, Any], **detail: Any) -> dict[str, Any]:
    """An envelope with ids of its own."""
    number = next(_numbers)
    made = snapshots.envelope(event_type, stripe_object, id=f"evt_cu{number}", **detail)
    return made | {"id": f"00000000-0000-4000-8000-{number:012}"}


def of_jenny() -> dict[str, dict[str, Any]]:
    """Events that concern Jenny, by what they show."""
    customer = {
        "id": JENNY,
        "object": "customer",
        "email": PERSONAL[0],
        "name": PERSONAL[1],
        "phone": PERSONAL[2],
        "address": {"line1": PERSONAL[3], "city": "Paris"},
        "metadata": {"note": PERSONAL[4]},
    }
    payment = snapshots.payment_intent(
        id="pi_Jenny1", customer=JENNY, receipt_email=PERSONAL[0], metadata={"note": PERSONAL[4]}
    )
    dispute = {
        "id": "dp_Jenny1",
        "object": "dispute",
        "amount": 2599,
        "payment_intent": "pi_Jenny1",
        "evidence": {"customer_name": PERSONAL[1], "customer_email_address": PERSONAL[0]},
    }
    return {
        "created": event("customer.created", customer),
        "updated": event(
            "customer.updated",
            customer,
            data={"object": customer, "previous_attributes": {"name": PERSONAL[1]}},
        ),
        "paid": event("payment_intent.succeeded", payment),
        "disputed": event("charge.dispute.created", dispute),
    }


def of_mark() -> dict[str, Any]:
    return event(
        "customer.created",
        {"id": MARK, "object": "customer", "email": "mark@example.com", "metadata": {"friend": JENNY}},
    )


@dataclass
class Customers:
    """The environment dev with a ledger, a table and the dead-letter queues of `World`."""

    world: World
    database_url: str
    envelopes: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def aws(self) -> Aws:
        return self.world.aws

    @property
    def s3(self) -> Any:
        return self.aws.client("s3")

    def audit(self, *envelopes: dict[str, Any], age: int = 0) -> str:
        """Store one batch as the audit function does, and return its object's key."""
        records = [self._record(envelope, age) for envelope in envelopes]
        key = object_key(records)
        body = gzip.compress("".join(f"{record.line}\n" for record in records).encode(), mtime=0)
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=body, ContentType="application/gzip")
        table = LedgerTable(self.database_url)
        assert table.insert(records) == []
        table.close()
        return key

    def _record(self, envelope: dict[str, Any], age: int) -> LedgerRecord:
        sent = int((datetime.now(UTC).timestamp() - age) * 1000)
        return parse(
            {
                "messageId": f"message-{next(_numbers)}",
                "body": json.dumps(envelope),
                "attributes": {"SentTimestamp": str(sent)},
            }
        )

    def handle(self, envelope: dict[str, Any], object_type: str) -> None:
        """Write the items of an applied event."""
        detail = envelope["detail"]
        object_id = detail["data"]["object"]["id"]
        handler = "payments" if detail["type"].startswith("payment") else "billing"
        items: list[dict[str, Any]] = [
            {"id": {"S": record_key(handler, detail["id"])}, "status": {"S": "COMPLETED"}},
            {
                "id": {"S": states_key(None, object_type, object_id)},
                "applied_by": {"S": detail["id"]},
                "after_hash": {"S": "hash-of-a-body"},
                "before_hash": {"NULL": True},
            },
            {
                "id": {"S": effect_key(None, object_type, object_id, detail["type"], "/api/x", None)},
                "done": {"BOOL": True},
            },
        ]
        for item in items:
            self.aws.client("dynamodb").put_item(
                TableName=TABLE, Item=item | {"expiration": {"N": "4102444800"}}
            )

    def fill(self) -> None:
        """Store everything, one object with Mark's event among Jenny's, and one that is Mark's alone."""
        self.envelopes = of_jenny() | {"mark": of_mark(), "other": of_mark()}
        self.audit(self.envelopes["disputed"], age=400)
        self.audit(self.envelopes["created"], self.envelopes["mark"], self.envelopes["paid"], age=300)
        self.audit(self.envelopes["other"], age=200)
        self.audit(self.envelopes["updated"], age=100)
        self.handle(self.envelopes["updated"], "customer")
        self.handle(self.envelopes["paid"], "payment_intent")

    def versions(self, prefix: str = "audit/") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.s3.list_object_versions(Bucket=BUCKET, Prefix=prefix).get(
            "Versions", []
        )
        return found

    def content(self, version: dict[str, Any]) -> str:
        body = self.s3.get_object(Bucket=BUCKET, Key=version["Key"], VersionId=version["VersionId"])[
            "Body"
        ].read()
        return (gzip.decompress(body) if version["Key"].endswith(".gz") else body).decode()

    def lines(self) -> dict[str, str]:
        """The current lines of the ledger in S3, by event."""
        texts = [
            line for each in self.versions() if each["IsLatest"] for line in self.content(each).splitlines()
        ]
        return {json.loads(text)["event_id"]: text for text in texts}

    def rows(self) -> dict[str, dict[str, Any]]:
        with psycopg.connect(self.database_url, row_factory=dict_row) as connection:
            found = connection.execute("SELECT * FROM stripe_event_ledger").fetchall()
        return {row["event_id"]: row for row in found}

    def items(self) -> list[dict[str, Any]]:
        """All items but the lease of who rewrites the ledger, which holds nothing of anyone."""
        found: list[dict[str, Any]] = self.aws.client("dynamodb").scan(TableName=TABLE)["Items"]
        return [each for each in found if each["id"]["S"] != names.LEDGER_REWRITE]

    def everything(self) -> str:
        """All that the stores hold about anyone, in every version."""
        objects = [self.content(version) for version in self.versions("")]
        return "\n".join([*objects, json.dumps(self.rows(), default=str), json.dumps(self.items())])

    def hold(self, version: dict[str, Any], status: str) -> None:
        """Set or remove the legal hold of a version."""
        self.s3.put_object_legal_hold(**place(version), LegalHold={"Status": status})

    def deployed(self, database_url: str) -> None:
        """Write the value of the environment's secret."""
        self.aws.client("secretsmanager").put_secret_value(
            SecretId=SECRET, SecretString=json.dumps({"DATABASE_URL": database_url})
        )

    def park(self, envelope: dict[str, Any]) -> str:
        """Put an event into the payments queue as its handler does, and return its id."""
        parked = {"reason": "the API answered 422", "error": "PermanentError", "status": 422}
        self.world.put("payments-dlq", json.dumps({"parked": parked, "envelope": envelope}))
        return str(envelope["detail"]["id"])

    def clear(self) -> None:
        for version in self.versions(""):
            self.hold(version, "OFF")
            self.s3.delete_object(**place(version), BypassGovernanceRetention=True)
        for item in self.items():
            self.aws.client("dynamodb").delete_item(TableName=TABLE, Key={"id": item["id"]})
        with psycopg.connect(self.database_url) as connection:
            connection.execute("DROP TABLE IF EXISTS stripe_event_ledger")


def make(world: World, database_url: str) -> Customers:
    """Make the stores; the bucket can lock objects, and locks none by itself."""
    s3 = world.aws.client("s3")
    s3.create_bucket(
        Bucket=BUCKET,
        CreateBucketConfiguration={"LocationConstraint": REGION},
        ObjectLockEnabledForBucket=True,
    )
    world.aws.client("dynamodb").create_table(
        TableName=TABLE,
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    world.aws.client("secretsmanager").create_secret(
        Name=SECRET, SecretString=json.dumps({"DATABASE_URL": ""})
    )
    return Customers(world, database_url)


def place(version: dict[str, Any]) -> dict[str, Any]:
    """The arguments by which S3 knows a version."""
    return {"Bucket": BUCKET, "Key": version["Key"], "VersionId": version["VersionId"]}


def values(texts: Sequence[str], text: str) -> list[str]:
    """Which of the values a text holds, whatever their spelling in JSON."""
    return [each for each in texts if each in text or json.dumps(each)[1:-1] in text]
