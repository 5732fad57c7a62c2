"""The embedded AWS serves the run that started it, and neither another user nor a web page."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from botocore.exceptions import ClientError

from ops import ROOT
from ops.local.clients import Aws, Credentials
from ops.local.loopback import free_port
from ops.local.services import isolated_environment
from tests.emulator.process import Emulator
from tests.emulator.resources import function, invoke
from tests.emulator.roles import EVERYTHING, role, session

CONTROL = ("/_control/faults", "/_ministack/health", "/_ministack/sqs/messages")
FUNCTIONS = "/2015-03-31/functions"


def ask(
    emulator: Emulator, path: str, method: str = "GET", *, key: str | None = None, **headers: str
) -> httpx.Response:
    """Send a request with the run's key in both forms, or with another key."""
    key = emulator.aws.credentials.access_key_id if key is None else key
    signed = f"AWS4-HMAC-SHA256 Credential={key}/20260401/eu-west-1/lambda/aws4_request, SignedHeaders=host"
    authorization = f"Bearer {key}" if path in CONTROL else signed
    return httpx.request(
        method,
        f"{emulator.aws.url}{path}",
        headers={"Authorization": authorization, **headers} if key else headers,
        trust_env=False,
        timeout=10,
    )


@pytest.mark.parametrize("path", [*CONTROL, FUNCTIONS])
def test_the_run_itself_is_served(emulator: Emulator, path: str) -> None:
    assert ask(emulator, path).status_code == 200
    assert ask(emulator, path, Host=f"localhost:{emulator.aws.url.rpartition(':')[2]}").status_code == 200


@pytest.mark.parametrize("path", [*CONTROL, FUNCTIONS, "/health", "/_localstack/health", "/"])
@pytest.mark.parametrize("key", ["", "test", "000000000000", "AKIAANOTHER"])
def test_unknown_access_key_is_refused(emulator: Emulator, path: str, key: str) -> None:
    answer = ask(emulator, path, key=key)
    assert answer.status_code == 403
    assert answer.json()["message"] == "the access key is not the one of this run"


@pytest.mark.parametrize("path", [*CONTROL, FUNCTIONS])
@pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1:1", "null"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_web_page_is_refused_and_may_read_nothing(
    emulator: Emulator, path: str, origin: str, method: str
) -> None:
    answer = ask(emulator, path, method, Origin=origin)
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("path", [*CONTROL, FUNCTIONS])
@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:80", "", "[::2]:80", "10.0.0.1"])
def test_another_host_name_is_refused(emulator: Emulator, path: str, host: str) -> None:
    assert ask(emulator, path, Host=host).status_code == 403


def test_a_presigned_url_is_served_without_credentials(emulator: Emulator) -> None:
    s3 = emulator.aws.client("s3")
    s3.create_bucket(Bucket="presigned", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(Bucket="presigned", Key="a", Body=b"content")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "presigned", "Key": "a"})
    assert httpx.get(url, trust_env=False).content == b"content"
    foreign = url.replace(emulator.aws.credentials.access_key_id, "AKIAANOTHER")
    assert httpx.get(foreign, trust_env=False).status_code == 403


@pytest.mark.parametrize(
    ("service", "operation"),
    [
        ("dynamodb", "list_tables"),
        ("lambda", "list_functions"),
        ("sqs", "list_queues"),
        ("sts", "get_caller_identity"),
        ("cloudwatch", "describe_alarms"),
    ],
)
def test_sdk_with_other_credentials_gets_the_error(emulator: Emulator, service: str, operation: str) -> None:
    other = Aws(emulator.aws.url, emulator.aws.region, Credentials.random())
    with pytest.raises(ClientError, match="the access key is not the one of this run") as refused:
        getattr(other.client(service), operation)()
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_s3_client_with_other_credentials_is_refused(emulator: Emulator) -> None:
    other = Aws(emulator.aws.url, emulator.aws.region, Credentials.random())
    with pytest.raises(ClientError) as refused:
        other.client("s3").list_buckets()
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_functions_have_the_credentials_of_their_role(emulator: Emulator) -> None:
    code = """
import boto3, os
def handler(event, context):
    caller = boto3.client("sts").get_caller_identity()
    return {"arn": caller["Arn"], "key": os.environ["AWS_ACCESS_KEY_ID"]}
"""
    arn = function(emulator.aws, code, Timeout=20)
    answer = invoke(emulator.aws, arn, {})
    name = arn.rpartition(":")[2]
    assert answer["arn"] == f"arn:aws:sts::000000000000:assumed-role/administrator/{name}"
    assert answer["key"] != emulator.aws.credentials.access_key_id
    # Nobody can compute it from names: another run's differs.
    other = invoke(emulator.aws, function(emulator.aws, code, Timeout=20), {})
    assert other["key"] != answer["key"]


def test_a_sessions_key_without_its_secret_is_refused(emulator: Emulator) -> None:
    arn = role(emulator.aws, "known", EVERYTHING)
    known = session(emulator.aws, arn).credentials
    forged = Credentials(known.access_key_id, "0" * 40, known.session_token)
    with pytest.raises(ClientError, match="signature"):
        Aws(emulator.aws.url, emulator.aws.region, forged).client("sqs").list_queues()


def test_each_run_has_its_own_credentials() -> None:
    first, second = Credentials.random(), Credentials.random()
    assert first.access_key_id != second.access_key_id
    assert first.secret_access_key not in repr(first)


def test_start_without_an_access_key_ends_with_one_line(tmp_path: Path) -> None:
    environment = isolated_environment(tmp_path)
    del environment["AWS_ACCESS_KEY_ID"]
    command = ["-m", "ops.emulator", "--port", str(free_port()), "--state-dir", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (
        1,
        "error: no access key: export AWS_ACCESS_KEY_ID, and use the same one in clients\n",
    )


def test_error_is_json(emulator: Emulator) -> None:
    answer = ask(emulator, FUNCTIONS, key="x")
    assert json.loads(answer.content)["__type"] == "UnrecognizedClientException"
