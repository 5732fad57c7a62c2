"""Correct calls of the Huntaze API, made from the shipped samples and the bodies of the contract."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import httpx

from ops.local.envelopes import EXPECTED_CALLS, SAMPLES

API_KEY = "hk_of_the_tests"
# The samples that end in a call, but for the one that the API refuses permanently.
CALLED = tuple(
    name for name, call in EXPECTED_CALLS.items() if call is not None and not name.startswith("refused/")
)


@dataclass(frozen=True)
class Call:
    """One POST to the API."""

    path: str
    headers: dict[str, str]
    body: Any

    def with_headers(self, **changes: str | None) -> Call:
        """Return the call with headers changed, or left out where None; `_` stands for `-`."""
        headers = dict(self.headers)
        for name, value in changes.items():
            headers.pop(name.replace("_", "-"), None)
            if value is not None:
                headers[name.replace("_", "-")] = value
        return replace(self, headers=headers)

    def with_body(self, **changes: Any) -> Call:
        """Return the call with values of its body changed."""
        return replace(self, body={**self.body, **changes})

    def send(self, client: httpx.Client, method: str = "POST") -> httpx.Response:
        """Send the call; a body of bytes goes as it is."""
        content = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        return client.request(method, self.path, content=content, headers=self.headers)


def sample_call(name: str) -> Call:
    """Return the call that a sample's event leads to."""
    expected = EXPECTED_CALLS[name]
    assert expected is not None
    event = json.loads((SAMPLES / name).read_text(encoding="utf-8"))["detail"]
    headers = {
        "Authorization": f"Bearer {API_KEY}",
        "Content-Type": "application/json",
        "User-Agent": "huntaze-stripe-eventbridge/0.1.0",
        "Idempotency-Key": event["id"],
        "X-Stripe-Event-Type": event["type"],
        "X-Stripe-Event-Created": str(event["created"]),
        "X-Stripe-Api-Version": event["api_version"],
    }
    return Call(expected["path"], headers, expected["body"])
