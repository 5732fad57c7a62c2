"""Redaction: remove Stripe's client secrets, and keys that an API echoes, from a text before it is stored.

A browser completes a payment with a client secret. Stripe: "It should not be stored, logged, or exposed to
anyone other than the customer" (Stripe API, "The PaymentIntent object"). Nothing here needs one.
"""

from __future__ import annotations

import json
import re
from typing import Final
from urllib.parse import quote

REMOVED: Final = "***"

# A field, at any depth; a query of a URL, such as in next_action; and the value itself.
_FIELD: Final = re.compile(r'("(?:[a-z]+_)*client_secret"\s*:\s*)"(?:[^"\\]|\\.)*"')
_QUERY: Final = re.compile(r"(client_secret=)[^&#\"\s\\]+")
_VALUE: Final = re.compile(r"\b((?:pi|seti)_[A-Za-z0-9]+_secret_)[A-Za-z0-9]+")

_AUTHORIZATION: Final = re.compile(
    r"""(\bauthorization\b["']?\s*[:=]\s*["']?(?:(?:bearer|basic)\s+)?)[^\s"'<>,;\\]+""", re.IGNORECASE
)
_BEARER: Final = re.compile(r"(\bbearer(?:\s+|%20))[^\s\"'<>,;\\]{8,}", re.IGNORECASE)
_STRIPE_KEY: Final = re.compile(r"\b([rs]k_(?:live|test)_)[A-Za-z0-9]+")
# An answer is kept up to a limit, which may cut a key in two. This many characters of a key reveal nothing.
_HARMLESS_CHARACTERS: Final = 3


def without_client_secrets(text: str) -> str:
    """Replace every client secret in a JSON text, or any other, by null or `***`.

    The text is not parsed as JSON, so numbers that are too large and nesting that is too deep for Python stay
    unchanged. A field of that name in a merchant's metadata is removed too.
    """
    if "secret" not in text:
        return text
    text = _FIELD.sub(r"\1null", text)
    text = _QUERY.sub(rf"\1{REMOVED}", text)
    return _VALUE.sub(rf"\1{REMOVED}", text)


def without_keys(answer: str, api_key: str) -> str:
    """Remove our key, plain or quoted, and any other bearer token from an API's answer."""
    for form in sorted({api_key, json.dumps(api_key)[1:-1], quote(api_key, safe="")}, key=len, reverse=True):
        answer = answer.replace(form, REMOVED)
        answer = _without_beginning_at_end(answer, form)
    answer = _AUTHORIZATION.sub(rf"\1{REMOVED}", answer)
    answer = _BEARER.sub(rf"\1{REMOVED}", answer)
    return _STRIPE_KEY.sub(rf"\1{REMOVED}", answer)


def _without_beginning_at_end(answer: str, key: str) -> str:
    for length in range(len(key) - 1, _HARMLESS_CHARACTERS, -1):
        if answer.endswith(key[:length]):
            return answer[:-length] + REMOVED
    return answer
