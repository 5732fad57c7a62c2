"""A message that its queue would not take, packed into one that it takes.

An event may be as large as a message, and whoever parks it has more to say than the event. What is too large
is compressed, in characters that JSON and SQS take as they are: events are JSON, of which little remains, and
of the text that compresses worst, base64 of noise, 95 in 100 bytes.
"""

from __future__ import annotations

import base64
import json
import zlib
from typing import Final

from functions.shared import names

PACKED: Final = "packed"
# What packed messages begin with: none other need be read.
_START: Final = f'{{"{PACKED}":"'
# A message is an event and why it is parked, and no more is unpacked, whoever packed it.
MOST_UNPACKED_BYTES: Final = 2 * names.EVENT_BYTES


def packed(body: str) -> str:
    """Pack a message's body."""
    return f'{_START}{base64.b85encode(zlib.compress(body.encode())).decode()}"}}'


def unpacked(body: str) -> str:
    """Return what was packed; a body that is not packed, or not by this module, is returned as it is."""
    if not body.startswith(_START):
        return body
    try:
        content = base64.b85decode(json.loads(body)[PACKED])
        unpacker = zlib.decompressobj()
        text = unpacker.decompress(content, MOST_UNPACKED_BYTES)
        return text.decode() if unpacker.eof else body
    except (ValueError, RecursionError, TypeError, zlib.error):
        return body
