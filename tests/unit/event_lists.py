"""An environment in memory, with the log lines and the ledger objects that a list of events is read from."""

from __future__ import annotations

import gzip
import io
import json
import re
from collections.abc import Iterable
from typing import Any, cast

from ops.environment import Environment
from ops.local.envelopes import sample
from ops.story.listing import Listing

BASE_MS = 1_750_000_000_000
KEY = "audit/dt=2025-06-15/150640000-0-{}.jsonl.gz"


class _Logs:
    """CloudWatch Logs with some lines, which its pages repeat as the real one does."""

    def __init__(self) -> None:
        self.groups: dict[str, list[dict[str, Any]]] = {}

    def get_paginator(self, _name: str) -> _Logs:
        return self

    def paginate(self, **asked: Any) -> Iterable[Any]:
        quoted = set(re.findall(r'"([^"]*)"', asked["filterPattern"]))
        yield {
            "events": [
                event
                for event in self.groups.get(asked["logGroupName"], [])
                if event["timestamp"] >= asked["startTime"] and quoted & set(_fields(event["message"]))
            ]
        }


def _fields(message: str) -> tuple[str, ...]:
    """Return what a pattern may ask a line for."""
    record = json.loads(message)
    return (record["message"], record.get("correlation_id", ""))


class _S3:
    """The ledger's bucket; counts what is read."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.read: list[str] = []

    def list_objects_v2(self, **asked: str) -> dict[str, Any]:
        return {"Contents": [{"Key": key} for key in sorted(self.objects) if key > asked["StartAfter"]]}

    def get_object(self, **asked: str) -> dict[str, Any]:
        self.read.append(asked["Key"])
        return {"Body": io.BytesIO(self.objects[asked["Key"]])}


class World:
    """An environment with a log and a ledger, and what its functions write into them."""

    name = "dev"
    ledger_bucket = "ledger"

    def __init__(self) -> None:
        self.logs, self.s3 = _Logs(), _S3()

    def client(self, service: str) -> Any:
        return {"logs": self.logs, "s3": self.s3}[service]

    def resource(self, part: str) -> str:
        return f"huntaze-stripe-{part}-dev"

    def log(self, at_ms: int, function: str = "payments", **record: Any) -> None:
        event = {"logStreamName": "s", "timestamp": BASE_MS + at_ms, "message": json.dumps(record)}
        self.logs.groups.setdefault(f"/aws/lambda/huntaze-stripe-{function}-dev", []).append(event)

    def audit(self, at_ms: int, *events: dict[str, Any], key: str = "a") -> None:
        lines = [
            {
                "event_id": event["id"],
                "event_type": event["type"],
                "received_at": "2025-06-15T15:06:40.000+00:00",
                "envelope": {"id": f"delivery-{event['id']}", "detail": event},
            }
            for event in events
        ]
        name = KEY.format(key)
        self.s3.objects[name] = gzip.compress("\n".join(map(json.dumps, lines)).encode())
        for event in events:
            self.log(at_ms, "audit", message="event audited", event_id=event["id"], key=name)

    def listing(self) -> Listing:
        return Listing(cast("Environment", self), BASE_MS / 1000)


def paid(event_id: str = "evt_1") -> dict[str, Any]:
    event: dict[str, Any] = sample("payment_intent.succeeded")["detail"] | {"id": event_id}
    return event


def end(outcome: str = "applied", event_id: str = "evt_1", **more: Any) -> dict[str, Any]:
    of = {"event_id": event_id, "event_type": "payment_intent.succeeded"}
    return {"message": "event finished", "outcome": outcome, **of, **more}
