"""The HTTP server of the reference Stripe API; control requests fill its Stripe account."""

from __future__ import annotations

import json
from typing import Any

from ops.reference.server.messages import Received, Reply, json_reply
from ops.reference.server.server import CONTROL_PREFIX, ReferenceServer
from ops.reference.stripe.exchange import StripeExchange


class StripeServer(ReferenceServer):
    """Serve one exchange on a loopback port; port 0 selects a free one."""

    controls = "requests, faults, events, objects, destinations and account"

    def __init__(self, exchange: StripeExchange, port: int = 0) -> None:
        self._store = exchange.store
        self._destinations = exchange.destinations
        super().__init__(exchange, port)

    def control(self, request: Received) -> Reply:
        """Answer a control request.

        Besides requests and faults, POST events adds a list of events, POST objects adds a list of
        `{object, api_version, account}`, POST destinations a list of event destinations, and DELETE account
        removes all of them.
        """
        try:
            match request.method, request.path.removeprefix(CONTROL_PREFIX):
                case "POST", "events":
                    self._store.add_events(_list(request.content))
                    return json_reply(201, {})
                case "POST", "objects":
                    for entry in _list(request.content):
                        self._store.put(
                            entry["object"],
                            api_version=entry.get("api_version"),
                            account=entry.get("account"),
                        )
                    return json_reply(201, {})
                case "POST", "destinations":
                    added = [self._destinations.add(entry) for entry in _list(request.content)]
                    return json_reply(201, {"data": added})
                case "DELETE", "account":
                    self._store.clear()
                    self._destinations.clear()
                    return json_reply(200, {})
        except (ValueError, KeyError, AttributeError) as error:
            return json_reply(400, {"error": str(error)})
        return super().control(request)


def _list(content: bytes) -> list[dict[str, Any]]:
    document = json.loads(content)
    if not isinstance(document, list):
        raise ValueError("expected a JSON list")  # noqa: TRY004 - one error class for bad input
    return document
