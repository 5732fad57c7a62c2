"""docs/huntaze-api.openapi.json is valid, and is what the pipeline sends and the reference API answers."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from functions.pipeline import api as pipeline
from functions.pipeline.routing_table import ROUTES
from ops.api.openapi import FILE, written
from ops.local.envelopes import SAMPLES
from ops.reference.huntaze import Fault, ReferenceApi
from ops.reference.huntaze.contract import STATUSES
from tests.local.reference_calls import CALLED, Call, sample_call

DOCUMENT: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
SENT = tuple(name for name in CALLED if not name.startswith("refused/"))


def validator(schema: dict[str, Any]) -> OAS31Validator:
    """A validator of a schema of the file; references lead into the file."""
    return OAS31Validator({**schema, "components": DOCUMENT["components"]})


def resolved(part: dict[str, Any]) -> dict[str, Any]:
    """The part of the file, or what its reference leads to."""
    found: Any = DOCUMENT
    for step in part["$ref"].removeprefix("#/").split("/") if "$ref" in part else ():
        found = found[step]
    return part if "$ref" not in part else found


def body_schemas(path: str) -> list[dict[str, Any]]:
    """The schemas of a path's body, one for each of its event types, in their order."""
    schema = DOCUMENT["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    return [resolved(one) for one in schema.get("oneOf", [schema])]


def event_types(path: str) -> list[str]:
    """The event types of a path."""
    (parameter,) = (
        one
        for one in map(resolved, DOCUMENT["paths"][path]["post"]["parameters"])
        if one["name"] == "X-Stripe-Event-Type"
    )
    types: list[str] = parameter["schema"]["enum"]
    return types


def test_file_is_valid_openapi() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_file_is_what_its_module_writes() -> None:
    assert FILE.read_text(encoding="utf-8") == written(), "run `make docs`"


def test_file_has_each_call_of_the_routing_table_and_no_other() -> None:
    routed = {
        (call.path, event_type, next(iter(call.body)), frozenset(call.body))
        for event_type, route in ROUTES.items()
        for call in route.variants.values()
        if call is not None
    }
    documented = {
        (path, event_type, schema["required"][0], frozenset(schema["required"]))
        for path in DOCUMENT["paths"]
        for event_type, schema in zip(event_types(path), body_schemas(path), strict=True)
    }
    assert documented == routed, (
        "run `make docs`; if it changes nothing, correct ops/reference/huntaze/contract.py"
    )


def test_codes_are_those_of_the_pipeline_and_the_contract() -> None:
    read = {pipeline.ALREADY_APPLIED, pipeline.IN_PROGRESS, pipeline.KEY_REUSED, pipeline.EVENT_REJECTED}
    words = FILE.with_name("huntaze-api.md").read_text(encoding="utf-8")
    documented = {code for code, status in STATUSES.items() if f"| {status} | `{code}` |" in words}
    in_file = {
        code
        for status in (409, 422)
        for code in DOCUMENT["components"]["schemas"][f"Problem{status}"]["properties"]["code"]["enum"]
    }
    assert read == documented == in_file == set(STATUSES)


@pytest.mark.parametrize("name", SENT)
def test_body_that_the_pipeline_sends_is_one_of_the_file(name: str) -> None:
    event = json.loads((SAMPLES / name).read_text(encoding="utf-8"))["detail"]
    request = ROUTES[event["type"]].request(event["data"]["object"])
    assert request is not None
    body = dict(request.body)
    own = body_schemas(request.path)[event_types(request.path).index(event["type"])]
    assert [error.message for error in validator(own).iter_errors(body)] == []
    without_its_id = {**body, next(iter(body)): None}
    assert not validator(own).is_valid(without_its_id)


def check_answer(call: Call, answer: httpx.Response) -> None:
    """The answer's status, media type and body are those of the file."""
    responses = DOCUMENT["paths"][call.path]["post"]["responses"]
    status = str(answer.status_code)
    response = resolved(responses.get(status) or responses[f"{status[0]}XX"])
    schema = response["content"][answer.headers["Content-Type"]]["schema"]
    assert [error.message for error in validator(schema).iter_errors(answer.json())] == []


def test_answers_of_the_reference_api_are_those_of_the_file(api: ReferenceApi, client: httpx.Client) -> None:
    call = sample_call("current/invoice.paid.json")
    busy = call.with_headers(Idempotency_Key="evt_busy")
    sent = [
        call.with_headers(Authorization=None),
        call.with_headers(X_Stripe_Event_Created="now"),
        call.with_headers(Content_Type="text/plain"),
        call.with_body(amountPaid="1"),
        call.with_body(currency="xts"),
        call,
        call,
        call.with_body(amountPaid=1),
        busy,
    ]
    answers = [each.send(client) for each in sent]
    assert [answer.status_code for answer in answers] == [401, 400, 415, 422, 422, 200, 409, 422, 200]
    other = call.with_headers(Idempotency_Key="evt_other")
    api.fail(Fault(status=504, applies=True, work=60, times=1, body="{}", headers=PROBLEM))
    answers += [other.send(client), other.send(client)]
    assert [answer.status_code for answer in answers[-2:]] == [504, 409]
    assert answers[-1].json()["code"] == "request_in_progress"
    for answer in answers:
        check_answer(call, answer)


def test_answer_without_a_code_does_not_match_the_file(api: ReferenceApi, client: httpx.Client) -> None:
    call = sample_call("current/invoice.paid.json")
    api.speak("no-codes")
    call.send(client)
    with pytest.raises((AssertionError, KeyError)):
        check_answer(call, call.send(client))


PROBLEM = {"Content-Type": "application/problem+json"}
