"""The shipped code as a function: from the answers that an invocation has received to its next call.

An invocation runs from its beginning with the answers of its history, and stops at the first call without an
answer. The result depends on nothing else, so the code runs once for each history, without threads, whatever
else happens in the world around it.

Only the edges of the process are replaced: the AWS clients, the HTTP transport, Stripe's API, time and
randomness.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import random as real_random
import sys
import time as real_time
import uuid as real_uuid
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Final, NamedTuple
from unittest import mock

import httpx
from aws_lambda_powertools import single_metric
from botocore.exceptions import ClientError, ReadTimeoutError

import functions.stripe_api.client
from functions.pipeline import api, process
from functions.shared import aws, names, settings, telemetry
from functions.shared.errors import EventError, PermanentError, TransientError

TABLE: Final = "table"
API: Final = "api"
QUEUE: Final = "queue"
STRIPE: Final = "stripe"
SLEEP: Final = "sleep"

SECONDS: Final = 30
GARBAGE: Final = (200_000, 50, 1000)
EXPIRY_SECONDS: Final = 100 * 24 * 3600
ENVIRONMENT: Final = {
    names.LIVEMODE: "false",
    names.HUNTAZE_API_URL: "https://api.invalid",
    names.HUNTAZE_API_KEY: "key",
    names.IDEMPOTENCY_TABLE: "table",
    names.IDEMPOTENCY_EXPIRY_SECONDS: str(EXPIRY_SECONDS),
    names.DEAD_LETTER_QUEUE_URL: "https://queue.invalid",
    names.STRIPE_READS_PER_SECOND: "1000",
    names.ORDER: names.WATERMARK,
    names.STRIPE_SECRET_KEY: "",
    names.SECRET_IDS: "secret",
    "POWERTOOLS_SERVICE_NAME": "model",
}

Answer = Mapping[str, Any]
History = tuple[tuple[float, str], ...]


class Suspended(BaseException):
    """The invocation waits for an answer that its history does not have. No code path may catch it."""


class Start(NamedTuple):
    """How an invocation begins.

    Parameters
    ----------
    name
        Unique among the invocations of the world.
    envelope
        As JSON text.
    at, skew
        When it begins, and how far its machine's clock is wrong, in seconds.
    settle
        Whether an operator accepts the API's answer (`--settle`).
    order
        The setting of that name.
    stripe_key
        Whether the secret holds a key for Stripe's API.
    """

    name: str
    handler: str
    envelope: str
    at: float
    skew: float = 0.0
    settle: bool = False
    order: str = names.WATERMARK
    stripe_key: bool = False

    @property
    def deadline(self) -> float:
        """When Lambda kills it."""
        return self.at + SECONDS


class Step(NamedTuple):
    """The next call of an invocation: its kind, and the call as JSON text."""

    kind: str
    call: str


class Ended(NamedTuple):
    """How an invocation ended: its outcome, or the class of its error; and why.

    `unexpected`: with an error that no code path expects.
    """

    outcome: str
    reason: str = ""
    failed: bool = False
    unexpected: bool = False


@dataclass(frozen=True, slots=True)
class _Node:
    start: Start
    history: History
    next: Step | Ended
    children: dict[tuple[float, str], int] = field(default_factory=dict)


class Code:
    """Histories of invocations, each with what comes next. Use it inside `installed`."""

    def __init__(self) -> None:
        self.runs = 0
        self._nodes: list[_Node] = []
        self._roots: dict[Start, int] = {}
        self._run: _Run | None = None
        self._settings: tuple[str, bool] | None = None

    def begin(self, start: Start) -> int:
        """Return the history of an invocation that has just begun."""
        if start not in self._roots:
            self._roots[start] = self._add(start, ())
        return self._roots[start]

    def answer(self, node: int, at: float, answer: Answer) -> int:
        """Return the history that continues with an answer, received `at` a time in Unix seconds."""
        text = json.dumps(answer, sort_keys=True)
        before = self._nodes[node]
        if (at, text) not in before.children:
            before.children[at, text] = self._add(before.start, (*before.history, (at, text)))
        return before.children[at, text]

    def next(self, node: int) -> Step | Ended:
        """Return the next call of an invocation, or how it ended."""
        return self._nodes[node].next

    def start(self, node: int) -> Start:
        """Return how an invocation began."""
        return self._nodes[node].start

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Replace the edges of the process by the model's."""
        level = logging.getLogger(telemetry.logger.name).level
        with ExitStack() as stack:
            stack.callback(_forget)
            stack.enter_context(mock.patch.dict(os.environ, ENVIRONMENT))
            stack.enter_context(mock.patch.object(aws, "client", self._client))
            stack.enter_context(mock.patch.object(functions.stripe_api.client, "retrieve", self._retrieve))
            build = api.build_client
            client = stack.enter_context(build(httpx.MockTransport(self._send)))
            stack.enter_context(mock.patch.object(api, "build_client", return_value=client))
            for module, name, fake in self._chance_and_time():
                stack.enter_context(mock.patch.object(module, name, fake))
            stack.callback(telemetry.logger.setLevel, level)
            telemetry.logger.setLevel(logging.CRITICAL)
            # The worlds are many and have no cycles: searching for cycles costs a quarter of the time.
            stack.callback(gc.set_threshold, *gc.get_threshold())
            gc.set_threshold(*GARBAGE)
            _forget()
            self._settings = None
            yield

    def _add(self, start: Start, history: History) -> int:
        self._nodes.append(_Node(start, history, self._carry_out(start, history)))
        return len(self._nodes) - 1

    def _carry_out(self, start: Start, history: History) -> Step | Ended:
        self.runs += 1
        run = self._run = _Run(start, history)
        if self._settings != (start.order, start.stripe_key):
            self._settings = (start.order, start.stripe_key)
            os.environ[names.ORDER] = start.order
            os.environ[names.STRIPE_SECRET_KEY] = "sk_test_key" if start.stripe_key else ""
            settings.forget_settings()
        try:
            result = process.process(start.handler, json.loads(start.envelope), run.context)
        except Suspended:
            assert run.asked is not None
            return run.asked
        except EventError as error:
            return Ended(type(error).__name__, error.reason, failed=True)
        except Exception as error:  # noqa: BLE001 (`promises` reports it)
            return Ended(type(error).__name__, str(error), failed=True, unexpected=True)
        finally:
            self._run = None
        return Ended(result["outcome"])

    @property
    def _now(self) -> _Run:
        assert self._run is not None, "the code runs outside the model"
        return self._run

    def _client(self, service: str) -> Any:
        # An empty secret: the functions read its values from the environment.
        secret = SimpleNamespace(get_secret_value=lambda **_asked: {"SecretString": "{}"})
        clients = {"dynamodb": _Client(self, TABLE), "sqs": _Client(self, QUEUE), "secretsmanager": secret}
        return clients[service]

    def _send(self, request: httpx.Request) -> httpx.Response:
        answer = self._now.ask(
            API,
            {
                "path": request.url.path,
                "key": request.headers["Idempotency-Key"],
                "type": request.headers["X-Stripe-Event-Type"],
                "created": int(request.headers["X-Stripe-Event-Created"]),
                "body": json.loads(request.content),
            },
        )
        if "fails" in answer:
            failure: type[httpx.TransportError] = getattr(httpx, answer["fails"])
            raise failure("the model's", request=request)
        return httpx.Response(answer["status"], stream=_Body(json.dumps(answer["body"]).encode()))

    def _retrieve(self, kind: str, object_id: str, **_options: Any) -> dict[str, Any]:
        answer = self._now.ask(STRIPE, {"kind": kind, "id": object_id})
        if "fails" in answer:
            raise TransientError("Stripe answered 500")
        if "unknown" in answer:
            raise PermanentError("Stripe answered 404", status=404, path="/v1", answer="")
        return dict(answer["state"])

    def _chance_and_time(self) -> Iterator[tuple[Any, str, Any]]:
        fakes = {
            id(real_time): _Fake(
                real_time,
                time=lambda: self._now.now + self._now.start.skew,
                monotonic=lambda: self._now.now,
                perf_counter=lambda: self._now.now,
                sleep=lambda seconds: self._now.ask(SLEEP, {"seconds": seconds}) and None,
            ),
            id(real_random): _Fake(real_random, uniform=lambda _low, high: high),
            id(real_uuid): _Fake(real_uuid, uuid4=lambda: self._now.name()),
            id(single_metric): _no_metric,
            id(telemetry.metrics): _NoMetrics(),
        }
        for name, module in sorted(sys.modules.items()):
            if name == "functions" or name.startswith("functions."):
                for attribute, value in list(vars(module).items()):
                    if id(value) in fakes:
                        yield module, attribute, fakes[id(value)]


@contextmanager
def _no_metric(*_names: Any, **_options: Any) -> Iterator[Any]:
    yield _NoMetrics()


class _NoMetrics:
    """What the functions may do with metrics, to no effect; a mock that remembers each call takes longer."""

    def add_metric(self, *_metric: Any, **_options: Any) -> None:
        """Do nothing."""

    def add_dimension(self, *_dimension: Any, **_options: Any) -> None:
        """Do nothing."""


class _Run:
    """One run of an invocation, as far as its history goes."""

    def __init__(self, start: Start, history: History) -> None:
        self.start = start
        self.history = history
        self.place = 0
        self.names = 0
        self.now = start.at
        self.asked: Step | None = None

    def ask(self, kind: str, call: Any) -> Any:
        """Return the history's answer, or end the run if there is none."""
        if self.place == len(self.history):
            # Calls made while the stack unwinds get no answer.
            self.asked = self.asked or Step(kind, json.dumps(call, sort_keys=True))
            raise Suspended
        self.now, answer = self.history[self.place]
        self.place += 1
        return json.loads(answer)

    def name(self) -> real_uuid.UUID:
        """Make the next UUID, the same in every run."""
        self.names += 1
        return real_uuid.uuid5(real_uuid.NAMESPACE_URL, f"{self.start.name}/{self.names}")

    @property
    def context(self) -> Any:
        """The invocation's context, as Lambda gives it."""
        custom = {names.SETTLE: True} if self.start.settle else {}
        return SimpleNamespace(
            client_context=SimpleNamespace(custom=custom),
            get_remaining_time_in_millis=lambda: max(0, round((self.start.deadline - self.now) * 1000)),
            function_name="model",
            aws_request_id=self.start.name,
        )


class _Fake:
    """A module of which some functions are the model's own."""

    def __init__(self, module: Any, **own: Any) -> None:
        self._module = module
        vars(self).update(own)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


class _Body(httpx.SyncByteStream):
    """A body that comes as a network's does: one that httpx has in memory can't be streamed."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __iter__(self) -> Iterator[bytes]:
        yield self._content


class _Client:
    """A client of AWS."""

    def __init__(self, code: Code, kind: str) -> None:
        self._code = code
        self._kind = kind

    def __getattr__(self, operation: str) -> Any:
        def call(**arguments: Any) -> Any:
            answer = self._code._now.ask(self._kind, [operation, arguments])
            if "unanswered" in answer:
                raise ReadTimeoutError(endpoint_url="https://aws.invalid")
            if "error" in answer:
                raise ClientError(answer["error"], operation)
            return answer["ok"]

        return call


def _forget() -> None:
    """Empty every cache of the functions: clients, settings."""
    # A client that an earlier test of this process made has open connections, which end with it.
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        for name, module in list(sys.modules.items()):
            if name.startswith("functions."):
                for value in list(vars(module).values()):
                    if hasattr(value, "cache_clear"):
                        value.cache_clear()
        gc.collect()
