"""How the reference Huntaze API answers: what is applied, once, and what a journal keeps of it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ops.local.reference_api.checks import Call, judge, readable
from ops.local.reference_server.exchange import Exchange
from ops.local.reference_server.messages import Received, Recorded, Refusal, Reply, json_reply, record


@dataclass(frozen=True)
class Applied:
    """A call that changed the API's state. `created` is the event's time, `at` the call's: Unix seconds."""

    path: str
    event_type: str
    created: int
    idempotency_key: str
    object_id: str
    body: dict[str, Any]
    at: float


class ApiExchange(Exchange):
    """Answer requests one at a time, so that two equal ones can never both be applied.

    Parameters
    ----------
    api_key
        The bearer key that callers must present.
    journal
        A file of JSON lines that outlives the process. What it holds is known again after a restart.
    """

    def __init__(self, api_key: str, journal: Path | None = None) -> None:
        super().__init__()
        self._api_key = api_key
        self._applied: dict[str, Applied] = {}
        self._journal: IO[str] | None = None
        if journal is not None:
            for recorded, applied in _read(journal):
                self._remember(recorded, applied)
            self._journal = _open(journal)

    def answer(self, request: Received) -> Reply:
        """Return the reply to a request, after recording both.

        The record and its journal line are written before the caller can know the answer.
        """
        with self._lock:
            fault = self._faults.strike(request)
            applied: Applied | None = None
            reply: Reply | None = None
            if fault is None or fault.applies:
                applied, reply = self._usual(request)
            if fault is not None:
                reply = fault.reply(reply)
            assert reply is not None
            self._keep(request, reply, applied, injected=fault is not None)
        return reply

    def refuse(self, request: Received, refusal: Refusal) -> Reply:
        """Return the reply to a request whose body is not to be read, after recording both."""
        reply = _refused(refusal)
        with self._lock:
            self._keep(request, reply, None, injected=False)
        return reply

    def applied(self) -> tuple[Applied, ...]:
        """Return the applied calls in order."""
        with self._lock:
            return tuple(self._applied.values())

    def state(self) -> dict[str, Applied]:
        """Return the last applied call of each object: what the API now believes about it."""
        return {applied.object_id: applied for applied in self.applied()}

    def close(self) -> None:
        """Close the journal."""
        if self._journal is not None:
            self._journal.close()

    def _usual(self, request: Received) -> tuple[Applied | None, Reply]:
        try:
            call = judge(request, self._api_key)
            self._refuse_repetition(call)
        except Refusal as refusal:
            return None, _refused(refusal)
        applied = Applied(**dataclasses.asdict(call), at=request.at)
        return applied, json_reply(200, {"applied": True, "idempotencyKey": call.idempotency_key})

    def _refuse_repetition(self, call: Call) -> None:
        earlier = self._applied.get(call.idempotency_key)
        if earlier is None:
            return
        if (earlier.path, earlier.event_type, earlier.body) == (call.path, call.event_type, call.body):
            raise Refusal(409, "already_applied", "this call was applied before")
        raise Refusal(422, "idempotency_key_reused", "the Idempotency-Key was applied with another call")

    def _keep(self, request: Received, reply: Reply, applied: Applied | None, *, injected: bool) -> None:
        body = readable(request.content)
        recorded = record(request, reply, injected=injected, applied=applied is not None, body=body)
        self._write(recorded, applied)
        self._remember(recorded, applied)

    def _remember(self, recorded: Recorded, applied: Applied | None) -> None:
        self._requests.append(recorded)
        if applied is not None:
            self._applied[applied.idempotency_key] = applied

    def _write(self, recorded: Recorded, applied: Applied | None) -> None:
        if self._journal is not None:
            line = {
                "request": dataclasses.asdict(recorded),
                "applied": None if applied is None else dataclasses.asdict(applied),
            }
            self._journal.write(json.dumps(line) + "\n")
            self._journal.flush()


def _refused(refusal: Refusal) -> Reply:
    return json_reply(refusal.status, {"error": {"code": refusal.code, "message": str(refusal)}})


def _read(journal: Path) -> Iterator[tuple[Recorded, Applied | None]]:
    """Yield what a journal holds. A last line that a kill cut short was never answered, and is left out."""
    if not journal.exists():
        return
    for line in journal.read_text(encoding="utf-8").splitlines(keepends=True):
        if line.endswith("\n"):
            entry = json.loads(line)
            applied = entry["applied"]
            yield Recorded(**entry["request"]), None if applied is None else Applied(**applied)


def _open(journal: Path) -> IO[str]:
    """Open a journal for appending, without the torn line that a kill may have left."""
    if journal.exists():
        content = journal.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            with journal.open("r+b") as torn:
                torn.truncate(whole)
    return journal.open("a", encoding="utf-8")
