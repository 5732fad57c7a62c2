"""The OpenAPI 3.1 document of the Huntaze API, as far as the pipeline calls it.

Paths, bodies and codes are those of the reference API; a test compares them with the routing table.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from ops import ROOT
from ops.reference.huntaze.contract import CONTRACT, STATUSES, Body

FILE: Final = ROOT / "docs" / "huntaze-api.openapi.json"
JSON: Final = "application/json"
PROBLEM: Final = "application/problem+json"
HEADERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "IdempotencyKey": {
        "name": "Idempotency-Key",
        "description": "The Stripe event's id; `:` and more follow for a forced replay or a fetched state.",
        "schema": {"type": "string", "pattern": "^evt_[A-Za-z0-9_]+(:[!-~]+)?$"},
    },
    "EventCreated": {
        "name": "X-Stripe-Event-Created",
        "description": "When Stripe made the event, Unix seconds.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "ApiVersion": {
        "name": "X-Stripe-Api-Version",
        "description": "The Stripe API version in which the event was rendered.",
        "schema": {"type": "string", "examples": ["2025-01-27.acacia"]},
    },
}
# The name below `components/responses` of what each status means.
ANSWERS: Final = {
    "2XX": "Applied",
    "400": "Refused",
    "401": "Unauthenticated",
    "403": "Unauthenticated",
    "404": "Refused",
    "405": "Refused",
    "408": "NotNow",
    "409": "Repeated",
    "411": "Refused",
    "413": "Refused",
    "415": "Refused",
    "422": "Rejected",
    "425": "NotNow",
    "429": "NotNow",
    "5XX": "Failed",
}
NOT_APPLIED: Final = "This request is not applied."


def written() -> str:
    """Return the text of FILE."""
    return json.dumps(document(), indent=2) + "\n"


def document() -> dict[str, Any]:
    """Return the document, ready for JSON."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Huntaze API, as huntaze-stripe-eventbridge calls it",
            "version": "1.0.0",
            "description": "What each answer promises is in docs/huntaze-api.md.",
        },
        "security": [{"apiKey": []}],
        "paths": {path: {"post": _operation(path, types)} for path, types in CONTRACT.items()},
        "components": {
            "securitySchemes": {"apiKey": {"type": "http", "scheme": "bearer"}},
            "parameters": {
                name: {"in": "header", "required": True, **header} for name, header in HEADERS.items()
            },
            "schemas": {
                **{
                    _schema_name(path, event_type): _schema(body)
                    for path, types in CONTRACT.items()
                    for event_type, body in types.items()
                },
                "Problem": _problem(),
                **{_coded_name(status): _problem(*_codes(status)) for status in (409, 422)},
            },
            "responses": _responses(),
        },
    }


def _operation(path: str, types: Mapping[str, Body]) -> dict[str, Any]:
    references = [{"$ref": f"#/components/schemas/{_schema_name(path, event_type)}"} for event_type in types]
    event_type = {
        "name": "X-Stripe-Event-Type",
        "in": "header",
        "required": True,
        "schema": {"type": "string", "enum": list(types)},
    }
    return {
        "operationId": _pascal(path),
        "parameters": [event_type, *({"$ref": f"#/components/parameters/{name}"} for name in HEADERS)],
        "requestBody": {
            "required": True,
            "content": {JSON: {"schema": references[0] if len(references) == 1 else {"oneOf": references}}},
        },
        "responses": {status: {"$ref": f"#/components/responses/{name}"} for status, name in ANSWERS.items()},
    }


def _schema(body: Body) -> dict[str, Any]:
    own_id = next(iter(body))
    return {
        "type": "object",
        "required": list(body),
        "properties": {
            name: dict(kind.schema) if name == own_id else _nullable(kind.schema)
            for name, kind in body.items()
        },
    }


def _nullable(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {**schema, "type": [schema["type"], "null"]} if schema else {}


def _problem(*codes: str) -> dict[str, Any]:
    """Problem details (RFC 9457) with one more member, `code`."""
    code: dict[str, Any] = {"type": "string", "enum": list(codes)} if codes else {"type": "string"}
    return {
        "type": "object",
        **({"required": ["code"]} if codes else {}),
        "properties": {
            "code": code,
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
        },
    }


def _responses() -> dict[str, Any]:
    wait = {"Retry-After": {"description": "Seconds, or an HTTP date.", "schema": {"type": "string"}}}
    return {
        "Applied": {
            "description": "The event is applied, by this request or by an equal one before, and stays so.",
            "content": {JSON: {"schema": {}}},
        },
        "Repeated": {
            "description": "`already_applied`: an equal request was applied. `request_in_progress`: one with "
            "this Idempotency-Key has not ended; this one is not applied.",
            "content": {PROBLEM: {"schema": {"$ref": f"#/components/schemas/{_coded_name(409)}"}}},
        },
        "Rejected": {
            "description": "`event_rejected`: no request with this Idempotency-Key that came so far was, is "
            "being or will be applied. `idempotency_key_reused`: a request with this Idempotency-Key and "
            "another content was applied.",
            "content": {PROBLEM: {"schema": {"$ref": f"#/components/schemas/{_coded_name(422)}"}}},
        },
        "Refused": {"description": f"{NOT_APPLIED} An equal one never will be.", "content": _any_problem()},
        "Unauthenticated": {
            "description": f"{NOT_APPLIED} The API key is wrong, or may not do this.",
            "content": _any_problem(),
        },
        "NotNow": {
            "description": f"{NOT_APPLIED} An equal one may be, later.",
            "headers": wait,
            "content": _any_problem(),
        },
        "Failed": {
            "description": "Whether the event is applied is not known. The same request follows.",
            "headers": wait,
            "content": _any_problem(),
        },
    }


def _any_problem() -> dict[str, Any]:
    return {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}


def _codes(status: int) -> list[str]:
    return [code for code, its in STATUSES.items() if its == status]


def _coded_name(status: int) -> str:
    return f"Problem{status}"


def _schema_name(path: str, event_type: str) -> str:
    name = _pascal(path)
    return name if len(CONTRACT[path]) == 1 else f"{name}From{_pascal(event_type)}"


def _pascal(name: str) -> str:
    """Return for example `InvoicePaid` for `/api/billing/invoice-paid` and for `invoice.paid`."""
    words = name.rpartition("/")[2].replace(".", "-").replace("_", "-").split("-")
    return "".join(word.capitalize() for word in words)
