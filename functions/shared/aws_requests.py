"""Requests to AWS services with a JSON protocol, signed by botocore's signer, without botocore's clients.

A client of boto3 loads the description of its service, the rules of its endpoints and certificates of its
own: more than half of a handler's cold start. The few operations that handle an event need none of it. What
is sent, and what an error is, equals a client of boto3 in the standard retry mode with three attempts:

- Throttling, server errors, a wrong checksum and no answer are retried, after random waits of at most 1 and
  2 seconds, as long as the retry quota lasts.
- An error of the service is a `ClientError` with the members of its answer; no answer is a `BotoCoreError`.
- Region, credentials, endpoints and certificate file come from the variables that boto3 reads. Profiles,
  proxies, and FIPS or dual-stack endpoints are not supported.

Sources: botocore's `auth`, `retries.standard`, `retries.quota`, `parsers` and `httpsession`; AWS SDKs and
Tools Reference Guide, "Retry behavior" and "Service-specific endpoints".
"""

from __future__ import annotations

import itertools
import json
import os
import random
import time
import uuid
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlsplit

import urllib3
from botocore import exceptions
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
    SSLError,
)

from functions import __version__
from functions.shared import tls


class Service(NamedTuple):
    """How a service is addressed: target prefix, version of its JSON protocol, name in AWS_ENDPOINT_URL_…."""

    target: str
    json_version: str
    variable: str


SERVICES: Final[Mapping[str, Service]] = {
    "dynamodb": Service("DynamoDB_20120810", "1.0", "DYNAMODB"),
    "secretsmanager": Service("secretsmanager", "1.1", "SECRETS_MANAGER"),
    "sqs": Service("AmazonSQS", "1.0", "SQS"),
}
# DNS suffixes of the partitions that have another one than amazonaws.com, by the beginning of their regions.
DNS_SUFFIXES: Final[Mapping[str, str]] = {
    "cn-": "amazonaws.com.cn",
    "eusc-": "amazonaws.eu",
    "us-iso-": "c2s.ic.gov",
    "us-isob-": "sc2s.sgov.gov",
    "eu-isoe-": "cloud.adc-e.uk",
    "us-isof-": "csp.hci.ic.gov",
}

RETRIED_STATUSES: Final = frozenset({500, 502, 503, 504})
RETRIED_CODES: Final = frozenset(
    {
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "ReplicatedWriteConflictException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
        "SlowDown",
        "Throttling",
        "ThrottledException",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
LONGEST_WAIT_SECONDS: Final = 20
# The quota limits the retries of a client while a service fails: each one takes tokens, each success returns
# some.
RETRY_QUOTA: Final = 500
RETRY_COST: Final = 5
TIMEOUT_RETRY_COST: Final = 10
SUCCESS_REFUND: Final = 1


class AnswerError(exceptions.BotoCoreError):
    """A successful answer is not a JSON object: something else than the service answered."""

    fmt = "the answer is not a JSON object"


class Credentials(NamedTuple):
    """What the signer reads of a role's credentials."""

    access_key: str
    secret_key: str
    token: str | None


class Client:
    """A client of one service in the function's region. Its methods are named as boto3's.

    Parameters
    ----------
    connect_seconds, read_seconds
        Time limits of each attempt.
    attempts
        Most attempts of a call.

    Raises
    ------
    ClientError
        By a method: the service answered with an error.
    BotoCoreError
        By a method: the service did not answer, or the environment has no credentials. By the constructor: it
        has no region.
    """

    def __init__(self, service: str, *, connect_seconds: float, read_seconds: float, attempts: int) -> None:
        self._name = service
        self._service = SERVICES[service]
        self._attempts = attempts
        self._region = os.environ.get("AWS_DEFAULT_REGION") or os.environ.get("AWS_REGION", "")
        if not self._region:
            raise exceptions.NoRegionError
        self._url = f"{endpoint_url(service, self._region).rstrip('/')}/"
        self._path = urlsplit(self._url).path
        trust = {"ssl_context": tls.aws_context()} if self._url.startswith("https:") else {}
        self._pool = urllib3.connection_from_url(
            self._url, timeout=urllib3.Timeout(connect=connect_seconds, read=read_seconds), **trust
        )
        self._quota = RETRY_QUOTA

    def __getattr__(self, method: str) -> Callable[..., dict[str, Any]]:
        """Return the operation of a method such as `update_item`."""
        if method.startswith("_"):
            raise AttributeError(method)
        return partial(self._call, "".join(word.capitalize() for word in method.split("_")))

    def _call(self, operation: str, /, **arguments: Any) -> dict[str, Any]:
        if operation == "TransactWriteItems":
            # DynamoDB executes a repeated request with the same token once.
            arguments.setdefault("ClientRequestToken", str(uuid.uuid4()))
        body = json.dumps(arguments).encode()
        refund = SUCCESS_REFUND
        for attempt in itertools.count(1):
            try:
                answer = self._attempt(operation, body)
            except (exceptions.BotoCoreError, exceptions.ClientError) as error:
                cost = _retry_cost(error)
                if cost is None or attempt == self._attempts or cost > self._quota:
                    raise
                self._quota -= cost
                refund = cost
            else:
                self._quota = min(RETRY_QUOTA, self._quota + refund)
                return answer
            wait = min(2.0 ** (attempt - 1), LONGEST_WAIT_SECONDS)
            time.sleep(random.random() * wait)  # noqa: S311 (not for secrecy)
        raise AssertionError("the last attempt returns or raises")

    def _attempt(self, operation: str, body: bytes) -> dict[str, Any]:
        answer = self._send(self._signed(operation, body), body)
        expected = answer.headers.get("x-amz-crc32") if self._name == "dynamodb" else None
        if expected is not None and expected != (actual := str(zlib.crc32(answer.data))):
            raise exceptions.ChecksumError(
                checksum_type="crc32", expected_checksum=expected, actual_checksum=actual
            )
        try:
            document = json.loads(answer.data or b"{}")
        except ValueError:
            document = None
        if answer.status >= 300:
            raise _error(answer, document if isinstance(document, dict) else {}, operation)
        if not isinstance(document, dict):
            raise AnswerError
        return document

    def _signed(self, operation: str, body: bytes) -> Mapping[str, str]:
        """Return the headers of a request, with its signature."""
        headers = {
            "X-Amz-Target": f"{self._service.target}.{operation}",
            "Content-Type": f"application/x-amz-json-{self._service.json_version}",
            "User-Agent": _user_agent(),
        }
        if self._name == "sqs":
            # SQS then names its errors as it did before it spoke JSON.
            headers["x-amzn-query-mode"] = "true"
        trace = os.environ.get("_X_AMZN_TRACE_ID")
        if trace and "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
            # By this AWS detects functions that call themselves.
            headers["X-Amzn-Trace-Id"] = quote(trace, safe="-=;:+&[]{}\"',")
        request = AWSRequest("POST", self._url, headers, body)
        # botocore.credentials has classes for them, and the search for credentials everywhere else.
        credentials: Any = _credentials()
        SigV4Auth(credentials, self._name, self._region).add_auth(request)
        return dict(request.headers.items())

    def _send(self, headers: Mapping[str, str], body: bytes) -> urllib3.BaseHTTPResponse:
        try:
            return self._pool.urlopen(
                "POST", self._path, body, headers, retries=False, redirect=False, decode_content=False
            )
        except SSLError as error:
            raise exceptions.SSLError(endpoint_url=self._url, error=error) from error
        except NewConnectionError as error:
            raise exceptions.EndpointConnectionError(endpoint_url=self._url, error=error) from error
        except ConnectTimeoutError as error:
            raise exceptions.ConnectTimeoutError(endpoint_url=self._url, error=error) from error
        except ReadTimeoutError as error:
            raise exceptions.ReadTimeoutError(endpoint_url=self._url, error=error) from error
        except ProtocolError as error:
            raise exceptions.ConnectionClosedError(endpoint_url=self._url, error=error) from error
        except HTTPError as error:
            raise exceptions.HTTPClientError(error=error) from error


def endpoint_url(service: str, region: str) -> str:
    """Return the URL of a service in a region, or the one that the environment sets for it."""
    if os.environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() != "true":
        own = os.environ.get(f"AWS_ENDPOINT_URL_{SERVICES[service].variable}")
        if configured := own or os.environ.get("AWS_ENDPOINT_URL"):
            return configured
    suffixes = (suffix for begin, suffix in DNS_SUFFIXES.items() if region.startswith(begin))
    return f"https://{service}.{region}.{next(suffixes, 'amazonaws.com')}"


def _user_agent() -> str:
    """Name the program, and the function's runtime as boto3 names it."""
    environment = os.environ.get("AWS_EXECUTION_ENV")
    runtime = f" exec-env/{environment}" if environment else ""
    return f"huntaze-stripe-eventbridge/{__version__}{runtime}"


def _credentials() -> Credentials:
    """Read the credentials of the function's role, as they are now."""
    access_key = os.environ.get("AWS_ACCESS_KEY_ID")
    secret_key = os.environ.get("AWS_SECRET_ACCESS_KEY")
    if not access_key or not secret_key:
        raise exceptions.NoCredentialsError
    return Credentials(access_key, secret_key, os.environ.get("AWS_SESSION_TOKEN"))


def _retry_cost(error: Exception) -> int | None:
    """Return the tokens that a retry after an error takes; None if there is none."""
    if isinstance(error, exceptions.ClientError):
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        retried = status in RETRIED_STATUSES or error.response["Error"]["Code"] in RETRIED_CODES
        return RETRY_COST if retried else None
    if isinstance(error, (exceptions.ConnectTimeoutError, exceptions.ReadTimeoutError)):
        return TIMEOUT_RETRY_COST
    retried = isinstance(
        error, (exceptions.ConnectionError, exceptions.HTTPClientError, exceptions.ChecksumError)
    )
    return RETRY_COST if retried else None


def _error(
    answer: urllib3.BaseHTTPResponse, document: Mapping[str, Any], operation: str
) -> exceptions.ClientError:
    # The code as in "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException:http://…".
    code = str(document.get("__type", answer.status)).partition(":")[0].rpartition("#")[2]
    query_code, _, fault = answer.headers.get("x-amzn-query-error", "").partition(";")
    message = document.get("message", document.get("Message", ""))
    response: Any = {
        **document,
        "Error": {"Code": query_code if query_code and fault else code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": answer.status},
    }
    return exceptions.ClientError(response, operation)
