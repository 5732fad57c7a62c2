"""Event destinations of the reference Stripe API, through the real stripe library."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import stripe

from ops.reference.stripe import ReferenceStripe
from ops.reference.stripe.destinations import MOST_DESTINATIONS, Destinations
from ops.reference.stripe.partner import NoPartner
from tests.local.conftest import KEY

ACCOUNT = "123456789012"


def service(server: ReferenceStripe) -> Any:
    client = stripe.StripeClient(KEY, base_addresses={"api": server.url}, max_network_retries=0)
    return client.v2.core.event_destinations


def fields(**more: Any) -> dict[str, Any]:
    return {
        "name": "huntaze-stripe-dev",
        "type": "amazon_eventbridge",
        "event_payload": "snapshot",
        "snapshot_api_version": "2026-10-28.endive",
        "enabled_events": ["invoice.paid", "customer.created"],
        "amazon_eventbridge": {"aws_account_id": ACCOUNT, "aws_region": "eu-west-1"},
        **more,
    }


def test_a_destination_is_created_with_its_event_source(server: ReferenceStripe) -> None:
    made = service(server).create(fields(metadata={"team": "billing"}))
    assert made.object == "v2.core.event_destination"
    assert (made.status, made.livemode, made.events_from) == ("enabled", False, ["@self"])
    source = f"arn:aws:events:eu-west-1::event-source/aws.partner/stripe.com/{made.id}"
    assert made.amazon_eventbridge.aws_event_source_arn == source
    assert service(server).retrieve(made.id).to_dict() == made.to_dict()


def test_the_library_pages_through_all_destinations(server: ReferenceStripe) -> None:
    made = [service(server).create(fields(name=f"number {number}")).id for number in range(5)]
    listed = service(server).list({"limit": 2})
    assert [each.id for each in listed.auto_paging_iter()] == made[::-1]


def test_an_account_has_no_more_than_16_destinations(server: ReferenceStripe) -> None:
    for number in range(MOST_DESTINATIONS):
        service(server).create(fields(name=f"number {number}"))
    with pytest.raises(stripe.InvalidRequestError, match="maximum"):
        service(server).create(fields())


def test_name_types_and_metadata_change_and_a_null_removes_a_key(server: ReferenceStripe) -> None:
    made = service(server).create(fields(metadata={"a": "1", "b": "2"}))
    changed = service(server).update(
        made.id, {"name": "other", "enabled_events": ["invoice.paid"], "metadata": {"a": None, "c": "3"}}
    )
    assert (changed.name, changed.enabled_events) == ("other", ["invoice.paid"])
    assert changed.metadata.to_dict() == {"b": "2", "c": "3"}
    with pytest.raises(stripe.InvalidRequestError, match="snapshot_api_version"):
        service(server).update(made.id, {"snapshot_api_version": "2025-01-01.acacia"})


def test_disabling_has_a_reason_and_enabling_removes_it(server: ReferenceStripe) -> None:
    made = service(server).create(fields())
    disabled = service(server).disable(made.id)
    assert (disabled.status, disabled.status_details.disabled.reason) == ("disabled", "user")
    enabled = service(server).enable(made.id)
    assert (enabled.status, enabled.status_details) == ("enabled", None)


def test_a_ping_is_an_event_about_the_destination(server: ReferenceStripe) -> None:
    made = service(server).create(fields())
    event = service(server).ping(made.id)
    assert (event.object, event.type) == ("v2.core.event", "v2.core.event_destination.ping")
    assert event.related_object.id == made.id


def test_a_deleted_destination_is_not_found(server: ReferenceStripe) -> None:
    made = service(server).create(fields())
    assert service(server).delete(made.id).id == made.id
    with pytest.raises(stripe.InvalidRequestError, match="not found"):
        service(server).retrieve(made.id)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"name": ""}, "name"),
        ({"enabled_events": []}, "enabled_events"),
        ({"enabled_events": ["*"]}, r"enabled_events\[0\]"),
        ({"enabled_events": ["invoice.paid", "invoice.payed"]}, r"enabled_events\[1\]"),
        ({"event_payload": "fat"}, "event_payload"),
        ({"event_payload": "thin"}, "enabled_events"),
        ({"snapshot_api_version": "yesterday"}, "snapshot_api_version"),
        (
            {"amazon_eventbridge": {"aws_account_id": "12", "aws_region": "eu-west-1"}},
            "amazon_eventbridge.aws_account_id",
        ),
        (
            {"amazon_eventbridge": {"aws_account_id": ACCOUNT, "aws_region": "Dublin"}},
            "amazon_eventbridge.aws_region",
        ),
        ({"type": "webhook_endpoint"}, "type"),
        ({"metadata": {"a": 1}}, "metadata"),
        ({"colour": "red"}, "colour"),
        ({"events_from": ["everywhere"]}, "events_from"),
    ],
)
def test_a_wrong_field_is_named(server: ReferenceStripe, change: dict[str, Any], named: str) -> None:
    with pytest.raises(stripe.InvalidRequestError, match=f"fields in the request were invalid: '{named}"):
        service(server).create(fields(**change))
    assert list(service(server).list()) == []


def test_a_thin_destination_has_no_api_version(server: ReferenceStripe) -> None:
    thin = fields(event_payload="thin", enabled_events=["v1.billing.meter.error_report_triggered"])
    with pytest.raises(stripe.InvalidRequestError, match="not pinned"):
        service(server).create(thin)
    del thin["snapshot_api_version"]
    assert service(server).create(thin).snapshot_api_version is None


def test_a_repeated_request_gets_the_first_answer_and_another_one_409(server: ReferenceStripe) -> None:
    options = {"idempotency_key": "once"}
    first = service(server).create(fields(), options)
    assert service(server).create(fields(), options).id == first.id
    with pytest.raises(stripe.IdempotencyError):
        service(server).create(fields(name="another"), options)
    assert len(list(service(server).list())) == 1


def test_api_v2_takes_no_form(server: ReferenceStripe) -> None:
    answer = httpx.post(
        f"{server.url}/v2/core/event_destinations",
        data={"name": "x"},
        headers={"Authorization": f"Bearer {KEY}"},
        trust_env=False,
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_fields")


@pytest.mark.parametrize(("method", "path"), [("PUT", ""), ("GET", "/ed_1/ping"), ("POST", "/ed_1/explode")])
def test_other_paths_are_unknown(server: ReferenceStripe, method: str, path: str) -> None:
    answer = httpx.request(
        method,
        f"{server.url}/v2/core/event_destinations{path}",
        json={},
        headers={"Authorization": f"Bearer {KEY}"},
        trust_env=False,
    )
    assert answer.status_code == 404


@pytest.mark.parametrize(
    ("scopes", "own", "connected"),
    [(None, 1, 0), (["@self"], 1, 0), (["@accounts"], 0, 1), (["@self", "@accounts"], 1, 1)],
)
def test_a_destination_gets_the_events_of_the_accounts_that_it_names(
    scopes: list[str] | None, own: int, connected: int
) -> None:
    event = {"id": "evt_1", "object": "event", "type": "invoice.paid"}
    thin = {"id": "evt_2", "object": "v2.core.event", "type": "v1.invoice.paid"}
    destinations = Destinations(NoPartner(), livemode=False)
    given = {} if scopes is None else {"events_from": scopes}
    destinations.add(fields(**given))
    light = fields(event_payload="thin", enabled_events=["v1.invoice.paid"], **given)
    del light["snapshot_api_version"]
    destinations.add(light)
    assert destinations.deliver(event) == own
    assert destinations.deliver(event | {"account": "acct_1"}) == connected
    assert destinations.deliver(thin | {"context": None}) == own
    assert destinations.deliver(thin | {"context": "acct_1"}) == connected
