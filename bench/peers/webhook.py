"""The webhook peer: a Starlette application that verifies Stripe's signature and calls the API.

It has no record of an event: a repeat is a second call, with the same idempotency key. It has no effects and
no order, and without a bus no archive and no dead-letter queue: Stripe repeats an event for three days.
"""

from __future__ import annotations

import os
from typing import Any, Final

import httpx
import stripe
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bench.peers.calls import call_of, headers_of

CONFLICT: Final = 409
SIGNING_SECRET: Final = os.environ["STRIPE_SIGNING_SECRET"]
API_KEY: Final = os.environ["HUNTAZE_API_KEY"]

api = httpx.AsyncClient(base_url=os.environ["HUNTAZE_API_URL"], timeout=10.0)


async def receive(request: Request) -> Response:
    """Apply one event; Stripe repeats it if the answer is not 2xx."""
    verify: Any = stripe.Webhook.construct_event  # untyped
    try:
        event = verify(await request.body(), request.headers.get("stripe-signature", ""), SIGNING_SECRET)
    except (ValueError, stripe.SignatureVerificationError):
        return JSONResponse({"error": "the signature does not match"}, 400)
    call = call_of(event)
    if call is not None:
        path, body = call
        response = await api.post(path, json=body, headers=headers_of(event, API_KEY))
        if response.status_code != CONFLICT and not response.is_success:
            return JSONResponse({"error": f"the API answered {response.status_code}"}, 502)
    return JSONResponse({"outcome": "recorded" if call is None else "applied"})


application = Starlette(routes=[Route("/stripe", receive, methods=["POST"])])
