"""A reference API for each test."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from ops.reference.huntaze import ReferenceApi
from tests.local.reference_calls import API_KEY


@pytest.fixture
def api() -> Iterator[ReferenceApi]:
    with ReferenceApi(API_KEY) as running:
        yield running


@pytest.fixture
def client(api: ReferenceApi) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=api.url, trust_env=False, timeout=10) as opened:
        yield opened
