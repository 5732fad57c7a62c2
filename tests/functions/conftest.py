"""The services that the functions use: an embedded AWS, an HTTP server as the API, a real PostgreSQL."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest

from functions.shared import names
from ops.local.clients import Aws
from ops.local.postgres import running_postgres
from ops.local.services import REGION, isolated_environment, running_emulator
from ops.reference.huntaze import ReferenceApi
from ops.reference.stripe import ReferenceStripe
from tests.functions.function import Function, running_function
from tests.unit import snapshots

API_KEY = "hk_test_functions"
STRIPE_KEY = "sk_test_functions"
TABLE = "idempotency"
BUCKET = "huntaze-ledger-test"
SECRET = "huntaze/stripe-eventbridge/test"
DAYS_100 = "8640000"
# What the deployed queues take.
MAXIMUM_MESSAGE_BYTES = str(names.EVENT_BYTES)

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("functions")


@pytest.fixture(scope="session")
def aws_url(folder: Path) -> Iterator[str]:
    with running_emulator(folder / "aws") as url:
        yield url


@pytest.fixture(scope="session")
def aws(aws_url: str) -> Aws:
    """The embedded AWS with a table, a bucket and a secret, as in the stack."""
    embedded = Aws(aws_url, REGION)
    embedded.client("dynamodb").create_table(
        TableName=TABLE,
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    embedded.client("s3").create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    embedded.client("secretsmanager").create_secret(
        Name=SECRET, SecretString=json.dumps({names.HUNTAZE_API_KEY: API_KEY, names.DATABASE_URL: ""})
    )
    return embedded


@pytest.fixture(scope="session")
def dead_letter_queue(aws: Aws) -> str:
    """URL of the queue in which the handlers park events."""
    url: str = aws.client("sqs").create_queue(
        QueueName="huntaze-dlq-test", Attributes={"MaximumMessageSize": MAXIMUM_MESSAGE_BYTES}
    )["QueueUrl"]
    return url


@pytest.fixture(scope="session")
def audit_dead_letter_queue(aws: Aws) -> str:
    """URL of the FIFO queue in which the audit function parks messages."""
    fifo = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
    url: str = aws.client("sqs").create_queue(
        QueueName="huntaze-audit-dlq-test.fifo",
        Attributes=fifo | {"MaximumMessageSize": MAXIMUM_MESSAGE_BYTES},
    )["QueueUrl"]
    return url


@pytest.fixture(scope="session")
def running_api() -> Iterator[ReferenceApi]:
    with ReferenceApi(API_KEY) as server:
        yield server


@pytest.fixture
def api(running_api: ReferenceApi) -> Iterator[ReferenceApi]:
    yield running_api
    running_api.clear_faults()


@pytest.fixture(scope="session")
def running_stripe() -> Iterator[ReferenceStripe]:
    with ReferenceStripe(STRIPE_KEY) as server:
        yield server


@pytest.fixture
def stripe(running_stripe: ReferenceStripe) -> Iterator[ReferenceStripe]:
    yield running_stripe
    running_stripe.clear()


@pytest.fixture(scope="session")
def environment(
    folder: Path, aws_url: str, dead_letter_queue: str, running_api: ReferenceApi
) -> dict[str, str]:
    """The variables that the deployed stack sets, all secrets in the secret."""
    return isolated_environment(folder / "function") | {
        "AWS_ENDPOINT_URL": aws_url,
        names.ENVIRONMENT: "dev",
        names.LIVEMODE: "false",
        names.HUNTAZE_API_URL: running_api.url,
        names.SECRET_IDS: SECRET,
        names.IDEMPOTENCY_TABLE: TABLE,
        names.IDEMPOTENCY_EXPIRY_SECONDS: DAYS_100,
        names.LEDGER_BUCKET: BUCKET,
        names.DEAD_LETTER_QUEUE_URL: dead_letter_queue,
        names.ORDER: names.WATERMARK,
        names.STRIPE_READS_PER_SECOND: "20",
        "POWERTOOLS_METRICS_NAMESPACE": names.METRICS_NAMESPACE,
        "POWERTOOLS_LOG_LEVEL": "INFO",
    }


class Parked:
    """The handlers' dead-letter queue."""

    def __init__(self, aws: Aws, url: str) -> None:
        self._sqs = aws.client("sqs")
        self._url = url

    def take(self) -> list[tuple[dict[str, str], dict[str, Any]]]:
        """Receive and delete every message; return their attributes and bodies."""
        taken = []
        while messages := self._sqs.receive_message(
            QueueUrl=self._url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        ).get("Messages"):
            for message in messages:
                self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
                attributes = message.get("MessageAttributes", {})
                taken.append(
                    (
                        {name: value["StringValue"] for name, value in attributes.items()},
                        json.loads(message["Body"]),
                    )
                )
        return taken


@pytest.fixture
def parked(aws: Aws, dead_letter_queue: str) -> Parked:
    queue = Parked(aws, dead_letter_queue)
    queue.take()
    return queue


Start = Callable[..., Function]


@pytest.fixture(scope="module")
def start(
    environment: dict[str, str], audit_dead_letter_queue: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Start]:
    """Start execution environments; variables given replace the stack's."""
    own = {"audit": {names.DEAD_LETTER_QUEUE_URL: audit_dead_letter_queue}}
    with ExitStack() as stack:

        def begin(handler: str, **variables: str) -> Function:
            log = tmp_path_factory.mktemp("log") / f"{handler}.log"
            merged = environment | {"POWERTOOLS_SERVICE_NAME": handler} | own.get(handler, {}) | variables
            return stack.enter_context(running_function(handler, merged, log))

        yield begin


@pytest.fixture(scope="module")
def payments(start: Start) -> Function:
    return start("payments")


@pytest.fixture(scope="module")
def billing(start: Start) -> Function:
    return start("billing")


@pytest.fixture(scope="session")
def database_server(folder: Path) -> Iterator[str]:
    with running_postgres(folder / "postgres") as url:
        yield url


@pytest.fixture
def database_url(database_server: str) -> Iterator[str]:
    """An empty database of its own for one test."""
    name = f"test_{next(_numbers)}"
    with psycopg.connect(database_server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
        yield f"{database_server.rpartition('/')[0]}/{name}"
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


def fresh(event_type: str, stripe_object: dict[str, Any], **detail: Any) -> dict[str, Any]:
    """An envelope with an object, an event id and an envelope id of its own."""
    number = next(_numbers)
    object_id = stripe_object.get("id")
    if isinstance(object_id, str):
        stripe_object = stripe_object | {"id": f"{object_id}_{number}"}
    made = snapshots.envelope(event_type, stripe_object, id=f"evt_fn_{number}", **detail)
    return made | {"id": f"envelope-{number}"}
