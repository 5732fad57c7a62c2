"""Faults that a test or the chaos run injects into the embedded AWS: which calls fail, how, and how often.

Only calls of functions can fail: those of Terraform, the AWS CLI and the tools never do. The user agent shows
who calls, since botocore names the execution environment in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal

from ops.faults import FaultPlan

FUNCTION_AGENT: Final = "exec-env/AWS_Lambda"
CREDENTIAL: Final = re.compile(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/aws4_request")
ACCEPTED_STATUS: Final = range(400, 600)

When = Literal["before", "after"]


@dataclass(frozen=True)
class AwsCall:
    """One request of a function; `subject` is the key of its item, or of the first of several."""

    service: str
    operation: str
    body: str
    subject: str


@dataclass(frozen=True)
class AwsFault:
    """One way to fail, for the calls that match every given condition.

    Parameters
    ----------
    service
        Service as in the scope of a signature: dynamodb, secretsmanager, sqs, s3.
    operation
        The operation; None is every operation of the service.
    containing
        A text in the body of the call.
    probability, seed
        The share of the calls that fails; see `ops.faults.FaultPlan`.
    times
        The maximum number of failures; None has no limit.
    status, code
        HTTP status and AWS error code of the response.
    kill
        Kill the process of the calling function instead, "before" or "after" the call takes effect.
    applies
        Whether the call takes effect before it fails.

    Raises
    ------
    ValueError
        The values contradict each other.
    """

    service: str
    operation: str | None = None
    containing: str = ""
    probability: float = 1.0
    seed: int = 0
    times: int | None = None
    status: int | None = None
    code: str = "InternalServerError"
    kill: When | None = None
    applies: bool = False
    every: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if not 0 < self.probability <= 1:
            raise ValueError("probability must be above 0 and at most 1")
        if self.times is not None and self.times < 1:
            raise ValueError("times must be 1 or more")
        if (self.status is None) == (self.kill is None):
            raise ValueError("a fault has either a status or kill")
        if self.status is not None and self.status not in ACCEPTED_STATUS:
            raise ValueError("status must be 400 to 599")
        if self.kill not in (None, "before", "after"):
            raise ValueError("kill must be before or after")

    def matches(self, call: AwsCall) -> bool:
        """Return whether a call meets the conditions."""
        return (
            self.service == call.service
            and self.operation in (None, call.operation)
            and self.containing in call.body
        )


def fault_from_json(data: Any) -> AwsFault:
    """Return the fault that a JSON object describes.

    Raises
    ------
    ValueError
        It does not describe a fault.
    """
    if not isinstance(data, dict):
        raise ValueError("a fault must be a JSON object")  # noqa: TRY004 - one error class for bad input
    try:
        return AwsFault(**data)
    except TypeError as error:
        raise ValueError(str(error)) from error


def read_call(headers: Mapping[str, str], method: str, body: bytes) -> AwsCall | None:
    """Return the call that a request makes, or None if it does not come from a function.

    Parameters
    ----------
    headers
        Their names are in lower case.
    """
    scope = CREDENTIAL.search(headers.get("authorization", ""))
    if FUNCTION_AGENT not in headers.get("user-agent", "") or scope is None:
        return None
    operation = headers.get("x-amz-target", "").rpartition(".")[2] or method
    text = body.decode(errors="replace")
    return AwsCall(scope[1], operation, text, _subject(text))


def _subject(body: str) -> str:
    try:
        request = json.loads(body)
        if "TransactItems" in request:
            (request,) = request["TransactItems"][0].values()
        key = request.get("Key") or request.get("Item") or {}
        return str(key["id"])
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return ""


def fault_plan() -> FaultPlan[AwsFault, AwsCall]:
    """Return a plan without faults; a call is about its operation and its item."""
    return FaultPlan(lambda call: f"{call.operation}:{call.subject}")
