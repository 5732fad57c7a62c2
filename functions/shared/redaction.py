"""What is taken out of a text before it is stored: client secrets of Stripe, and keys that an API echoes.

With a client secret a browser completes a payment. Stripe: "It should not be stored, logged, or exposed to
anyone other than the customer" (Stripe API, "The PaymentIntent object"). Nothing here needs one.
"""

from __future__ import annotations

import json
import re
from typing import Final
from urllib.parse import quote

REMOVED: Final = "***"

# A field, wherever it is nested; a query of an address, such as next_action's; and the value itself.
_FIELD: Final = re.compile(r'("(?:[a-z]+_)*client_secret"\s*:\s*)"(?:[^"\\]|\\.)*"')
_QUERY: Final = re.compile(r"(client_secret=)[^&#\"\s\\]+")
_VALUE: Final = re.compile(r"\b((?:pi|seti)_[A-Za-z0-9]+_secret_)[A-Za-z0-9]+")

_AUTHORIZATION: Final = re.compile(
    r"""(\bauthorization\b["']?\s*[:=]\s*["']?(?:(?:bearer|basic)\s+)?)[^\s"'<>,;\\]+""", re.IGNORECASE
)
_BEARER: Final = re.compile(r"(\bbearer(?:\s+|%20))[^\s\"'<>,;\\]{8,}", re.IGNORECASE)
_STRIPE_KEY: Final = re.compile(r"\b([rs]k_(?:live|test)_)[A-Za-z0-9]+")
# An answer is kept up to a limit, which may cut a key in two. So much of one gives nothing away.
_HARMLESS_CHARACTERS: Final = 3


def without_client_secrets(text: str) -> str:
    """Return a JSON text, or any other, in which every client secret is null or cut off.

    The text is not read as JSON: a number too large for Python and a nesting too deep for it stay as they
    are. A field of that name in a merchant's metadata is taken out too.
    """
    if "secret" not in text:
        return text
    text = _FIELD.sub(r"\1null", text)
    text = _QUERY.sub(rf"\1{REMOVED}", text)
    return _VALUE.sub(rf"\1{REMOVED}", text)


def without_keys(answer: str, api_key: str) -> str:
    """Return an API's answer without our key, as it stands or quoted, and without any other bearer token."""
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
