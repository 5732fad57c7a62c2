"""Failures of the embedded AWS on order: which calls of functions fail, how, and how often.

Only what a function calls can fail: Terraform, the AWS command line and the tools always get through. The
caller is told by the user agent, in which botocore names the execution environment.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

FUNCTION_AGENT = "exec-env/AWS_Lambda"
CREDENTIAL = re.compile(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/aws4_request")
ACCEPTED_STATUS = range(400, 600)

When = Literal["before", "after"]


@dataclass(frozen=True)
class Call:
    """One request of a function: `subject` is the key of the item it is about, of several the first one's."""

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
        Service as in a signature's scope: dynamodb, secretsmanager, sqs, s3.
    operation
        Operation; None is each of the service.
    containing
        A text that the call's body holds.
    probability, seed
        The share of them that fails, drawn from the seed, what the call is about, and which attempt it is.
    times
        How often at most; None is until the faults are cleared.
    status, code
        HTTP status and AWS's error code of the answer.
    kill
        End the calling function's process instead, "before" the call is done or "after" it.
    applies
        Whether the call is done before the failure shows.

    Raises
    ------
    ValueError
        When the values make no sense together.
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

    def matches(self, call: Call) -> bool:
        """Return whether a call meets the conditions."""
        return (
            self.service == call.service
            and self.operation in (None, call.operation)
            and self.containing in call.body
        )


def fault_from_json(data: Any) -> AwsFault:
    """Return the fault that a JSON object describes; raises ValueError when it is none."""
    if not isinstance(data, dict):
        raise ValueError("a fault is a JSON object")  # noqa: TRY004 - one error class for bad input
    try:
        return AwsFault(**data)
    except TypeError as error:
        raise ValueError(str(error)) from error


def read_call(headers: Mapping[str, str], method: str, body: bytes) -> Call | None:
    """Return the call that a request is, or None for one that no function makes.

    Parameters
    ----------
    headers
        By lower-case name.
    """
    scope = CREDENTIAL.search(headers.get("authorization", ""))
    if FUNCTION_AGENT not in headers.get("user-agent", "") or scope is None:
        return None
    operation = headers.get("x-amz-target", "").rpartition(".")[2] or method
    text = body.decode(errors="replace")
    return Call(scope[1], operation, text, _subject(text))


def _subject(body: str) -> str:
    try:
        request = json.loads(body)
        if "TransactItems" in request:
            (request,) = request["TransactItems"][0].values()
        key = request.get("Key") or request.get("Item") or {}
        return str(key["id"])
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return ""


class FaultPlan:
    """The faults in force, in the order of their arrival."""

    def __init__(self) -> None:
        self._faults: list[_Active] = []

    def __bool__(self) -> bool:
        return bool(self._faults)

    def add(self, fault: AwsFault) -> None:
        """Put a fault into force, after those that already are."""
        self._faults.append(_Active(fault, len(self._faults)))

    def clear(self) -> int:
        """Lift every fault; return how many there were."""
        count = len(self._faults)
        self._faults.clear()
        return count

    def listed(self) -> list[tuple[AwsFault, int]]:
        """Return each fault and how often it struck."""
        return [(active.fault, active.struck) for active in self._faults]

    def strike(self, call: Call) -> AwsFault | None:
        """Return the first fault that hits this call, and count it."""
        return next((active.fault for active in self._faults if active.hits(call)), None)


class _Active:
    def __init__(self, fault: AwsFault, place: int) -> None:
        self.fault = fault
        self.struck = 0
        self._place = place
        self._attempts: Counter[str] = Counter()

    def hits(self, call: Call) -> bool:
        fault = self.fault
        if not fault.matches(call) or self.struck == fault.times:
            return False
        about = f"{call.operation}:{call.subject}"
        self._attempts[about] += 1
        source = f"{fault.seed}:{self._place}:{about}:{self._attempts[about]}"
        # Not for secrecy: the draw must be the same in every run.
        hit = random.Random(source).random() < fault.probability  # noqa: S311
        self.struck += hit
        return hit
