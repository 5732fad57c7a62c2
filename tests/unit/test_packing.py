"""A packed message unpacks unchanged, and any other message stays as it is."""

from __future__ import annotations

import base64
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.shared import packing
from functions.shared.packing import MOST_UNPACKED_BYTES, packed, unpacked


@given(st.text())
def test_what_is_packed_comes_out_as_it_went_in(text: str) -> None:
    assert unpacked(packed(text)) == text


def test_a_packed_message_is_json_of_one_member() -> None:
    assert list(json.loads(packed('"<&>\\'))) == [packing.PACKED]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "no JSON",
        '{"detail":{}}',
        '{"packed":"',
        '{"packed":"~~"}',
        '{"packed":"Ab3"}',
        '{"packed":"é"}',
        '{"packed":"abcde","more":1}',
    ],
)
def test_what_is_not_packed_is_left_alone(body: str) -> None:
    assert unpacked(body) == body


@pytest.mark.parametrize(
    "content", [zlib.compress(b"\xff\xfe"), zlib.compress(b"x" * 1000)[:-6]], ids=["no text", "cut off"]
)
def test_what_comes_out_as_no_text_is_left_alone(content: bytes) -> None:
    body = f'{{"packed":"{base64.b85encode(content).decode()}"}}'
    assert unpacked(body) == body


def test_no_more_is_unpacked_than_a_message_can_have_been() -> None:
    assert len(unpacked(packed("x" * MOST_UNPACKED_BYTES))) == MOST_UNPACKED_BYTES
    bomb = packed("x" * (MOST_UNPACKED_BYTES + 1))
    assert unpacked(bomb) == bomb
