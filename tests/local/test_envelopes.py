"""A folder of envelopes is read whole or refused whole, and copies of a set keep its relations."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.shared.json_text import compact
from functions.shared.names import EVENT_BYTES
from ops.local.envelopes import (
    EnvelopeError,
    Sample,
    default_set,
    load,
    multiplied,
)
from ops.local.fresh_ids import FreshIds

pytestmark = pytest.mark.unit


def envelope(event_id: str = "evt_1Q0", **stripe_object: Any) -> dict[str, Any]:
    return {
        "version": "0",
        "id": "11111111-1111-4111-8111-111111111111",
        "detail-type": "customer.created",
        "source": "aws.partner/stripe.com/ed_test_1",
        "detail": {"id": event_id, "type": "customer.created", "data": {"object": stripe_object}},
    }


def without(key: str) -> dict[str, Any]:
    made = envelope()
    holder, _, name = key.rpartition(".")
    del (made["detail"] if holder else made)[name]
    return made


def strings_by_path(value: Any, path: str = "") -> dict[str, str]:
    if isinstance(value, dict):
        items: Any = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    else:
        return {path: value} if isinstance(value, str) else {}
    found: dict[str, str] = {}
    for key, item in items:
        found |= strings_by_path(item, f"{path}/{key}")
    return found


def test_folder_is_read_in_the_order_of_its_file_names(tmp_path: Path) -> None:
    for name in ("b.json", "a.json", "c.json"):
        (tmp_path / name).write_text(json.dumps(envelope(f"evt_{name[0]}")))
    (tmp_path / "README.md").write_text("not an envelope, and not a *.json")
    (tmp_path / "._a.json").write_text("what macOS leaves behind")
    deliveries = load(tmp_path)
    assert [delivery.file for delivery in deliveries] == ["a.json", "b.json", "c.json"]
    assert [delivery.envelope["detail"]["id"] for delivery in deliveries] == ["evt_a", "evt_b", "evt_c"]


def test_single_file_is_read_whatever_its_name(tmp_path: Path) -> None:
    file = tmp_path / "captured.txt"
    file.write_text(json.dumps(envelope("evt_a")))
    (sample,) = load(file)
    assert (sample.file, sample.envelope["detail"]["id"]) == ("captured.txt", "evt_a")


BARE_EVENT = {"object": "event", "id": "evt_1Q0", "type": "customer.created", "data": {"object": {}}}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"\xff\xfe{}", "not valid JSON"),
        (b'{"detail": NaN}', "NaN is not a JSON number"),
        (json.dumps(envelope(amount=1.5)).replace("1.5", "1e999").encode(), "a number that JSON can't hold"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (json.dumps(BARE_EVENT).encode(), "a bare Stripe event"),
        (json.dumps(without("detail")).encode(), "detail is missing"),
        (json.dumps({**envelope(), "detail": "text"}).encode(), "detail is not an object"),
        (json.dumps(without("detail.id")).encode(), "detail.id is missing"),
        (json.dumps(without("detail.type")).encode(), "detail.type is missing"),
        (json.dumps(without("detail-type")).encode(), "detail-type is missing"),
        (
            json.dumps({**envelope(), "detail-type": "customer.updated"}).encode(),
            "detail-type is 'customer.updated' but detail.type is 'customer.created'",
        ),
        (json.dumps(envelope(description="x" * EVENT_BYTES)).encode(), "more than EventBridge's limit"),
    ],
)
def test_invalid_file_is_named_with_its_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "good.json").write_text(json.dumps(envelope()))
    (tmp_path / "bad.json").write_bytes(content)
    with pytest.raises(EnvelopeError) as refused:
        load(tmp_path)
    ((name, message),) = refused.value.faults
    assert name == "bad.json"
    assert reason in message
    assert refused.value.usage
    assert f"bad.json: {message}" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "good.json" not in str(refused.value)


def test_all_bad_files_are_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "c.json").mkdir()
    (tmp_path / "b.json").write_text("{")
    (tmp_path / "a.json").write_text("[]")
    with pytest.raises(EnvelopeError) as refused:
        load(tmp_path)
    assert [name for name, _ in refused.value.faults] == ["a.json", "b.json", "c.json"]


def test_envelope_of_eventbridges_largest_size_is_read(tmp_path: Path) -> None:
    made = envelope(description="")
    room = EVENT_BYTES - len(compact(made["detail"])) - len(made["detail-type"]) - len(made["source"])
    (tmp_path / "large.json").write_text(json.dumps(envelope(description="x" * room)))
    assert len(load(tmp_path)) == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [("missing", "does not exist"), ("empty", "has no *.json")],
)
def test_path_without_envelopes_is_a_usage_error(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(EnvelopeError, match=message.replace("*", r"\*")) as refused:
        load(tmp_path / name)
    assert refused.value.usage


def test_first_copy_is_the_set_itself() -> None:
    originals = default_set()
    assert multiplied(originals, 1) == originals
    assert multiplied(originals, 3)[: len(originals)] == originals


@pytest.mark.parametrize("count", [0, -1])
def test_count_below_one_is_a_usage_error(count: int) -> None:
    with pytest.raises(EnvelopeError, match=f"COUNT={count}"):
        multiplied(default_set(), count)


def test_copies_are_the_same_in_every_run() -> None:
    assert multiplied(default_set(), 3) == multiplied(default_set(), 3)


def test_copies_share_no_event_and_no_object() -> None:
    originals = default_set()
    copies = multiplied(originals, 4)
    seen: defaultdict[str, set[int]] = defaultdict(set)
    for position, delivery in enumerate(copies):
        detail = delivery.envelope["detail"]
        for name in (detail["id"], detail["data"]["object"]["id"]):
            seen[name].add(position // len(originals))
    assert {len(found_in) for found_in in seen.values()} == {1}
    assert len({delivery.envelope["id"] for delivery in copies}) == len(copies)


def test_copy_has_the_same_events_with_other_ids() -> None:
    originals = default_set()
    copies = multiplied(originals, 2)[len(originals) :]
    forward: dict[str, str] = {}
    backward: dict[str, str] = {}
    for original, copy in zip(originals, copies, strict=True):
        before = strings_by_path(original.envelope["detail"])
        after = strings_by_path(copy.envelope["detail"])
        assert list(before) == list(after)
        for path, text in before.items():
            # One to one: relations and repeated deliveries remain, and nothing falls together.
            assert forward.setdefault(text, after[path]) == after[path]
            assert backward.setdefault(after[path], text) == text
            if text != after[path]:
                assert text.partition("_")[0] == after[path].partition("_")[0]
                assert len(after[path]) >= len(text)
    changed = {text.partition("_")[0] for text, new in forward.items() if text != new}
    assert {"evt", "pi", "ch", "cs", "cus", "sub", "in", "si", "pm", "po", "prod"} <= changed
    assert not {"usr", "acct", "http"} & changed


@pytest.mark.parametrize(
    "word",
    [
        "card_declined",
        "charge_automatically",
        "payment_intent",
        "requires_payment_method",
        "insufficient_funds",
        "usr_0f3736327c",
        "acct_1Q0AbCdEfGhIjKlM",
        "https://invoice.stripe.com/i/in_1Q0AbCdEfGhIjKlM",
        "pi_1Q0AbCdEfGhIjKlM_secret_Zz09Yy18",
        "evt_1Q0AbCdEfGhIjKlM and more",
        "",
    ],
)
def test_text_that_is_not_an_id_stays(word: str) -> None:
    assert FreshIds("copy 2").of(word) == word


@pytest.mark.parametrize(
    "event_id", ["evt_duplicate", "evt_1", "first", "evt_test_65R9Ijk8dKEYZcXeRWn16R9A7j1FSQ3w3TGDPLLGSM4CW0"]
)
def test_event_and_object_get_new_ids_in_any_format(event_id: str) -> None:
    delivery = Sample(envelope(event_id, id="gold-customer", parent="gold-customer", note=event_id), "one")
    _, copy = multiplied([delivery], 2)
    detail = copy.envelope["detail"]
    stripe_object = detail["data"]["object"]
    assert detail["id"] != event_id
    assert detail["id"].startswith(event_id.rpartition("_")[0])
    assert stripe_object["id"] == stripe_object["parent"] != "gold-customer"
    assert stripe_object["note"] == detail["id"]


@pytest.mark.parametrize(
    "data", [None, "text", {}, {"object": None}, {"object": {"id": 1}}, {"object": {"id": ""}}]
)
def test_event_without_an_object_is_multiplied_too(data: Any) -> None:
    made = envelope()
    made["detail"]["data"] = data
    _, copy = multiplied([Sample(made, "one")], 2)
    assert copy.envelope["detail"]["data"] == data
    assert copy.envelope["detail"]["id"] != made["detail"]["id"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON)
def test_value_without_ids_is_rewritten_to_itself(value: Any) -> None:
    assert FreshIds("copy 2").rewritten(value) == value


def test_more_than_a_run_can_hold_is_refused_at_once() -> None:
    with pytest.raises(EnvelopeError, match="COUNT=99999999999 is more than a run can send: expected at"):
        multiplied(default_set(), 99999999999)
