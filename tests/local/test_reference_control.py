"""A reference API's control paths require its key, and refuse other users and web pages."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from ops.reference.huntaze import ReferenceApi
from ops.reference.stripe import ReferenceStripe
from tests.local.conftest import KEY
from tests.local.reference_calls import API_KEY


@pytest.fixture(params=["huntaze", "stripe"])
def control(
    request: pytest.FixtureRequest, api: ReferenceApi, server: ReferenceStripe
) -> Iterator[httpx.Client]:
    """A client of the control paths, with the key."""
    url, key = (api.url, API_KEY) if request.param == "huntaze" else (server.url, KEY)
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=f"{url}/_control", headers=headers, trust_env=False) as client:
        yield client


def test_key_gives_access_to_the_control_paths(control: httpx.Client) -> None:
    assert control.get("/requests").status_code == 200


@pytest.mark.parametrize("path", ["/requests", "/faults", "/nothing"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": ""},
        {"Authorization": "Bearer another"},
        {"Authorization": "Bearer schlüssel".encode().decode("latin-1")},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example"},
    ],
)
def test_requests_of_others_are_refused(control: httpx.Client, path: str, headers: dict[str, str]) -> None:
    for method in ("GET", "POST", "DELETE"):
        raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        answer = control.request(method, path, headers=raw)
        assert (answer.status_code, list(answer.json())) == (403, ["error"])
        assert "access-control-allow-origin" not in answer.headers


def test_bearer_key_can_be_revoked_for_another(api: ReferenceApi) -> None:
    headers = {"Authorization": f"Bearer {API_KEY}"}
    with httpx.Client(base_url=f"{api.url}/_control", headers=headers, trust_env=False) as client:
        assert client.put("/key", json={"key": ""}).status_code == 400
        assert client.put("/key", json={"key": "another"}).status_code == 200
        assert client.get("/requests").status_code == 403
        assert client.get("/requests", headers={"Authorization": "Bearer another"}).status_code == 200
