"""The reference Huntaze API's HTTP server."""

from __future__ import annotations

import dataclasses
import json

from ops.reference.huntaze.dialects import dialect_from
from ops.reference.huntaze.exchange import ApiExchange
from ops.reference.server.messages import Received, Reply, json_reply
from ops.reference.server.server import CONTROL_PREFIX, ReferenceServer


class ApiServer(ReferenceServer):
    """Serve one exchange on a loopback port, and close it at the end; port 0 selects a free one."""

    controls = "requests, applied, dialect, key and faults"

    def __init__(self, exchange: ApiExchange, port: int = 0) -> None:
        self._calls = exchange
        super().__init__(exchange, port)

    def control(self, request: Received) -> Reply:
        """Answer a request of the test or tool that runs this server.

        GET applied lists the applied calls; GET and PUT dialect return and set `{"dialect": NAME}`.
        PUT key revokes the bearer key, also of the control paths, for the one in `{"key": KEY}`.
        """
        match request.method, request.path.partition("?")[0].removeprefix(CONTROL_PREFIX):
            case "GET", "applied":
                applied = [dataclasses.asdict(call) for call in self._calls.applied()]
                state = {key: dataclasses.asdict(call) for key, call in self._calls.state().items()}
                return json_reply(200, {"applied": applied, "state": state})
            case "PUT", "dialect":
                try:
                    order = json.loads(request.content)
                    name = order.get("dialect") if isinstance(order, dict) else None
                    self._calls.dialect = dialect_from(name)
                except ValueError as error:
                    return json_reply(400, {"error": str(error)})
                return json_reply(200, {"dialect": self._calls.dialect.name})
            case "PUT", "key":
                order = json.loads(request.content)
                if not (isinstance(order, dict) and isinstance(order.get("key"), str) and order["key"]):
                    return json_reply(400, {"error": "key must be the new bearer key"})
                self._calls.key = order["key"]
                return json_reply(200, {})
            case "GET", "dialect":
                return json_reply(200, {"dialect": self._calls.dialect.name})
            case _:
                return super().control(request)

    def server_close(self) -> None:
        """Close the listening socket, every connection, and the journal."""
        super().server_close()
        self._calls.close()
