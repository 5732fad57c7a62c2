"""What a policy refuses that it must allow, and allows that it must refuse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from ops.plan_report.policy_requests import principals
from ops.policy_evaluation import ALLOW, DENY, SECURE, Context, Document, of_resource, statements_of

SOURCE: Final = "aws:sourcearn"


@dataclass(frozen=True)
class Delivery:
    """What a policy must allow: a service that acts for a resource."""

    service: str
    action: str
    resource: str
    context: Mapping[str, str]


def wrong(
    name: str,
    document: Document | None,
    delivery: Delivery,
    other: Mapping[str, str],
    *,
    plain_text: bool = False,
    of_key: bool = False,
) -> Iterator[str]:
    """Yield what a policy refuses that it must allow, and allows that it must refuse.

    Parameters
    ----------
    other
        The context of a request by the same service for somebody else.
    plain_text
        Whether the policy must deny requests without TLS.
    of_key
        Whether it is a key's, in which the account itself administers.
    """
    ask, request = of_resource(document or {}), (delivery.action, delivery.resource)
    sender = delivery.context.get(SOURCE, "").rpartition("/")[2] or delivery.service
    if ask(delivery.service, *request, delivery.context) != ALLOW:
        yield f"{name} refuses {sender}"
    if ask(delivery.service, *request, other) == ALLOW:
        yield f"{name} takes requests of any {delivery.service.partition('.')[0]} resource"
    for principal in principals(statements_of(document or {})):
        administers = of_key and principal.value.endswith(":root")
        if principal.value.startswith("arn:") and not administers:
            tried: tuple[Context, ...] = ({}, delivery.context)
            if any(ask(principal.value, *request, each) == ALLOW for each in tried):
                yield f"{name} also takes requests of {principal.label}"
    if plain_text and ask(delivery.service, *request, {**delivery.context, SECURE: "false"}) != DENY:
        yield f"{name} takes requests without TLS"
