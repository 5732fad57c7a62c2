"""One handler in this process: what it writes, calls and raises for one envelope."""

from __future__ import annotations

import importlib
import io
import json
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

from functions.shared.errors import EventError
from ops.chaos.fuzz.calls import wrong_types
from ops.chaos.fuzz.envelopes import found_in
from ops.reference.huntaze import ReferenceApi

OUTCOMES: Final = ("applied", "recorded", "duplicate", "stale", "parked")
UNREADABLE: Final = "unreadable"
# Python's default.
RECURSION_LIMIT: Final = 1000
# Too short for a second attempt inside the invocation: one per envelope is enough.
REMAINING_SECONDS: Final = 8.0


@dataclass
class Context:
    """The part of Lambda's context object that the handlers use."""

    deadline: float = field(default_factory=lambda: time.monotonic() + REMAINING_SECONDS)
    function_name: str = "huntaze-stripe-fuzz"
    function_version: str = "$LATEST"
    memory_limit_in_mb: int = 256
    invoked_function_arn: str = "arn:aws:lambda:eu-west-1:111122223333:function:huntaze-stripe-fuzz"
    aws_request_id: str = "00000000-0000-4000-8000-000000000000"
    client_context: None = None

    def get_remaining_time_in_millis(self) -> int:
        """Return the time left to the invocation."""
        return max(0, int((self.deadline - time.monotonic()) * 1000))


class Broken(AssertionError):  # noqa: N818 - what hypothesis reports, by its message
    """The handler broke a promise."""


class FuzzedHandler:
    """A handler whose output goes to memory from its import on.

    Parameters
    ----------
    handler
        payments or billing.
    """

    def __init__(self, handler: str, api: ReferenceApi) -> None:
        self._api = api
        self._calls = 0
        self._thread = ThreadPoolExecutor(1)
        self._output = io.StringIO()
        sys.stdout = sys.stderr = self._output
        self._handle = importlib.import_module(f"functions.{handler}").handler

    def try_envelope(self, payload: str) -> str:
        """Invoke the handler and return the outcome, or the class of its classified failure.

        Parameters
        ----------
        payload
            The envelope as JSON; one that Python can't parse never reaches a handler and is `UNREADABLE`.

        Raises
        ------
        Broken
            An unclassified exception, a call with a wrong type, or a planted value in the output.
        """
        self._output.seek(0)
        self._output.truncate()
        outcome = self._invoke(payload)
        calls = self._api.requests()[self._calls :]
        self._calls += len(calls)
        for call in calls:
            if wrong := wrong_types(call):
                raise Broken(f"called {call.path} with wrong types: {'; '.join(wrong)}")
        if leaked := found_in(self._output.getvalue()):
            raise Broken(f"wrote planted data: {', '.join(leaked)}")
        return outcome

    def _invoke(self, payload: str) -> str:
        try:
            result = self._invoke_as_lambda(payload)
        except EventError as error:
            # With all causes, which is more than Lambda writes.
            self._output.write("".join(traceback.format_exception(error)))
            return type(error).__name__
        except Exception as error:
            raise Broken(f"ended in an unclassified {type(error).__name__}: {error}") from error
        if result == UNREADABLE:
            return UNREADABLE
        self._output.write(str(result))
        if not isinstance(result, dict) or result.get("outcome") not in OUTCOMES:
            raise Broken("returned no outcome")
        return str(result["outcome"])

    def _invoke_as_lambda(self, payload: str) -> Any:
        """Parse the payload and run the handler with Python's default recursion limit, not hypothesis's."""

        def invocation() -> Any:
            before = sys.getrecursionlimit()
            sys.setrecursionlimit(RECURSION_LIMIT)
            try:
                try:
                    envelope = json.loads(payload)
                except RecursionError:
                    return UNREADABLE
                return self._handle(envelope, Context())
            finally:
                sys.setrecursionlimit(before)

        return self._thread.submit(invocation).result()
