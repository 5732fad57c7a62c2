"""The reference APIs: Huntaze's is `api`, Stripe's is `server`."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from ops.reference.huntaze import ReferenceApi
from ops.reference.stripe import ReferenceStripe
from tests.local.reference_calls import API_KEY

KEY = "sk_test_of_the_tests"


@pytest.fixture
def api() -> Iterator[ReferenceApi]:
    with ReferenceApi(API_KEY) as running:
        yield running


@pytest.fixture
def client(api: ReferenceApi) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=api.url, auth=_with_key, trust_env=False, timeout=10) as opened:
        yield opened


def _with_key(request: httpx.Request) -> httpx.Request:
    """Give the control paths their key; the API's own calls bring one, or leave it out on purpose."""
    if request.url.path.startswith("/_control/"):
        request.headers["Authorization"] = f"Bearer {API_KEY}"
    return request


@pytest.fixture(scope="module")
def running_stripe() -> Iterator[ReferenceStripe]:
    with ReferenceStripe(KEY) as server:
        yield server


@pytest.fixture
def server(running_stripe: ReferenceStripe) -> ReferenceStripe:
    """The reference Stripe API, empty."""
    running_stripe.clear()
    return running_stripe
