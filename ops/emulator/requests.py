"""What a request asks for: its action as AWS names it, the resources that AWS checks, and its parameters."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final

from ministack.core import iam_actions

from ops.emulator.named_resources import resources

# Operations that AWS authorizes as another action.
AUTHORIZED_AS: Final = {
    "lambda:Invoke": "lambda:InvokeFunction",
    "lambda:InvokeWithResponseStream": "lambda:InvokeFunction",
    "sqs:SendMessageBatch": "sqs:SendMessage",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
}
_asked: ContextVar[Asked | None] = ContextVar("asked", default=None)


@dataclass(frozen=True)
class Asked:
    """A request.

    Parameters
    ----------
    action
        As AWS authorizes it, for example sqs:SendMessage for a batch.
    resources
        The ARNs on which AWS checks the action.
    parameters
        By name, of a JSON body or of a query.
    """

    action: str
    resources: tuple[str, ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)


def asked(action: str, resource: str) -> Asked:
    """Return the request that is served; MiniStack may check further resources of the same request."""
    action, request = AUTHORIZED_AS.get(action, action), _asked.get()
    if request is None or request.action != action:
        return Asked(action, (resource,))
    return request if resource in ("*", request.resources[0]) else Asked(action, (resource,))


def with_resources(find: Callable[..., str]) -> Callable[..., str]:
    """Find the resources that AWS checks, and remember the request."""

    def extract_resource_arn(
        service: str, method: str, path: str, headers: Any, body: bytes, query: Any, *place: str
    ) -> str:
        found = find(service, method, path, headers, body, query, *place)
        operation = iam_actions.extract_iam_action(service, method, path, headers, body, query)
        action = AUTHORIZED_AS.get(operation or "", operation or "")
        read = _parameters(body, query)
        arns = resources(action, read) or (found,)
        _asked.set(Asked(action, arns, read))
        return arns[0]

    return extract_resource_arn


def lambda_action(method: str, path: str) -> str | None:
    """Return the operation of a path of Lambda by the service's model; MiniStack's table lacks many."""
    operation: str | None = iam_actions._match_rest_action("lambda", method, path)
    return operation


def _parameters(body: bytes, query: Mapping[str, Any]) -> dict[str, Any]:
    named = {name: value[0] if isinstance(value, list) else value for name, value in query.items()}
    try:
        found = json.loads(body or b"{}")
    except ValueError:
        return named
    return named | found if isinstance(found, dict) else named
