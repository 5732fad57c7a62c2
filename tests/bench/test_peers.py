"""The peers of `make bench` make the calls that ours makes; none repeats what its records know."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from bench import packages, path, sides, webhook
from bench.endpoint import Endpoint, running_endpoint
from bench.function import Function
from bench.report import BARE, NODE, NODE_POWERTOOLS, OBVIOUS
from functions.pipeline.routing_table import ROUTES
from functions.shared import names
from ops.bundles import host_target
from ops.errors import OperatorError
from ops.local import envelopes
from ops.local.fresh_ids import FreshIds
from ops.reference.huntaze import Recorded, ReferenceApi
from tests.bench.conftest import API_KEY

WITH_RECORDS = (OBVIOUS, BARE, NODE, NODE_POWERTOOLS)
# What the contract asks of a call besides its body (docs/huntaze-api.md).
HEADERS = ("Idempotency-Key", "X-Stripe-Event-Type", "X-Stripe-Event-Created", "X-Stripe-Api-Version")
SAMPLES = {
    f"{generation}/{sample.file}": sample.envelope
    for generation in envelopes.GENERATIONS
    for sample in envelopes.load(envelopes.SAMPLES / generation)
    if sample.envelope["detail-type"] in ROUTES
}
_numbers = itertools.count(1)

Call = tuple[str, Any, dict[str, str | None]]


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    with running_endpoint(tmp_path_factory.mktemp("endpoint")) as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def _packages() -> None:
    try:
        packages.installed(host_target())
    except OperatorError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the sides are deployed, beside the SDK that they share."""
    return tmp_path_factory.mktemp("sides")


@pytest.fixture(scope="module", params=WITH_RECORDS)
def peer(
    request: pytest.FixtureRequest, endpoint: Endpoint, environment: dict[str, str], folder: Path
) -> Function:
    """A peer that has records, as it is measured, but on an AWS and an API with a memory."""
    try:
        made = sides.PEERS[request.param](request.param, folder, endpoint)
    except OperatorError as error:
        pytest.skip(str(error))
    return on(made.function(names.PAYMENTS), environment)


def on(function: Function, environment: dict[str, str]) -> Function:
    return Function(function.command, {**function.environment, **environment})


def fresh() -> dict[str, dict[str, Any]]:
    """The samples that rules route, with ids of their own."""
    ids = FreshIds(f"bench {next(_numbers)}")
    return {name: ids.rewritten_envelope(envelope) for name, envelope in SAMPLES.items()}


def call(request: Recorded) -> Call:
    return request.path, request.body, {name: request.header(name) for name in HEADERS}


def calls(api: ReferenceApi, since: int) -> list[Call]:
    return [call(request) for request in api.requests()[since:]]


def expected(sent: dict[str, dict[str, Any]]) -> list[Call]:
    """The calls for the samples by the contract, which was read by hand: not by the table of any side."""
    found = []
    for name, envelope in sent.items():
        wanted = envelopes.EXPECTED_CALLS[name]
        if wanted is not None:
            detail = envelope["detail"]
            values = (detail["id"], detail["type"], str(detail["created"]), detail["api_version"])
            found.append(
                (
                    wanted["path"],
                    _own(wanted["body"], SAMPLES[name], envelope),
                    dict(zip(HEADERS, values, strict=True)),
                )
            )
    return found


def _own(body: Any, original: Any, copy: Any) -> Any:
    """Replace the ids of a sample in a body by those of its copy."""
    renamed = dict(zip(_texts(original), _texts(copy), strict=True))
    if isinstance(body, dict):
        return {key: _own(value, original, copy) for key, value in body.items()}
    return renamed.get(body, body) if isinstance(body, str) else body


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [value] if isinstance(value, str) else []


def test_a_peer_makes_the_calls_of_the_contract(peer: Function, running_api: ReferenceApi) -> None:
    sent, before = fresh(), len(running_api.requests())
    outcomes = peer.outcomes([*sent.values()])
    assert calls(running_api, before) == expected(sent)
    assert outcomes.count("applied") == len(expected(sent))
    assert all(request.status < 300 for request in running_api.requests()[before:])


def test_ours_makes_the_calls_of_the_contract(
    running_api: ReferenceApi, endpoint: Endpoint, environment: dict[str, str], folder: Path
) -> None:
    sent, before = fresh(), len(running_api.requests())
    for handler, function in path.shipped(folder, endpoint).items():
        events = [each for each in sent.values() if ROUTES[each["detail-type"]].handler == handler]
        on(function, environment).outcomes(events)
    assert sorted(calls(running_api, before), key=str) == sorted(expected(sent), key=str)


def test_a_peer_calls_once_for_a_repeated_event(peer: Function, running_api: ReferenceApi) -> None:
    sent = fresh()
    before = len(running_api.requests())
    peer.outcomes([*sent.values(), *sent.values()])
    peer.outcomes([*sent.values()])
    assert len(running_api.requests()) - before == len(expected(sent))


def test_a_peer_calls_again_after_a_failed_call(
    peer: Function, running_api: ReferenceApi, environment: dict[str, str]
) -> None:
    event = fresh()["current/invoice.paid.json"]
    unreachable = Function(peer.command, {**peer.environment, names.HUNTAZE_API_URL: "http://127.0.0.1:9"})
    with pytest.raises(RuntimeError, match="failed"):
        unreachable.outcomes([event])
    before = len(running_api.requests())
    assert peer.outcomes([event]) == ["applied"]
    assert len(running_api.requests()) - before == 1


def test_a_peer_has_no_effects_and_no_order(peer: Function, running_api: ReferenceApi) -> None:
    """What each of them lacks: ours calls once for two events of one fact, and never sends an older state."""
    paid, updated = fresh()["current/invoice.paid.json"], fresh()["current/customer.updated.json"]
    events = []
    for envelope in (paid, updated):
        detail = envelope["detail"]
        older = detail | {"id": f"{detail['id']}older", "created": detail["created"] - 60}
        events += [envelope, envelope | {"detail": older}]
    before = len(running_api.requests())
    assert peer.outcomes(events) == ["applied"] * 4
    assert len(running_api.requests()) - before == 4


@pytest.fixture(scope="module")
def application(endpoint: Endpoint, environment: dict[str, str], folder: Path) -> Iterator[webhook.Webhook]:
    with webhook.running(folder, endpoint, environment | {names.HUNTAZE_API_KEY: API_KEY}) as running:
        yield running


def test_the_webhook_makes_the_calls_of_the_contract_and_keeps_no_record(
    application: webhook.Webhook, running_api: ReferenceApi
) -> None:
    sent, before = fresh(), len(running_api.requests())
    with httpx.Client() as client:
        answers = [application.post(client, envelope) for envelope in sent.values()]
        assert calls(running_api, before) == expected(sent)
        assert {answer.status_code for answer in answers} == {200}
        for envelope in sent.values():
            application.post(client, envelope)
    assert len(running_api.requests()) - before == 2 * len(expected(sent))


def test_the_webhook_refuses_another_signature(
    application: webhook.Webhook, running_api: ReferenceApi
) -> None:
    forged = replace(application, secret="whsec_other")
    before = len(running_api.requests())
    with httpx.Client() as client:
        assert forged.post(client, fresh()["current/invoice.paid.json"]).status_code == 400
    assert len(running_api.requests()) == before
