"""A call that its SDK repeats is executed once, unless a function makes it or its first attempt failed."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.emulator.process import Emulator


def create(emulator: Emulator, group: str, call: str, attempt: int, agent: str = "terraform") -> int:
    """Create a log group as an SDK does; return the status."""
    key = emulator.aws.credentials.access_key_id
    answer = httpx.post(
        emulator.aws.url,
        headers={
            "Authorization": f"AWS4-HMAC-SHA256 Credential={key}/20260401/eu-west-1/logs/aws4_request",
            "X-Amz-Target": "Logs_20140328.CreateLogGroup",
            "Content-Type": "application/x-amz-json-1.1",
            "User-Agent": agent,
            "amz-sdk-invocation-id": call,
            "amz-sdk-request": f"attempt={attempt}; max=25",
        },
        content=json.dumps({"logGroupName": group}),
        trust_env=False,
    )
    return answer.status_code


def test_repeated_call_gets_its_first_answer(emulator: Emulator) -> None:
    assert create(emulator, "/repeats/one", "call-1", 1) == 200
    assert create(emulator, "/repeats/one", "call-1", 2) == 200
    assert create(emulator, "/repeats/one", "call-1", 3) == 200


@pytest.mark.parametrize(
    ("call", "attempt", "agent"),
    [
        ("call-3", 2, "terraform"),
        ("call-2", 1, "terraform"),
        ("call-2", 2, "Boto3 exec-env/AWS_Lambda_python3.13"),
    ],
    ids=["another call", "not repeated", "a function's"],
)
def test_other_calls_are_executed(emulator: Emulator, call: str, attempt: int, agent: str) -> None:
    group = f"/repeats/{call}/{attempt}/{len(agent)}"
    assert create(emulator, group, "call-2", 1, agent) == 200
    assert create(emulator, group, call, attempt, agent) == 400


def test_call_is_executed_again_after_a_failure(emulator: Emulator) -> None:
    assert create(emulator, "/repeats/taken", "call-4", 1) == 200
    assert create(emulator, "/repeats/taken", "call-5", 1) == 400
    assert create(emulator, "/repeats/free", "call-5", 2) == 200
