"""The ledger of the deployed pipeline is asked in SQL and exported, with the rights of each command alone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops import ROOT
from tests.e2e.pipeline import Pipeline, fresh, ledger_records, run_ops, sample, wait_for

EVENT_ID = "evt_e2eAskedInSql"


@pytest.fixture(autouse=True)
def no_copy_is_left() -> Iterator[None]:
    yield
    remove_copy()


def remove_copy() -> None:
    shutil.rmtree(ROOT / "build" / "ledger" / "dev", ignore_errors=True)


def test_the_deployed_ledger_is_asked_and_exported(
    pipeline: Pipeline, tmp_path: Path, working_api: None
) -> None:
    pipeline.drive(fresh(sample("current", "invoice.paid"), EVENT_ID))
    wait_for(lambda: EVENT_ID in {each["event_id"] for each in ledger_records(pipeline)}, "the ledger")
    asked = run_ops(
        pipeline, "ledger", "query", f"SELECT event_type FROM events WHERE event_id = '{EVENT_ID}'", "--json"
    )
    assert asked.returncode == 0, asked.stderr
    assert json.loads(asked.stdout) == [{"event_type": "invoice.paid"}]
    # Each command fetches the ledger with its own rights.
    remove_copy()
    file = tmp_path / "x.jsonl"
    exported = run_ops(pipeline, "ledger", "export", "--since", "1h", "--output", str(file))
    assert exported.returncode == 0, exported.stderr
    assert EVENT_ID in {json.loads(line)["event_id"] for line in file.read_text().splitlines()}
