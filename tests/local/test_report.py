"""The report passes only when every delivery is accounted for, none twice, and the second plan is clean."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ops.local.accounting import Row, SentEvent
from ops.local.observations import Outcome, Request
from ops.local.report import Report, TerraformFacts, events_table, percentile, write


def row(outcome: Outcome | None, *, audited: bool = True, latency_ms: float | None = 12.0) -> Row:
    sent = SentEvent("evt_1", "invoice.paid", "2025-01-27.acacia", "billing", "a", 0)
    request = Request(
        "evt_1", "/api/billing/invoice-paid", "evt_1", {"User-Agent": "x"}, {"amountPaid": 1}, 200, 5
    )
    return Row(sent, outcome, (request,), audited, latency_ms)


REPORT = Report(
    "dev", TerraformFacts("1.11.4", "terraform", 80, 0), (row("applied"),), {"q": 0}, (), {"plan": 1.234}
)


def answered(given: Row, *statuses: int) -> Row:
    """The row with one request for each status that the API answered."""
    [request] = given.requests
    return replace(given, requests=tuple(replace(request, status=status) for status in statuses))


def test_a_complete_run_passes() -> None:
    assert REPORT.passed
    assert REPORT.verdict() == (
        "passed: 1 of 1 deliveries accounted for, 1 audited, none applied twice, second plan 0 changes"
    )


def test_a_repeated_call_that_the_api_knows_is_no_second_effect() -> None:
    rows = (answered(row("applied"), 503, 200, 409), answered(row("duplicate")))
    assert replace(REPORT, rows=rows).passed


@pytest.mark.parametrize(
    "rows",
    [
        (row("applied"), answered(row("applied"))),
        (answered(row("applied"), 200, 204), answered(row("duplicate"))),
    ],
    ids=["two deliveries", "two requests"],
)
def test_an_event_that_was_applied_twice_is_named(rows: tuple[Row, ...]) -> None:
    other = row("applied")
    other = replace(other, sent=replace(other.sent, event_id="evt_2"))
    report = replace(REPORT, rows=(other, *rows))
    assert report.applied_twice == ("evt_1",)
    assert report.as_json()["applied_twice"] == ["evt_1"]
    assert report.verdict().startswith("FAILED: 3 of 3 deliveries accounted for, ")
    assert "evt_1 applied twice" in report.verdict()
    assert "evt_2" not in report.verdict()


@pytest.mark.parametrize(
    "report",
    [
        replace(REPORT, rows=(row("applied"), row(None))),
        replace(REPORT, rows=(row("applied"), answered(row("applied")))),
        replace(REPORT, rows=(answered(row("applied"), 200, 201), answered(row("duplicate")))),
        replace(REPORT, rows=(row("applied", audited=False),)),
        replace(REPORT, terraform=replace(REPORT.terraform, second_plan_changes=1)),
    ],
    ids=["no outcome", "applied twice", "succeeded twice", "not audited", "second plan with changes"],
)
def test_an_incomplete_run_fails(report: Report) -> None:
    assert not report.passed


def test_report_json_has_the_documented_form(tmp_path: Path) -> None:
    path = tmp_path / "local" / "report.json"
    write(REPORT, path)
    document = json.loads(path.read_text())
    assert document["environment"] == "dev"
    assert document["terraform"] == {
        "version": "1.11.4",
        "engine": "terraform",
        "resources": 80,
        "second_plan_changes": 0,
    }
    assert document["events"] == [
        {
            "event_id": "evt_1",
            "event_type": "invoice.paid",
            "api_version": "2025-01-27.acacia",
            "handler": "billing",
            "outcome": "applied",
            "requests": [
                {
                    "path": "/api/billing/invoice-paid",
                    "idempotency_key": "evt_1",
                    "headers": {"User-Agent": "x"},
                    "body": {"amountPaid": 1},
                    "status": 200,
                }
            ],
            "audited": True,
            "latency_ms": 12.0,
        }
    ]
    assert document["queues"] == {"q": 0}
    assert document["totals"]["applied"] == 1
    assert document["timings"] == {"plan": 1.23}
    assert list(path.parent.iterdir()) == [path]


def test_table_counts_each_outcome_in_its_column() -> None:
    rows = [
        row("applied"),
        row("duplicate"),
        row("stale"),
        row("parked"),
        row(None, audited=False, latency_ms=None),
    ]
    table = events_table(rows)
    cells = [next(iter(column.cells)) for column in table.columns]
    assert cells == ["invoice.paid", "5", "1", "0", "1", "1", "1", "0", "4", "12", "12"]


def test_percentiles_lie_between_the_smallest_and_the_largest_value() -> None:
    assert percentile([7.0], 99) == 7.0
    values = [float(number) for number in range(1, 102)]
    assert percentile(values, 50) == 51.0
    assert percentile(values, 99) == 100.0
