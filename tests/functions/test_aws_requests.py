"""Our client of AWS compared with boto3's: the same requests, errors and retries."""

from __future__ import annotations

import json
import os
import random
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import botocore.auth
import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, SSLError
from botocore.retries import standard

from functions.pipeline import idempotency_table
from functions.shared import aws, aws_requests, tls
from functions.shared.aws_requests import Client
from ops.emulator.faults import FUNCTION_AGENT
from tests.functions.helpers import closed_url
from tests.functions.postgres_proxy import certificate
from tests.functions.scripted import Answer, Scripted, error, running_script

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")

# Seconds that a client waits for an answer: on a busy machine one takes long, and a silence is one longer.
READ_SECONDS = 20.0
SHORT_SECONDS = 0.3
SILENCE = Answer(seconds=3 * SHORT_SECONDS)
KEY = {"id": {"S": "payments#\u00e9\ud800"}}
UPDATE = {
    "TableName": "table",
    "Key": KEY,
    "UpdateExpression": "SET #a = :a",
    "ConditionExpression": "attribute_not_exists(id)",
    "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    "ExpressionAttributeValues": {":a": {"M": {"l": {"L": [{"N": "1"}, {"BOOL": True}, {"NULL": True}]}}}},
    "ExpressionAttributeNames": {"#a": "status"},
}
DELETE = {"TableName": "table", "Key": KEY, "ConditionExpression": "attribute_exists(id)"}
MESSAGE = {
    "QueueUrl": "https://sqs.eu-west-1.amazonaws.com/111122223333/dlq",
    "MessageBody": "K\u00f6nig",
    "MessageAttributes": {"reason": {"DataType": "String", "StringValue": "\u00e9"}},
}
CALLS: list[tuple[str, str, dict[str, Any]]] = [
    ("dynamodb", "update_item", UPDATE | {"ReturnValues": "ALL_OLD"}),
    ("dynamodb", "delete_item", DELETE),
    ("dynamodb", "transact_write_items", {"TransactItems": [{"Update": UPDATE}, {"Delete": DELETE}]}),
    ("secretsmanager", "get_secret_value", {"SecretId": "arn:aws:secretsmanager:eu-west-1:1:secret:x"}),
    ("sqs", "send_message", MESSAGE),
    ("sqs", "send_message", MESSAGE | {"MessageGroupId": "g", "MessageDeduplicationId": "d"}),
]
# Each SDK names itself and counts its attempts.
OWN_HEADERS = {"user-agent", "amz-sdk-invocation-id", "amz-sdk-request"}

# Each client has a session of its own. The stubs know literal names of services only.
SESSION: Any = boto3.Session


@pytest.fixture(scope="module")
def running() -> Iterator[Scripted]:
    with running_script() as server:
        yield server


@pytest.fixture
def server(running: Scripted, monkeypatch: pytest.MonkeyPatch) -> Scripted:
    running.play()
    for name in [name for name in os.environ if name.startswith(("AWS_", "_X_AMZN"))]:
        monkeypatch.delenv(name)
    variables = {
        "AWS_ENDPOINT_URL": running.url,
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "token",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return running


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits between attempts, which last no time; ours are the longest possible."""
    waited: list[float] = []
    slept = time.sleep

    def sleep(seconds: float) -> None:
        # The server sleeps too.
        act = waited.append if threading.current_thread() is threading.main_thread() else slept
        act(seconds)

    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr(random, "random", lambda: 1.0)
    return waited


def sdks(service: str, read_seconds: float = READ_SECONDS) -> Any:
    """A client of boto3 with the limits of ours."""
    limits = Config(
        connect_timeout=READ_SECONDS,
        read_timeout=read_seconds,
        retries={"mode": "standard", "total_max_attempts": aws.ATTEMPTS},
    )
    return SESSION().client(service, config=limits)


def ours(service: str, read_seconds: float = READ_SECONDS) -> Any:
    return Client(service, connect_seconds=READ_SECONDS, read_seconds=read_seconds, attempts=aws.ATTEMPTS)


@pytest.mark.parametrize("in_lambda", [False, True])
@pytest.mark.parametrize(("service", "method", "arguments"), CALLS)
def test_requests_are_those_of_boto3(
    server: Scripted,
    monkeypatch: pytest.MonkeyPatch,
    service: str,
    method: str,
    arguments: dict[str, Any],
    in_lambda: bool,
) -> None:
    monkeypatch.setattr(
        botocore.auth,
        "get_current_datetime",
        lambda *_: datetime(2026, 4, 1, tzinfo=UTC).replace(tzinfo=None),
    )
    token = {"ClientRequestToken": "t"} if method == "transact_write_items" else {}
    if in_lambda:
        monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-\u00e9 x;Parent=y")
        monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "payments")
        monkeypatch.setenv("AWS_EXECUTION_ENV", "AWS_Lambda_python3.13")
    for make in (sdks, ours):
        getattr(make(service), method)(**arguments, **token)
    theirs, own = server.received
    assert (own.path, own.body) == (theirs.path, theirs.body)
    wanted = {name: value for name, value in theirs.headers.items() if name not in OWN_HEADERS}
    assert {name: value for name, value in own.headers.items() if name != "user-agent"} == wanted
    assert ("x-amzn-trace-id" in wanted) == in_lambda
    # By this the embedded AWS knows the calls of functions, which alone can fail.
    for each in (theirs, own):
        assert (FUNCTION_AGENT in each.headers["user-agent"]) == in_lambda


def test_transaction_keeps_its_token_in_every_attempt(server: Scripted, waits: list[float]) -> None:
    server.play(error("ThrottlingException"))
    client = ours("dynamodb")
    tokens = set()
    for _ in range(2):
        with pytest.raises(ClientError):
            client.transact_write_items(TransactItems=[])
        sent = {json.loads(request.body)["ClientRequestToken"] for request in server.received}
        assert len(server.received) == 3
        tokens |= sent
        server.received.clear()
    assert len(tokens) == 2
    assert all(uuid.UUID(token).version == 4 for token in tokens)


def outcome(call: Callable[..., Any], arguments: dict[str, Any]) -> tuple[Any, ...]:
    """What a call came to: its result, or what its error means to the functions."""
    try:
        found = call(**arguments)
    except ClientError as failed:
        members = {name: failed.response.get(name) for name in ("Item", "CancellationReasons")}
        status = failed.response["ResponseMetadata"]["HTTPStatusCode"]
        return failed.response["Error"]["Code"], status, members, means(failed)
    except BotoCoreError as failed:
        return type(failed).__name__, means(failed)
    return ("returned", {name: value for name, value in found.items() if name != "ResponseMetadata"})


def means(failed: Exception) -> tuple[Any, ...]:
    fault, of_table = aws.fault("it", failed), idempotency_table._failure(failed)
    return type(fault), str(fault), type(of_table), str(of_table), getattr(of_table, "items", None)


# The stubs leave out what these classes count with.
THROTTLED: Any = standard.ThrottledRetryableChecker
TRANSIENT: Any = standard.TransientRetryableChecker
QUOTA: Any = standard.RetryQuotaChecker
REASONS = [
    {"Code": "None"},
    {"Code": "ConditionalCheckFailed", "Message": "failed", "Item": {"id": {"S": "x"}, "n": {"N": "1"}}},
]
RETRIED = sorted(
    {
        *THROTTLED._THROTTLED_ERROR_CODES,
        *TRANSIENT._TRANSIENT_ERROR_CODES,
    }
)
SCRIPTS: dict[str, list[Answer]] = {
    "success": [Answer(body=b'{"Attributes": {"id": {"S": "x"}, "n": {"N": "1.5"}}}', checksum=True)],
    "success without a body": [Answer(body=b"")],
    "created": [Answer(201)],
    **{f"{code}": [error(code)] for code in RETRIED},
    **{f"{code}, then success": [error(code), Answer()] for code in RETRIED[:3]},
    **{
        f"status {status}": [error("Unknown", status)]
        for status in (403, 404, 413, 429, 500, 501, 502, 503, 504)
    },
    "redirect": [Answer(307, headers={"Location": "https://elsewhere.invalid/"})],
    "two server errors, then success": [error("InternalServerError", 500), Answer(503, b""), Answer()],
    "page of a proxy": [Answer(502, b"<html><body>Bad gateway</body></html>")],
    "text of a proxy": [Answer(403, b"forbidden")],
    "code without its namespace": [Answer(400, b'{"__type": "ValidationException", "Message": "big M"}')],
    "code with an address": [Answer(400, b'{"__type": "a.b#AccessDeniedException:http://x/#y"}')],
    "code of the former protocol": [
        Answer(
            400,
            b'{"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "none"}',
            {"x-amzn-query-error": "AWS.SimpleQueueService.NonExistentQueue;Sender"},
        )
    ],
    "former protocol without a code": [
        Answer(400, b'{"__type": "com.amazonaws.sqs#QueueDoesNotExist"}', {"x-amzn-query-error": ";Sender"})
    ],
    "condition": [error("ConditionalCheckFailedException", Item={"id": {"S": "x"}})],
    "condition, no item": [error("ConditionalCheckFailedException")],
    "transaction": [error("TransactionCanceledException", CancellationReasons=REASONS)],
    "transaction, conflict": [
        error("TransactionCanceledException", CancellationReasons=[*REASONS, {"Code": "TransactionConflict"}])
    ],
    "transaction, in progress": [error("TransactionInProgressException"), Answer()],
    **{
        code: [error(code)]
        for code in sorted(
            aws._CONFIGURATION_CODES | {"ValidationException", "ItemCollectionSizeLimitExceeded"}
        )
    },
    "wrong checksum, then success": [Answer(checksum=False), Answer(checksum=True)],
    "error with a wrong checksum, then success": [Answer(400, checksum=False), Answer(checksum=True)],
    "connection that ends": [Answer(reset=True)],
    "connection that ends, then success": [Answer(reset=True), Answer()],
    "body that ends": [Answer(cut=True)],
    "silence": [SILENCE],
    "silence, then success": [SILENCE, Answer()],
}


@pytest.mark.parametrize(
    ("service", "method", "arguments", "name"),
    [
        (*call, name)
        for call in (CALLS[0], CALLS[2], CALLS[4])
        for name in SCRIPTS
        # The descriptions of the other services have no such members.
        if call[0] == "dynamodb" or not name.startswith(("condition", "transaction"))
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_answers_mean_what_they_mean_to_boto3(
    server: Scripted, waits: list[float], name: str, service: str, method: str, arguments: dict[str, Any]
) -> None:
    found: list[tuple[tuple[Any, ...], int, int]] = []
    for make in (sdks, ours):
        waits.clear()
        server.play(*SCRIPTS[name])
        client = make(service, SHORT_SECONDS if name.startswith("silence") else READ_SECONDS)
        found.append((outcome(getattr(client, method), arguments), len(server.received), len(waits)))
    theirs, own = found
    assert own[1:] == theirs[1:]
    if theirs[0][0] == "returned":
        # boto3 leaves out what the description of the operation does not have.
        assert own[0][0] == "returned"
        assert {key: own[0][1].get(key) for key in theirs[0][1]} == theirs[0][1]
    else:
        assert own[0] == theirs[0]
    assert waits == [1.0, 2.0][: len(waits)]


def test_conflict_between_replicas_is_retried_as_in_boto3(server: Scripted, waits: list[float]) -> None:
    for make in (sdks, ours):
        server.play(error("ReplicatedWriteConflictException"), Answer())
        assert outcome(make("dynamodb").update_item, UPDATE)[0] == "returned"
        assert len(server.received) == 2


def test_service_that_cannot_be_reached_is_as_in_boto3(
    server: Scripted, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    for url in (closed_url(), "http://localhost.invalid:1"):
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        theirs, own = (outcome(make("dynamodb").update_item, CALLS[0][2]) for make in (sdks, ours))
        assert own == theirs
        assert len(waits) == 4
        waits.clear()


def test_answer_that_stays_damaged_is_an_error(server: Scripted, waits: list[float]) -> None:
    """Unlike boto3, which takes it for a success after its last attempt."""
    client = ours("dynamodb")
    server.play(Answer(checksum=False))
    with pytest.raises(BotoCoreError, match="Checksum crc32 failed"):
        client.update_item(**UPDATE)
    assert len(server.received) == 3
    for body in (b"<html></html>", b"[]", b"null"):
        server.play(Answer(body=body))
        with pytest.raises(BotoCoreError, match="not a JSON object"):
            client.update_item(**UPDATE)
        assert len(server.received) == 1


def test_retry_quota_is_that_of_boto3(server: Scripted, waits: list[float]) -> None:
    failing, success = error("InternalServerError", 500), Answer()
    counts = []
    for make in (sdks, ours):
        client = make("dynamodb")
        requests = []
        script = [
            *[[failing]] * 52,
            *[[success]] * 7,
            [failing],
            [failing],
            *[[failing, success]] * 2,
            [failing],
        ]
        for answers in script:
            server.play(*answers)
            outcome(client.update_item, UPDATE)
            requests.append(len(server.received))
        counts.append(requests)
    theirs, own = counts
    assert own == theirs
    assert {1, 2, 3} == set(own)


def test_timeouts_take_more_of_the_quota(server: Scripted, waits: list[float]) -> None:
    client = ours("dynamodb", SHORT_SECONDS)
    client._quota = aws_requests.TIMEOUT_RETRY_COST + aws_requests.RETRY_COST
    server.play(SILENCE)
    assert outcome(client.update_item, UPDATE)[0] == "ReadTimeoutError"
    assert len(server.received) == 2
    assert client._quota == aws_requests.RETRY_COST
    assert aws_requests.TIMEOUT_RETRY_COST == QUOTA._TIMEOUT_RETRY_REQUEST
    assert (aws_requests.RETRY_COST, aws_requests.SUCCESS_REFUND) == (
        QUOTA._RETRY_COST,
        QUOTA._NO_RETRY_INCREMENT,
    )


@pytest.mark.parametrize(
    "region",
    [
        *("eu-west-1", "us-east-1", "ap-southeast-5", "us-gov-west-1", "cn-north-1", "cn-northwest-1"),
        *("us-iso-east-1", "us-isob-east-1", "eu-isoe-west-1", "us-isof-south-1", "eusc-de-east-1"),
    ],
)
@pytest.mark.parametrize("service", aws_requests.SERVICES)
def test_endpoints_are_those_of_boto3(
    server: Scripted, monkeypatch: pytest.MonkeyPatch, service: str, region: str
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    made = SESSION().client(service, region_name=region)
    assert aws_requests.endpoint_url(service, region) == made.meta.endpoint_url


def test_every_partition_has_its_suffix() -> None:
    loader = botocore.session.get_session().get_component("data_loader")
    suffixes = {each["outputs"]["dnsSuffix"] for each in loader.load_data("partitions")["partitions"]}
    assert {*aws_requests.DNS_SUFFIXES.values(), "amazonaws.com"} == suffixes


@pytest.mark.parametrize(
    "variables",
    [
        {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"},
        {"AWS_ENDPOINT_URL": "http://127.0.0.1:1/base"},
        {
            f"AWS_ENDPOINT_URL_{service.variable}": "http://127.0.0.1:2"
            for service in aws_requests.SERVICES.values()
        },
        {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ENDPOINT_URL_SQS": "http://127.0.0.1:2"},
        {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
    ],
    ids=str,
)
@pytest.mark.parametrize("service", aws_requests.SERVICES)
def test_endpoints_of_the_environment_are_used_as_by_boto3(
    server: Scripted, monkeypatch: pytest.MonkeyPatch, service: str, variables: dict[str, str]
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert aws_requests.endpoint_url(service, "eu-west-1") == SESSION().client(service).meta.endpoint_url


def test_missing_region_and_credentials_are_as_in_boto3(
    server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    theirs, own = (outcome(make("dynamodb").update_item, UPDATE) for make in (sdks, ours))
    assert own == theirs
    assert own[0] == "NoCredentialsError"
    assert server.received == []
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert outcome(lambda: ours("dynamodb"), {}) == outcome(lambda: sdks("dynamodb"), {})


def test_credentials_are_read_at_each_call(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    client = ours("dynamodb")
    client.update_item(**UPDATE)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ASIAROTATED")
    monkeypatch.delenv("AWS_SESSION_TOKEN")
    client.update_item(**UPDATE)
    before, after = server.received
    assert before.headers["x-amz-security-token"] == "token"
    assert "x-amz-security-token" not in after.headers
    assert "Credential=ASIAROTATED/" in after.headers["authorization"]


def test_connection_is_reused_and_replaced_when_it_was_closed(server: Scripted, waits: list[float]) -> None:
    client = ours("dynamodb")
    server.play(Answer(), Answer(close=True), Answer())
    for _ in range(2):
        client.update_item(**UPDATE)
    # The server closes in a thread of its own.
    deadline = time.monotonic() + 0.2
    while time.monotonic() < deadline:
        pass
    client.update_item(**UPDATE)
    first, second, third = (request.connection for request in server.received)
    assert first == second != third
    assert waits == []


@needs_openssl
def test_certificates_are_checked(
    server: Scripted, waits: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = certificate(tmp_path, "DNS:localhost")
    with running_script(made) as encrypted:
        monkeypatch.setenv("AWS_ENDPOINT_URL", encrypted.url)
        tls.aws_context.cache_clear()
        with pytest.raises(SSLError, match="self-signed certificate"):
            ours("dynamodb").update_item(**UPDATE)
        assert encrypted.received == []
        assert len(waits) == 2
        monkeypatch.setenv("AWS_CA_BUNDLE", str(made[0]))
        tls.aws_context.cache_clear()
        assert ours("dynamodb").update_item(**UPDATE) == {}
    (tmp_path / "other").mkdir()
    other = certificate(tmp_path / "other", "DNS:elsewhere")
    with running_script(other) as encrypted:
        monkeypatch.setenv("AWS_ENDPOINT_URL", encrypted.url)
        monkeypatch.setenv("AWS_CA_BUNDLE", str(other[0]))
        tls.aws_context.cache_clear()
        with pytest.raises(SSLError, match="Hostname mismatch"):
            ours("dynamodb").update_item(**UPDATE)
    tls.aws_context.cache_clear()
