"""How the reference Huntaze API responds: what it applies, when, and what it writes to the journal."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ops.reference.huntaze.checks import ApiCall, check_body, read, readable
from ops.reference.huntaze.contract import (
    ALREADY_APPLIED,
    IDEMPOTENCY_KEY_REUSED,
    REQUEST_IN_PROGRESS,
    STATUSES,
)
from ops.reference.huntaze.dialects import CODED, Dialect, applied
from ops.reference.huntaze.journal import Applied, Journal
from ops.reference.server.exchange import Exchange
from ops.reference.server.faults import Fault
from ops.reference.server.messages import Received, Recorded, Refusal, Reply, record


@dataclass(frozen=True)
class _Work:
    """A call in progress: its timer, and what is set when it is applied or rolled back."""

    timer: threading.Timer
    done: threading.Event


class ApiExchange(Exchange):
    """Process requests one at a time, so that two equal ones are never both applied.

    Parameters
    ----------
    api_key
        The bearer key that callers must present.
    journal
        A file of JSON lines from which the state is restored after a restart.
    dialect
        How it responds to repeated, reused and busy keys; can be changed at any time.
    """

    def __init__(self, api_key: str, journal: Path | None = None, dialect: Dialect = CODED) -> None:
        super().__init__(api_key)
        self.dialect = dialect
        self._applied: dict[str, Applied] = {}
        self._in_progress: dict[str, _Work] = {}
        self._journal: Journal | None = None
        if journal is not None:
            file = Journal(journal)
            for recorded, call in file.read():
                self._remember(recorded, call)
            file.open()
            self._journal = file

    def answer(self, request: Received) -> Reply:
        """Return the reply to a request, after recording both.

        The record and its journal line are written before the caller gets the response.
        """
        with self._lock:
            fault = self._faults.strike(request)
            call: ApiCall | None = None
            reply: Reply | None = None
            if fault is None or fault.applies or fault.work:
                call, reply = self._usual(request)
            if fault is not None:
                reply = fault.reply(reply)
                if call is not None and fault.work:
                    done = self._begin(call, fault)
                    reply = reply if fault.responds else replace(reply, after=done)
                    call = None
            assert reply is not None
            now_applied = None if call is None else _applied(call)
            self._keep(request, reply, now_applied, injected=fault is not None)
        return reply

    def refuse(self, request: Received, refusal: Refusal) -> Reply:
        """Return the reply to a request whose body is not read, after recording both."""
        reply = self.dialect.refused(refusal)
        with self._lock:
            self._keep(request, reply, None, injected=False)
        return reply

    def applied(self) -> tuple[Applied, ...]:
        """Return the applied calls in order."""
        with self._lock:
            return tuple(self._applied.values())

    def state(self) -> dict[str, Applied]:
        """Return the last applied call of each object: the object's state in the API."""
        return {call.object_id: call for call in self.applied()}

    def close(self) -> None:
        """Roll back calls in progress, as the end of a process does, and close the journal."""
        with self._lock:
            works = list(self._in_progress.values())
            self._in_progress.clear()
        for work in works:
            work.timer.cancel()
            work.done.set()
        if self._journal is not None:
            self._journal.close()

    def _usual(self, request: Received) -> tuple[ApiCall | None, Reply]:
        """Return the call to apply, if any, and the reply."""
        try:
            call = read(request, self.key)
            if not self.dialect.key_first:
                check_body(call)
            self._check_key(call)
            check_body(call)
        except Refusal as refusal:
            return None, self.dialect.refused(refusal, request.header("Idempotency-Key"))
        return call, applied(call.idempotency_key)

    def _check_key(self, call: ApiCall) -> None:
        if call.idempotency_key in self._in_progress:
            raise _refusal(REQUEST_IN_PROGRESS, "a call with this Idempotency-Key is in progress")
        earlier = self._applied.get(call.idempotency_key)
        if earlier is None:
            return
        if (earlier.path, earlier.event_type, earlier.body) == (call.path, call.event_type, call.body):
            raise _refusal(ALREADY_APPLIED, "this call was applied before")
        raise _refusal(IDEMPOTENCY_KEY_REUSED, "the Idempotency-Key was applied with another call")

    def _begin(self, call: ApiCall, fault: Fault) -> threading.Event:
        """Keep a call in progress for the time of the fault."""
        timer = threading.Timer(fault.work, self._end, (call, fault.applies))
        timer.daemon = True
        work = self._in_progress[call.idempotency_key] = _Work(timer, threading.Event())
        timer.start()
        return work.done

    def _end(self, call: ApiCall, applies: bool) -> None:
        """Apply a call that was in progress, or roll it back."""
        with self._lock:
            work = self._in_progress.pop(call.idempotency_key, None)
            if work is not None and applies:
                late = _applied(call)
                if self._journal is not None:
                    self._journal.write(None, late)
                self._remember(None, late)
        if work is not None:
            work.done.set()

    def _keep(self, request: Received, reply: Reply, call: Applied | None, *, injected: bool) -> None:
        body: Any = readable(request.content)
        recorded = record(request, reply, injected=injected, applied=call is not None, body=body)
        if self._journal is not None:
            self._journal.write(recorded, call)
        self._remember(recorded, call)

    def _remember(self, recorded: Recorded | None, call: Applied | None) -> None:
        if recorded is not None:
            self._requests.append(recorded)
        if call is not None:
            self._applied[call.idempotency_key] = call


def _refusal(code: str, message: str) -> Refusal:
    return Refusal(STATUSES[code], code, message)


def _applied(call: ApiCall) -> Applied:
    return Applied(
        call.path, call.event_type, call.created, call.idempotency_key, call.object_id, call.body, time.time()
    )
