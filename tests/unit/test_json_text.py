"""JSON for queues: the same value in few bytes, without characters that SQS rejects."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.pipeline.idempotency_table import digest
from functions.shared.json_text import compact
from tests.unit.snapshots import JSON

# Amazon SQS API, SendMessage: the characters that a message may hold.
ALLOWED = re.compile("[\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*")


@given(JSON | st.text(st.characters(exclude_categories=())))
def test_any_value_is_read_back_as_it_was_and_can_be_sent(value: Any) -> None:
    text = compact(value)
    assert json.dumps(json.loads(text)) == json.dumps(json.loads(json.dumps(value)))
    assert ALLOWED.fullmatch(text)
    text.encode()


def test_a_character_takes_its_bytes_in_utf_8() -> None:
    assert compact({"名": ["株式", "é"]}) == '{"名":["株式","é"]}'


@pytest.mark.parametrize("code_point", [0xD800, 0xDFFF, 0xFFFE, 0xFFFF])
def test_what_a_queue_refuses_is_escaped(code_point: int) -> None:
    text = f"é\\{chr(code_point)}"
    assert compact(text) == json.dumps(text).replace("\\u00e9", "é")


def test_keys_of_the_idempotency_table_are_what_they_were() -> None:
    assert digest(["株式"]) == "5f59afcb0aacdb105c994b9b6ecc7749854b8b9153b6eab31f73500042abf0fd"
