"""The audit function in this process: each envelope is sent between two valid ones, in one batch."""

from __future__ import annotations

import itertools
import json
import re
import time
import uuid
from typing import Any, Final

import psycopg

from ops.chaos.fuzz.target import Broken, FuzzedHandler
from ops.local.envelopes import GENERATIONS, SAMPLES
from ops.local.fresh_ids import FreshIds
from ops.reference.huntaze import ReferenceApi

AUDIT: Final = "audit"
STORED, PARKED = "stored", "parked"
# The characters that SQS accepts in a message (Amazon SQS API, SendMessage).
SENDABLE: Final = re.compile("[\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]+")
NEIGHBOUR: Final = SAMPLES / GENERATIONS[0] / "invoice.paid.json"
COUNT_QUERY: Final = "SELECT count(*) FROM stripe_event_ledger WHERE event_id = ANY(%s)"


class FuzzedAudit(FuzzedHandler):
    """The audit function with the ledger of its environment, which is always available."""

    def __init__(self, api: ReferenceApi, database_url: str) -> None:
        super().__init__(AUDIT, api)
        self._database = psycopg.connect(database_url, autocommit=True)
        self._sample: dict[str, Any] = json.loads(NEIGHBOUR.read_text())
        self._numbers = itertools.count(1)

    def _invoke(self, payload: str) -> str:
        neighbours = [self._neighbour(), self._neighbour()]
        bodies = [json.dumps(neighbours[0]), payload, json.dumps(neighbours[1])]
        try:
            result = self._invoke_as_lambda(json.dumps({"Records": [_message(body) for body in bodies]}))
        except Exception as error:
            raise Broken(f"failed its batch with {type(error).__name__}: {error}") from error
        self._output.write(str(result))
        if result != {"batchItemFailures": []}:
            raise Broken("neither stored nor parked a message")
        event_ids = [neighbour["detail"]["id"] for neighbour in neighbours]
        if self._database.execute(COUNT_QUERY, (event_ids,)).fetchone() != (len(neighbours),):
            raise Broken("did not store a neighbour")
        return PARKED if '"event parked"' in self._output.getvalue() else STORED

    def _neighbour(self) -> dict[str, Any]:
        return FreshIds(f"neighbour {next(self._numbers)}").rewritten_envelope(self._sample)


def _message(body: str) -> dict[str, Any]:
    """Return a message as Lambda passes it to the function."""
    sent = str(int(time.time() * 1000))
    return {
        "messageId": str(uuid.uuid4()),
        "body": body,
        "attributes": {"SentTimestamp": sent, "MessageGroupId": "billing"},
    }
