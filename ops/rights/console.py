"""The rights of `console`, which reads; with --allow-changes it also records what it changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from infra.policy import Statement
from ops.rights import doctor
from ops.rights.place import Place

# Where `ops/web/record.py` writes.
PREFIX: Final = "console/"


def reads(place: Place) -> Sequence[Statement]:
    """Return what every page asks for."""
    return (
        doctor.alarms(),
        # The dead-letter queues are in what the page of their messages asks.
        Statement("CountWaiting", ["sqs:GetQueueAttributes", "sqs:GetQueueUrl"], [place.audit_queue]),
        Statement("ReadDashboard", ["cloudwatch:GetDashboard"], [place.dashboard]),
    )


def record(place: Place) -> Statement:
    """Return the right to record a change."""
    return Statement("WriteConsole", ["s3:PutObject"], [f"{place.ledger}/{PREFIX}*"])


def send(place: Place) -> Statement:
    """Return the right to send to the audit queue, whose address a page has found by then."""
    return Statement("SendAgain", ["sqs:SendMessage"], [place.audit_queue])
