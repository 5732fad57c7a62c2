"""The reference API as a process: what it reports, and what it still knows after a restart."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from ops import ROOT
from ops.local.services import running_reference_api
from ops.reference.huntaze import ReferenceApi
from tests.local.reference_calls import API_KEY, sample_call


def test_process_reports_its_requests(tmp_path: Path) -> None:
    call = sample_call("acacia/customer.updated.json")
    with (
        running_reference_api(tmp_path, API_KEY) as url,
        httpx.Client(base_url=url, headers={"Authorization": f"Bearer {API_KEY}"}, trust_env=False) as client,
    ):
        assert [call.send(client).status_code for _ in range(2)] == [200, 409]
        first, second = client.get("/_control/requests", params={"since": 0}).json()["requests"]
        assert client.get("/_control/requests", params={"since": 1}).json()["requests"] == [second]
        assert client.get("/_control/requests", params={"since": 2}).json() == {"requests": []}
        known = client.get("/_control/applied").json()
    assert first["path"] == call.path
    assert first["idempotency_key"] == call.headers["Idempotency-Key"]
    assert first["body"] == call.body
    assert (first["status"], second["status"]) == (200, 409)
    assert isinstance(first["received_at"], float)
    assert first["received_at"] < second["received_at"]
    assert not {name for name in first["headers"] if name.lower() == "authorization"}
    assert [applied["body"] for applied in known["applied"]] == [call.body]
    assert known["state"][call.body["customerId"]]["body"] == call.body


def test_restarted_api_knows_its_requests_and_what_it_applied(tmp_path: Path) -> None:
    call = sample_call("current/invoice.paid.json")
    journal = tmp_path / "journal.jsonl"
    with ReferenceApi(API_KEY, journal) as api, httpx.Client(base_url=api.url, trust_env=False) as client:
        call.with_body(amountPaid="2490").send(client)
        call.send(client)
        before = (api.requests(), api.applied())
    assert API_KEY not in journal.read_text()
    with ReferenceApi(API_KEY, journal) as api, httpx.Client(base_url=api.url, trust_env=False) as client:
        assert (api.requests(), api.applied()) == before
        assert call.send(client).status_code == 409
        assert len(api.requests()) == 3


def test_journal_cut_short_by_a_kill_is_read_up_to_its_last_whole_line(tmp_path: Path) -> None:
    call = sample_call("current/invoice.paid.json")
    journal = tmp_path / "journal.jsonl"
    with ReferenceApi(API_KEY, journal) as api, httpx.Client(base_url=api.url, trust_env=False) as client:
        call.send(client)
    with journal.open("a") as torn:
        torn.write('{"request": {"path": "/api/bill')
    with ReferenceApi(API_KEY, journal) as api, httpx.Client(base_url=api.url, trust_env=False) as client:
        assert len(api.requests()) == 1
        assert call.send(client).status_code == 409
    with ReferenceApi(API_KEY, journal) as api:
        assert [recorded.status for recorded in api.requests()] == [200, 409]


@pytest.mark.parametrize(
    ("key", "port", "message"),
    [("", "0", "write the API key into it"), (None, "0", "No such file"), (API_KEY, "99999", "port 99999")],
)
def test_failed_start_ends_with_one_line(tmp_path: Path, key: str | None, port: str, message: str) -> None:
    key_file = tmp_path / "key"
    if key is not None:
        key_file.write_text(key)
    ended = subprocess.run(
        [sys.executable, "-m", "ops.reference.huntaze", "--port", port, "--key-file", str(key_file)],
        cwd=ROOT,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 1
    assert message in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
