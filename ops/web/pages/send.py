"""Send an event to the embedded AWS, and walk with it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import RedirectResponse

from ops.errors import OperatorError
from ops.local import draft, envelopes, sending
from ops.web import record
from ops.web.page import Page, field, post, render, site_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

FIRST: Final = "payment_intent.succeeded"


def show(request: Request) -> Response:
    """Show the form, with the sample of the chosen type."""
    chosen = request.query_params.get("type", FIRST)
    event_type = chosen if chosen in draft.types() else FIRST
    return _form(request, event_type, _text(envelopes.sample(event_type)["detail"]))


def send(request: Request) -> Response:
    """Send the event of the form, and show it walk."""
    site, text = site_of(request), field(request, "event")
    keep_ids, reason = field(request, "keep_ids") == "yes", field(request, "reason")
    try:
        record.check(reason)
        sending.require_embedded(site.environment)
        envelope = draft.parse(text, site.environment.bus, "the event")
        made = draft.copies(envelope, 1, [], keep_ids=keep_ids)
    except OperatorError as error:
        return _form(request, field(request, "type"), text, str(error), keep_ids=keep_ids, reason=reason)
    details = {"event_id": made[0]["detail"]["id"], "event_type": made[0]["detail"]["type"]}
    record.write(site, "send", reason=reason, details=details)
    (event_id,) = sending.send(site.environment, made)
    return RedirectResponse(f"/events/{event_id}", status_code=303)


def _form(
    request: Request,
    event_type: str,
    text: str,
    problem: str = "",
    *,
    keep_ids: bool = False,
    reason: str = "",
) -> Response:
    return render(
        request,
        "send.html",
        types=draft.types(),
        event_type=event_type,
        text=text,
        problem=problem,
        keep_ids=keep_ids,
        reason=reason,
    )


def _text(event: dict[str, Any]) -> str:
    return json.dumps(event, indent=2, ensure_ascii=False)


PAGE: Final = Page("Send", "/send", show, routes=(post("/send", send),), embedded_only=True)
