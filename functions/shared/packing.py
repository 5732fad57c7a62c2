"""Packing: a message that is too large for its queue, compressed.

An event may be as large as a message, and a parked message holds more than the event. A message that is too
large is compressed and written in characters that JSON and SQS accept as they are. Events are JSON, which
compresses well; even text that compresses worst, base64 of noise, shrinks to 95 in 100 bytes.
"""

from __future__ import annotations

import base64
import json
import zlib
from typing import Final

from functions.shared import names

PACKED: Final = "packed"
# Packed messages begin with this; others need not be parsed.
_START: Final = f'{{"{PACKED}":"'
# A message is an event and the reason why it is parked. No more is unpacked, whoever packed it.
MOST_UNPACKED_BYTES: Final = 2 * names.EVENT_BYTES


def packed(body: str) -> str:
    """Pack the body of a message."""
    return f'{_START}{base64.b85encode(zlib.compress(body.encode())).decode()}"}}'


def unpacked(body: str) -> str:
    """Unpack a body; one that is not packed, or not by this module, is returned unchanged."""
    if not body.startswith(_START):
        return body
    try:
        content = base64.b85decode(json.loads(body)[PACKED])
        unpacker = zlib.decompressobj()
        text = unpacker.decompress(content, MOST_UNPACKED_BYTES)
        return text.decode() if unpacker.eof else body
    except (ValueError, RecursionError, TypeError, zlib.error):
        return body
