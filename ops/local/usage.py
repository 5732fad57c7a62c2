"""Measure what the events of a run took: durations, sizes, and calls to AWS."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from functions.shared import names
from ops.cost.measured import FunctionUse, Measured
from ops.local.observer import decided_calls
from ops.local.report import percentile

if TYPE_CHECKING:
    from ops.local.clients import Aws
    from ops.local.outputs import Outputs

REPORT: Final = "platform.report"


@dataclass
class _Log:
    """What the log lines of one function say."""

    durations: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    peak_mb: int = 0
    size: int = 0

    def add(self, line: str) -> None:
        """Read a line."""
        self.size += len(line.encode())
        record = json.loads(line) if line.startswith("{") else {}
        if record.get("type") == REPORT:
            metrics = record["record"]["metrics"]
            self.durations.append(metrics["durationMs"])
            self.peak_mb = max(self.peak_mb, metrics["maxMemoryUsedMB"])
        self.waits += record.get(names.API_LATENCY, [])

    def use(self, calls: Mapping[str, int]) -> FunctionUse:
        """Return what one invocation took."""
        number = len(self.durations)
        return FunctionUse(
            invocations=number,
            median_ms=round(statistics.median(self.durations), 1),
            p95_ms=round(percentile(self.durations, 95), 1),
            peak_mb=self.peak_mb,
            log_bytes=round(self.size / number, 1),
            calls={action: round(count / number, 3) for action, count in sorted(calls.items())},
        )


def measure(aws: Aws, outputs: Outputs, envelopes: Sequence[Mapping[str, Any]], how: str) -> Measured | None:
    """Return what a run measured; None if no function has reported an invocation.

    Parameters
    ----------
    envelopes
        What was sent.
    how
        What was run, for whoever reads the numbers.
    """
    logs = {family: _read(aws, arn.rpartition(":")[2]) for family, arn in outputs.functions.items()}
    ran = {family: log for family, log in logs.items() if log.durations}
    stored = sum(_stored(aws, outputs.ledger_bucket))
    if not envelopes or not stored or not ran:
        return None
    sizes = [len(json.dumps(each, separators=(",", ":")).encode()) for each in envelopes]
    waits = [wait for log in ran.values() for wait in log.waits]
    calls = _calls(aws)
    return Measured(
        date=datetime.now(UTC).date(),
        how=how,
        events=len(sizes),
        event_bytes=round(statistics.mean(sizes), 1),
        object_bytes=round(stored / len(sizes), 1),
        item_bytes=round(sum(_items(aws, outputs.idempotency_table)) / len(sizes), 1),
        api_ms=round(statistics.median(waits), 1) if waits else 0.0,
        functions={
            family: log.use(calls.get(outputs.functions[family].rpartition(":")[2], Counter()))
            for family, log in ran.items()
        },
    )


def durations(aws: Aws, function_arn: str, since: float) -> list[float]:
    """Return the milliseconds of each invocation of a function since a Unix time."""
    return _read(aws, function_arn.rpartition(":")[2], since).durations


def _read(aws: Aws, function: str, since: float = 0.0) -> _Log:
    log = _Log()
    pages = aws.client("logs").get_paginator("filter_log_events")
    for page in pages.paginate(logGroupName=f"/aws/lambda/{function}", startTime=int(since * 1000)):
        for event in page["events"]:
            log.add(event["message"])
    return log


def _stored(aws: Aws, bucket: str) -> Iterator[int]:
    pages = aws.client("s3").get_paginator("list_objects_v2")
    for page in pages.paginate(Bucket=bucket, Prefix=names.LEDGER_PREFIX):
        yield from (item["Size"] for item in page.get("Contents", []))


def _items(aws: Aws, table: str) -> Iterator[int]:
    """Yield the size of each item: names and values (DynamoDB, "DynamoDB item sizes and formats")."""
    for page in aws.client("dynamodb").get_paginator("scan").paginate(TableName=table):
        for item in page["Items"]:
            yield sum(
                len(name) + sum(len(str(each).encode()) for each in value.values())
                for name, value in item.items()
            )


def _calls(aws: Aws) -> dict[str, Counter[str]]:
    """Count the calls of each role by action; a function's role has its name."""
    found: dict[str, Counter[str]] = {}
    for row in decided_calls(aws):
        role = row["caller"].rpartition("/")[2]
        found.setdefault(role, Counter())[row["action"]] += row["calls"]
    return found
