"""Check a running API against the contract's promises, with made-up events for each path.

The bodies are those that the pipeline sends for the shipped samples, with ids that do not exist.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

import httpx

from functions import __version__
from functions.pipeline.api import READ_SECONDS
from functions.pipeline.routing_table import ROUTES
from ops.errors import OperatorError
from ops.local.envelopes import GENERATIONS, SAMPLES, own_ids
from ops.local.fresh_ids import FreshIds
from ops.reference.huntaze.contract import (
    ALREADY_APPLIED,
    EVENT_REJECTED,
    IDEMPOTENCY_KEY_REUSED,
    REQUEST_IN_PROGRESS,
)

AT_ONCE: Final = 4
APPLIED: Final = range(200, 300)
CUSTOMER: Final = "customerId"

Answer = tuple[int, str | None]


@dataclass(frozen=True)
class ProbeRequest:
    """One request of the pipeline, without its Authorization; the body's first key is the object's id."""

    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]

    def with_body(self, **changes: Any) -> ProbeRequest:
        """Return the request with values of its body changed."""
        return replace(self, body={**self.body, **changes})

    @property
    def invalid(self) -> ProbeRequest:
        """The same request without the object's id, which no API can apply."""
        return self.with_body(**{next(iter(self.body)): None})

    @property
    def other(self) -> ProbeRequest:
        """The same request with another content."""
        return self.with_body(metadata={"contract_check": "other"})


@dataclass(frozen=True)
class PromiseCheck:
    """Whether one promise is kept on one path; `problem` is empty if it is."""

    path: str
    event_type: str
    promise: str
    problem: str

    def as_json(self) -> dict[str, Any]:
        """Return the finding for programs."""
        return {**asdict(self), "kept": not self.problem}


@dataclass(frozen=True)
class SampleEvent:
    """A shipped sample event and its path."""

    path: str
    event_type: str
    detail: Mapping[str, Any] = field(repr=False)
    customer_id: str = ""

    def fresh(self) -> ProbeRequest:
        """Return its request with fresh ids for the event and its objects."""
        detail = FreshIds(f"contract check {uuid.uuid4()}", own_ids({"detail": self.detail})).rewritten(
            self.detail
        )
        request = ROUTES[self.event_type].request(detail["data"]["object"])
        assert request is not None
        body = dict(request.body)
        if self.customer_id and next(iter(body)) != CUSTOMER and CUSTOMER in body:
            body[CUSTOMER] = self.customer_id
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"huntaze-stripe-eventbridge/{__version__}",
            "Idempotency-Key": detail["id"],
            "X-Stripe-Event-Type": self.event_type,
            "X-Stripe-Event-Created": str(detail["created"]),
            "X-Stripe-Api-Version": detail["api_version"],
        }
        return ProbeRequest(self.path, headers, body)


def samples(paths: Collection[str], customer_id: str = "") -> list[SampleEvent]:
    """Return a sample of each path and event type; of the given paths only, if there are any.

    Raises
    ------
    OperatorError
        The pipeline does not call a path.
    """
    found = []
    for file in sorted((SAMPLES / GENERATIONS[-1]).glob("*.json")):
        detail = json.loads(file.read_text(encoding="utf-8"))["detail"]
        route = ROUTES.get(detail["type"])
        request = route.request(detail["data"]["object"]) if route else None
        if request is not None:
            found.append(SampleEvent(request.path, detail["type"], detail, customer_id))
    known = {sample.path for sample in found}
    for path in paths:
        if path not in known:
            raise OperatorError(
                f"invalid --path {path}: expected one of {', '.join(sorted(known))}",
                usage=True,
            )
    return [sample for sample in found if not paths or sample.path in paths]


def run(
    url: str, key: str, chosen: Collection[SampleEvent], report: Callable[[PromiseCheck], None]
) -> list[PromiseCheck]:
    """Check every promise with every sample, and report each finding at once.

    Raises
    ------
    OperatorError
        No server answers at the URL.
    """
    findings = []
    with httpx.Client(base_url=url, trust_env=False, timeout=READ_SECONDS) as client:
        for sample in chosen:
            probe = _Probe(client, key)
            for promise, problem in _promises(probe, sample.fresh(), sample.fresh()):
                finding = PromiseCheck(sample.path, sample.event_type, promise, problem)
                report(finding)
                findings.append(finding)
    return findings


@dataclass(frozen=True)
class _Probe:
    client: httpx.Client
    key: str = field(repr=False)

    def send(self, request: ProbeRequest, key: str | None = None) -> Answer:
        """Return the status, and the code in the body or None. Status 0 means a read timeout."""
        headers = {**request.headers, "Authorization": f"Bearer {self.key if key is None else key}"}
        try:
            answer = self.client.post(request.path, content=json.dumps(request.body), headers=headers)
        except httpx.ReadTimeout:
            return 0, None
        except httpx.TransportError as error:
            raise OperatorError(
                f"{self.client.base_url} did not answer ({type(error).__name__}): check --url"
            ) from error
        try:
            body = answer.json()
        except ValueError:
            body = None
        code = body.get("code") if isinstance(body, dict) else None
        return answer.status_code, code if isinstance(code, str) else None


def _promises(probe: _Probe, one: ProbeRequest, another: ProbeRequest) -> Iterator[tuple[str, str]]:
    """Yield each promise with the wrong answer, or with an empty text."""
    rejected, reused = {(422, EVENT_REJECTED)}, {(422, IDEMPOTENCY_KEY_REUSED)}
    known = {(409, ALREADY_APPLIED)}
    yield "a wrong API key is refused", _unless(probe.send(one, "wrong"), statuses={401, 403})
    yield "a wrong event is rejected, by code", _unless(probe.send(one.invalid), rejected)
    yield "a rejected key is not used up", _unless(probe.send(one), statuses=APPLIED)
    yield "an equal request is reported as applied", _unless(probe.send(one), known, APPLIED)
    yield "another content under an applied key is rejected, by code", _unless(probe.send(one.other), reused)
    yield "the key is checked before the content", _unless(probe.send(one.invalid), reused)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(probe.send, [another] * AT_ONCE))
    busy = {*known, (409, REQUEST_IN_PROGRESS)}
    problems = (_unless(answer, busy, APPLIED) for answer in answers)
    none_applied = "" if any(status in APPLIED for status, _ in answers) else "no answer was 2xx"
    yield "one of several equal requests at once is applied", next(filter(None, problems), none_applied)
    yield "their key is reported as applied", _unless(probe.send(another), known, APPLIED)


def _unless(answer: Answer, answers: Collection[Answer] = (), statuses: Collection[int] = ()) -> str:
    """Return the answer as a text, or an empty text if it is one of the given ones."""
    status, code = answer
    if answer in answers or status in statuses:
        return ""
    if not status:
        return f"no answer in {READ_SECONDS:.0f} s"
    return f"answered {status} {code or 'without a code'}"
