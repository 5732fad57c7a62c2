"""Event patterns: what the routing table may not say."""

from __future__ import annotations

import json
import typing

import pytest
from stripe.events._event_classes import _V2_EVENT_CLASS_LOOKUP
from stripe.params import _webhook_endpoint_create_params as stripe_params

from functions.pipeline import routing_table
from functions.shared import names
from infra import patterns
from infra.errors import RoutingError
from tests.infra.conftest import SOURCE


def test_type_routed_twice_is_refused() -> None:
    routed = {"payments": ["invoice.paid"], "billing": ["customer.created", "invoice.paid"]}
    with pytest.raises(RoutingError, match=r"invoice\.paid is routed twice, to payments and billing"):
        patterns.by_message_group(SOURCE, routed)


def test_type_twice_in_one_handler_is_refused() -> None:
    with pytest.raises(RoutingError, match="routed twice"):
        patterns.by_message_group(SOURCE, {"billing": ["invoice.paid", "invoice.paid"]})


def test_type_that_stripe_does_not_have_is_refused_with_the_nearest_that_it_has() -> None:
    with pytest.raises(
        RoutingError, match=r'"invoice\.payed" is unknown to Stripe; did you mean "invoice\.paid"'
    ):
        patterns.by_message_group(SOURCE, {"billing": ["invoice.payed"]})


def test_pattern_longer_than_eventbridge_allows_is_refused() -> None:
    many = sorted(patterns.stripe_event_types())
    with pytest.raises(RoutingError, match=r"the event pattern of billing has [\d,]+ characters, .* 2,048"):
        patterns.by_message_group(SOURCE, {"billing": many})


def test_pattern_of_exactly_the_limit_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    routed = {family: routing_table.event_types(family) for family in names.HANDLERS}
    longest = max(len(text) for text in patterns.by_message_group(SOURCE, routed).values())
    monkeypatch.setattr(patterns, "MAX_PATTERN_LENGTH", longest)
    assert patterns.by_message_group(SOURCE, routed)
    monkeypatch.setattr(patterns, "MAX_PATTERN_LENGTH", longest - 1)
    with pytest.raises(RoutingError):
        patterns.by_message_group(SOURCE, routed)


def test_pattern_is_compact() -> None:
    text = patterns.by_message_group(SOURCE, {"billing": ["invoice.paid"]})["billing"]
    types = ["invoice.paid", "v1.invoice.paid"]
    assert text == json.dumps({"detail-type": types, "source": [SOURCE]}, separators=(",", ":"))


@pytest.mark.parametrize("event_type", routing_table.ROUTES)
def test_stripe_has_a_thin_twin_of_each_routed_type(event_type: str) -> None:
    [_, thin_type] = patterns.with_thin([event_type])
    assert thin_type in _V2_EVENT_CLASS_LOOKUP


def test_shipped_list_has_the_event_types_of_the_stripe_library() -> None:
    annotation = stripe_params.WebhookEndpointCreateParams.__annotations__["enabled_events"]
    [literal] = typing.get_args(annotation)
    assert patterns.stripe_event_types() == frozenset(typing.get_args(literal)) - {"*"}
