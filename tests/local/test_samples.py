"""The shipped sample events are complete, contain no real data, and lead to the bodies of the contract."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

import pytest

from functions.pipeline.routing_table import ROUTES
from ops.local.envelopes import EXPECTED_CALLS, GENERATIONS, REPEATED, SAMPLES, default_set, load

pytestmark = pytest.mark.unit

API_VERSIONS = {"acacia": "2025-01-27.acacia", "current": "2026-07-29.dahlia"}
# Numbers that no subscriber gets: 01 99 00 in France (Arcep, plan national de numérotation, 2.5.12) and
# 555-01xx in North America.
FICTITIOUS_PHONE = re.compile(r"\+3319900\d{4}|\+1\d{3}55501\d{2}")
PHONE = re.compile(r"\+\d{7,15}")
UNROUTED_TYPES = {"payout.paid", "product.created"}
FILES = tuple(file.relative_to(SAMPLES).as_posix() for file in sorted(SAMPLES.rglob("*.json")))


def envelope(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((SAMPLES / name).read_text(encoding="utf-8"))
    return loaded


def strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in strings(item)]
    if isinstance(value, list):
        return [text for item in value for text in strings(item)]
    return [value] if isinstance(value, str) else []


def livemodes(value: Any) -> list[Any]:
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    own = [value["livemode"]] if isinstance(value, dict) and "livemode" in value else []
    return own + [mode for item in items for mode in livemodes(item)]


@pytest.mark.parametrize("generation", GENERATIONS)
def test_each_generation_has_every_type_and_variant_and_two_unrouted_types(generation: str) -> None:
    wanted = {
        f"{route.event_type}--{variant}.json" if variant else f"{route.event_type}.json"
        for route in ROUTES.values()
        for variant in route.variants
    } | {f"{event_type}.json" for event_type in UNROUTED_TYPES}
    shipped = {sample.file for sample in load(SAMPLES / generation)}
    # A type that is added later needs one sample, in the shape that Stripe sends now.
    assert shipped == wanted if generation == GENERATIONS[-1] else shipped <= wanted
    assert not UNROUTED_TYPES & set(ROUTES)


@pytest.mark.parametrize("name", FILES)
def test_sample_is_an_envelope_of_its_generation_in_test_mode(name: str) -> None:
    folder, _, file = name.partition("/")
    sample = envelope(name)
    detail = sample["detail"]
    assert detail["type"] == sample["detail-type"] == file.removesuffix(".json").partition("--")[0]
    assert detail["api_version"] == API_VERSIONS.get(folder, API_VERSIONS["current"])
    assert detail["data"]["object"]["object"]
    assert sample["source"].startswith("aws.partner/stripe.com/ed_test_")
    assert set(livemodes(sample)) == {False}


@pytest.mark.parametrize("name", FILES)
def test_sample_names_no_person_and_no_host_that_could_be_real(name: str) -> None:
    for text in strings(envelope(name)):
        assert "@" not in text or text.endswith("@example.com"), text
        assert not text.startswith(("sk_", "rk_", "whsec_")), text
        assert not PHONE.fullmatch(text) or FICTITIOUS_PHONE.fullmatch(text), text


@pytest.mark.parametrize("name", FILES)
def test_sample_is_mapped_to_the_body_of_the_contract(name: str) -> None:
    detail = envelope(name)["detail"]
    route = ROUTES.get(detail["type"])
    request = route.request(detail["data"]["object"]) if route else None
    mapped = None if request is None else {"path": request.path, "body": dict(request.body)}
    assert mapped == EXPECTED_CALLS[name]


def test_expected_bodies_name_the_samples_and_no_other_file() -> None:
    assert set(EXPECTED_CALLS) == set(FILES)


def test_event_ids_are_unique_among_the_samples() -> None:
    ids = Counter(envelope(name)["detail"]["id"] for name in FILES)
    assert set(ids.values()) == {1}


@pytest.mark.parametrize("generation", GENERATIONS)
def test_samples_of_a_generation_are_about_one_customer_and_one_subscription(generation: str) -> None:
    bodies = [
        call["body"] for name, call in EXPECTED_CALLS.items() if call and name.startswith(f"{generation}/")
    ]
    for key in ("customerId", "subscriptionId"):
        assert len({body[key] for body in bodies if body.get(key)}) == 1


def test_samples_contain_the_values_that_leak_tests_search_for() -> None:
    found = {text for name in FILES for text in strings(envelope(name))}
    assert {
        "camille.moreau@example.com",
        "haruto.sato@example.com",
        "Camille Moreau",
        "0341",
        "4444",
    } <= found


def test_samples_contain_the_rare_shapes_that_stripe_documents() -> None:
    calls = [call["body"] for call in EXPECTED_CALLS.values() if call]
    assert any(body["customerId"] is None for body in calls)
    assert any(body["metadata"] is None for body in calls)
    assert any(body.get("currency") == "jpy" for body in calls)
    expanded = [
        name for name in FILES if isinstance(envelope(name)["detail"]["data"]["object"].get("customer"), dict)
    ]
    assert {name.partition("/")[0] for name in expanded} == set(GENERATIONS)


def test_generations_differ_where_stripe_moved_fields() -> None:
    def of(name: str) -> dict[str, Any]:
        found: dict[str, Any] = envelope(name)["detail"]["data"]["object"]
        return found

    old, new = (of(f"{generation}/customer.subscription.created.json") for generation in GENERATIONS)
    assert "current_period_end" in old
    assert "current_period_end" not in old["items"]["data"][0]
    assert "current_period_end" not in new
    assert "current_period_end" in new["items"]["data"][0]
    old, new = (of(f"{generation}/invoice.paid.json") for generation in GENERATIONS)
    assert "subscription" in old
    assert "parent" not in old
    assert "subscription" not in new
    assert new["parent"]["subscription_details"]["subscription"]


def test_default_set_is_every_sample_then_repetitions_then_the_refused_one() -> None:
    deliveries = default_set()
    once = sum(len(load(SAMPLES / generation)) for generation in GENERATIONS)
    repeated = len(GENERATIONS) * len(REPEATED)
    assert len(deliveries) == once + repeated + 1
    first, again, last = deliveries[:once], deliveries[once:-1], deliveries[-1]
    sent = {delivery.envelope["detail"]["id"]: delivery.envelope for delivery in first}
    assert len(sent) == once
    for delivery in again:
        original = sent[delivery.envelope["detail"]["id"]]
        assert delivery.envelope["detail"] == original["detail"]
        assert delivery.envelope["id"] != original["id"]
        assert delivery.file in {sample.file for sample in first}
    assert last.envelope["detail"]["data"]["object"]["currency"] == "xts"
    assert last.file.startswith("refused/")
    assert len({delivery.envelope["id"] for delivery in deliveries}) == len(deliveries)


def test_repetitions_cover_every_outcome() -> None:
    ends = set()
    for stem in REPEATED:
        route = ROUTES.get(stem.partition("--")[0])
        called = EXPECTED_CALLS[f"acacia/{stem}.json"] is not None
        ends.add("unrouted" if route is None else route.handler if called else "recorded")
    assert ends == {"payments", "billing", "recorded", "unrouted"}
