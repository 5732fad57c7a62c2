"""An event type stands in the routing table; what else it needs is listed here, all at once."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from functions.pipeline.routing_table import ROUTES
from ops import ROOT
from ops.chaos import expectations
from ops.dev import docs
from ops.local.envelopes import EXPECTED_CALLS, GENERATIONS, SAMPLES
from ops.reference.huntaze import contract

NEWEST = GENERATIONS[-1]
# What a new type is tried with: neither a server nor the network. The type is one that needs no handling.
PARTS = (
    "tests/unit",
    "tests/api/test_openapi.py",
    "tests/chaos/test_history.py",
    "tests/infra/test_event_path.py",
    "tests/local/test_samples.py",
)
NOT_COPIED = (".git", ".venv", ".tools", ".terraform", "build", "cdktf.out", "__pycache__", ".*_cache")
ROW = """
    Route("charge.expired", PAYMENTS, EACH, post("/api/billing/charge-expired",
        chargeId=own_id, customerId=CUSTOMER, amountReleased=integer("amount"),
        currency=text("currency"), metadata=metadata)),
"""


def missing() -> Iterator[str]:
    """One line for each place that does not know a routed type, or knows it otherwise."""
    routed = expectations.routed(ROUTES.values())
    for name, kind in routed.items():
        if not (SAMPLES / NEWEST / f"{name}.json").exists():
            yield f"ops/local/events/{NEWEST}/{name}.json: write one envelope as EventBridge delivers it"
        if f"{NEWEST}/{name}.json" not in EXPECTED_CALLS:
            call = "null, as it is only recorded" if kind.outcome == "recorded" else '{"path": …, "body": …}'
            yield f'ops/local/expected_bodies.json: write "{NEWEST}/{name}.json": {call}'
        if (written := expectations.WRITTEN.get(name, kind)) != kind:
            yield f"ops/chaos/expectations.py: {name} is {written}, and the routing table says {kind}"
    calls = {
        (call.path, route.event_type) for route in ROUTES.values() for call in route.variants.values() if call
    }
    for path, event_type in sorted(
        {(path, event_type) for path, types in contract.WRITTEN.items() for event_type in types} - calls
    ):
        yield f"ops/reference/huntaze/contract.py: remove {event_type} from {path}, which nothing calls"
    for name, kind in expectations.WRITTEN.items():
        if kind.handler and name not in routed:
            yield f"ops/chaos/expectations.py: remove {name}, which is not routed"
    for name in docs.stale():
        yield f"{name}: run `make docs`"


def test_every_place_knows_every_event_type() -> None:
    assert not list(missing()), "\n" + "\n".join(missing())


@pytest.mark.slow
def test_event_type_needs_a_row_a_sample_and_its_expected_call(tmp_path: Path) -> None:
    copy = tmp_path / "checkout"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*NOT_COPIED))
    table = copy / "functions/pipeline/routing_table.py"
    before = "ROUTES: Final = table("
    assert before in table.read_text()
    table.write_text(table.read_text().replace(before, before + ROW, 1))

    listed = _test(copy, "tests/unit/test_event_types.py", "-k", "every_place")
    assert listed.returncode == 1
    assert f"ops/local/events/{NEWEST}/charge.expired.json: write one envelope" in listed.stdout
    assert "docs/events.md: run `make docs`" in listed.stdout

    _add_sample(copy)
    subprocess.run([sys.executable, "-m", "ops.dev.docs"], cwd=copy, check=True)
    done = _test(copy, *PARTS, "-k", "not needs_a_row and not outage")
    assert done.returncode == 0, done.stdout[-3000:]


def _add_sample(copy: Path) -> None:
    events = copy / SAMPLES.relative_to(ROOT) / NEWEST
    envelope = json.loads((events / "charge.succeeded.json").read_text())
    detail, charge = envelope["detail"], envelope["detail"]["data"]["object"]
    envelope["id"] = "0d5f3c1e-5b1c-4e57-9d0e-6f2f0f9f7a11"
    envelope["detail-type"] = detail["type"] = "charge.expired"
    detail["id"] += "Expired"
    (events / "charge.expired.json").write_text(json.dumps(envelope))
    file = copy / "ops/local/expected_bodies.json"
    customer = charge.get("customer")
    body = {
        "chargeId": charge["id"],
        "customerId": customer["id"] if isinstance(customer, dict) else customer,
        "amountReleased": charge["amount"],
        "currency": charge["currency"],
        "metadata": charge.get("metadata"),
    }
    call = {"path": "/api/billing/charge-expired", "body": body}
    file.write_text(json.dumps(json.loads(file.read_text()) | {f"{NEWEST}/charge.expired.json": call}))


def _test(copy: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *arguments],
        cwd=copy,
        capture_output=True,
        text=True,
        check=False,
    )
