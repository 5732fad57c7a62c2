"""The embedded AWS and the reference API, which the peers are compared on."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from functions.shared import names
from ops.local.clients import Aws
from ops.local.services import REGION, isolated_environment, running_emulator
from ops.reference.huntaze import ReferenceApi

API_KEY = "hk_test_bench"
TABLE = "idempotency"
SECRET = "huntaze/stripe-eventbridge/bench"


@pytest.fixture(scope="session")
def running_api() -> Iterator[ReferenceApi]:
    with ReferenceApi(API_KEY) as server:
        yield server


@pytest.fixture(scope="session")
def environment(
    tmp_path_factory: pytest.TempPathFactory, running_api: ReferenceApi
) -> Iterator[dict[str, str]]:
    """The variables of every side: an embedded AWS with the table and the secret, and the API."""
    folder = tmp_path_factory.mktemp("bench")
    with running_emulator(folder / "aws") as url:
        aws = Aws(url, REGION)
        aws.client("dynamodb").create_table(
            TableName=TABLE,
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        )
        aws.client("secretsmanager").create_secret(
            Name=SECRET, SecretString=json.dumps({names.HUNTAZE_API_KEY: API_KEY})
        )
        queue = aws.client("sqs").create_queue(QueueName="huntaze-dlq-bench")["QueueUrl"]
        variables = isolated_environment(folder / "function")
        # A side has a path of its own.
        variables.pop("PYTHONPATH", None)
        yield variables | {
            "AWS_ENDPOINT_URL": url,
            "POWERTOOLS_SERVICE_NAME": "bench",
            "POWERTOOLS_METRICS_NAMESPACE": names.METRICS_NAMESPACE,
            names.ENVIRONMENT: "dev",
            names.LIVEMODE: "false",
            names.HUNTAZE_API_URL: running_api.url,
            names.SECRET_IDS: SECRET,
            names.IDEMPOTENCY_TABLE: TABLE,
            names.IDEMPOTENCY_EXPIRY_SECONDS: "8640000",
            names.DEAD_LETTER_QUEUE_URL: queue,
            names.ORDER: names.OFF,
            names.STRIPE_READS_PER_SECOND: "20",
        }
