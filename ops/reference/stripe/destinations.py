"""Event destinations of the reference Stripe API: `/v2/core/event_destinations` and what is below it.

Sources: Stripe's API reference, "Event destinations", "API v2" (JSON bodies, pages, idempotency); Stripe's
"Send events to Amazon EventBridge". Only destinations of type `amazon_eventbridge` exist here.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qs, urlencode

from ops.reference.server.messages import Received, Reply, json_reply
from ops.reference.stripe import destination_fields as fields
from ops.reference.stripe import partner as states
from ops.reference.stripe.partner import Partner

PATH: Final = "/v2/core/event_destinations"
OBJECT: Final = "v2.core.event_destination"
PING: Final = "v2.core.event_destination.ping"
DEFAULT_LIMIT: Final = 20
MOST: Final = 100
# Stripe, "Event destinations": the most that an account has.
MOST_DESTINATIONS: Final = 16
GONE: Final = "no_aws_event_source_exists"
BY_USER: Final = "user"

Destination = dict[str, Any]


class Destinations:
    """The event destinations of one Stripe account. Thread-safe.

    Parameters
    ----------
    livemode
        The mode of the account's key.
    """

    def __init__(self, partner: Partner, *, livemode: bool) -> None:
        self._partner = partner
        self._livemode = livemode
        self._lock = threading.RLock()
        self._kept: dict[str, Destination] = {}
        self._answered: dict[str, tuple[str, Reply]] = {}

    def answer(self, request: Received, path: str, query: str) -> Reply:
        """Return the reply to a request; a repeated Idempotency-Key gets the first reply again."""
        key = request.header("Idempotency-Key") if request.method != "GET" else None
        asked = f"{request.method} {path} {request.content!r}"
        with self._lock:
            if key in self._answered:
                before, reply = self._answered[key]
                if before == asked:
                    return reply
                return _error(409, "idempotency_error", "Keys for idempotent requests can only be reused.")
            try:
                reply = self._reply(request, path, query)
            except fields.InvalidFieldError as invalid:
                message = f"Some fields in the request were invalid: '{invalid}'"
                reply = _error(400, "invalid_fields", message)
            if key:
                self._answered[key] = asked, reply
            return reply

    def add(self, content: Mapping[str, Any]) -> Destination:
        """Add a destination as if it had been created; `id` may be given.

        Raises
        ------
        ValueError
            A field is missing or invalid.
        """
        with self._lock:
            given = dict(content)
            return self._create(given, given.pop("id", None))

    def clear(self) -> None:
        """Forget all destinations; their event sources stay."""
        with self._lock:
            self._kept.clear()
            self._answered.clear()

    def deliver(self, event: Mapping[str, Any]) -> int:
        """Send an event to each enabled destination that wants its type and account; return to how many."""
        payload = "snapshot" if event["object"] == "event" else "thin"
        connected = event.get("account" if payload == "snapshot" else "context")
        scope = fields.ACCOUNTS if connected else fields.ITSELF
        with self._lock:
            for each in self._kept.values():
                self._refresh(each)
            wanted = [
                each
                for each in self._kept.values()
                if each["status"] == "enabled"
                and each["event_payload"] == payload
                and event["type"] in each["enabled_events"]
                and scope in each["events_from"]
            ]
        for each in wanted:
            self._partner.publish(_source(each), dict(event))
        return len(wanted)

    def _reply(self, request: Received, path: str, query: str) -> Reply:
        method, below = request.method, path.removeprefix(PATH).strip("/").split("/")
        if below == [""]:
            if method == "POST":
                return json_reply(200, self._create(_body(request)))
            return self._page(query) if method == "GET" else _unknown(request)
        found = self._kept.get(below[0])
        actions: Mapping[tuple[str, str], Callable[[Destination], Any]] = {
            ("GET", ""): lambda found: found,
            ("POST", ""): lambda found: self._update(found, _body(request)),
            ("DELETE", ""): self._delete,
            ("POST", "enable"): self._enable,
            ("POST", "disable"): self._disable,
            ("POST", "ping"): self._ping,
        }
        act = actions.get((method, "/".join(below[1:])))
        if act is None:
            return _unknown(request)
        if found is None:
            return _error(404, "not_found", f"Event destination {below[0]} not found.")
        self._refresh(found)
        return json_reply(200, act(found))

    def _create(self, content: Mapping[str, Any], given_id: str | None = None) -> Destination:
        checked = fields.created(content)
        if len(self._kept) == MOST_DESTINATIONS:
            raise fields.InvalidFieldError(
                f"You have reached the maximum of {MOST_DESTINATIONS} destinations."
            )
        mode = "" if self._livemode else "test_"
        id_ = given_id or f"ed_{mode}61{secrets.token_hex(15)}"
        account_id, region = checked.pop("aws_account_id"), checked.pop("aws_region")
        name = f"{states.PREFIX}{id_}"
        self._partner.create(name, account_id)
        now = _now()
        made: Destination = {
            "id": id_,
            "object": OBJECT,
            **checked,
            "created": now,
            "updated": now,
            "livemode": self._livemode,
            "status": "enabled",
            "status_details": None,
            "amazon_eventbridge": {
                "aws_account_id": account_id,
                "aws_event_source_arn": f"arn:aws:events:{region}::event-source/{name}",
                "aws_event_source_status": self._partner.state(name),
            },
        }
        self._kept[id_] = made
        return made

    def _page(self, query: str) -> Reply:
        """Return a page, newest first; `page` is where it begins."""
        asked = {key: values[-1] for key, values in parse_qs(query).items()}
        limit, start = fields.number(asked, "limit", DEFAULT_LIMIT, 1, MOST), fields.number(asked, "page", 0)
        everything = [*self._kept.values()][::-1]
        for each in everything:
            self._refresh(each)
        end = start + limit
        following = f"{PATH}?{urlencode({'limit': limit, 'page': end})}" if end < len(everything) else None
        return json_reply(200, {"data": everything[start:end], "next_page_url": following})

    def _update(self, found: Destination, content: Mapping[str, Any]) -> Destination:
        found |= fields.updated(content, found)
        found["updated"] = _now()
        return found

    def _delete(self, found: Destination) -> dict[str, Any]:
        self._partner.delete(_source(found), found["amazon_eventbridge"]["aws_account_id"])
        del self._kept[found["id"]]
        return {"id": found["id"], "object": OBJECT}

    def _enable(self, found: Destination) -> Destination:
        if found["amazon_eventbridge"]["aws_event_source_status"] == states.DELETED:
            raise fields.InvalidFieldError("The partner event source of this destination no longer exists.")
        return self._set(found, "enabled", None)

    def _disable(self, found: Destination) -> Destination:
        return self._set(found, "disabled", {"disabled": {"reason": BY_USER}})

    def _set(self, found: Destination, status: str, details: dict[str, Any] | None) -> Destination:
        if found["status"] != status:
            found |= {"status": status, "status_details": details, "updated": _now()}
        return found

    def _ping(self, found: Destination) -> dict[str, Any]:
        """Make the event, and send it unless the destination is disabled."""
        mode = "" if self._livemode else "test_"
        url = f"{PATH}/{found['id']}"
        event = {
            "id": f"evt_{mode}65{secrets.token_hex(15)}",
            "object": "v2.core.event",
            "type": PING,
            "livemode": self._livemode,
            "created": _now(),
            "context": None,
            "related_object": {"id": found["id"], "type": OBJECT, "url": url},
            "reason": None,
        }
        if found["status"] == "enabled":
            self._partner.publish(_source(found), event)
        return event

    def _refresh(self, found: Destination) -> None:
        """Ask AWS for the state of the source; Stripe disables a destination whose source is gone."""
        state = self._partner.state(_source(found))
        found["amazon_eventbridge"]["aws_event_source_status"] = state
        if state == states.DELETED:
            self._set(found, "disabled", {"disabled": {"reason": GONE}})


def _source(found: Destination) -> str:
    return str(found["amazon_eventbridge"]["aws_event_source_arn"]).partition("event-source/")[2]


def _body(request: Received) -> dict[str, Any]:
    kind = request.header("Content-Type") or ""
    try:
        document = json.loads(request.content or b"{}")
    except ValueError:
        document = None
    if not kind.startswith("application/json") or not isinstance(document, dict):
        raise fields.InvalidFieldError("The body of a request to API v2 must be a JSON object.")
    return document


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _unknown(request: Received) -> Reply:
    return _error(404, "not_found", f"Unrecognized request URL ({request.method}: {request.path}).")


def _error(status: int, code: str, message: str) -> Reply:
    kind = code if code == "idempotency_error" else "invalid_request_error"
    return json_reply(status, {"error": {"type": kind, "code": code, "message": message}})
