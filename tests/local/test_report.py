"""The report passes only if every event is accounted for, none applied twice, and the second plan empty."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import RenderableType

from ops.console import PlainConsole
from ops.local.accounting import Row, SentEvent
from ops.local.observations import ApiRequest, Outcome, ParkedMessage, RefusedCall
from ops.local.report import (
    LocalReport,
    TerraformFacts,
    alarms_line,
    events_table,
    parked_lines,
    percentile,
    queues_line,
    refused_lines,
    verdict_line,
    write,
)

pytestmark = pytest.mark.unit


def row(outcome: Outcome | None, *, audited: bool = True, latency_ms: float | None = 12.0) -> Row:
    sent = SentEvent("evt_1", "invoice.paid", "2025-01-27.acacia", "billing", "a", 0)
    request = ApiRequest(
        "evt_1", "/api/billing/invoice-paid", "evt_1", {"User-Agent": "x"}, {"amountPaid": 1}, 200, 5
    )
    return Row(sent, outcome, (request,), audited, latency_ms)


REPORT = LocalReport(
    "dev", TerraformFacts("1.11.4", "terraform", 80, 0), (row("applied"),), {"q": 0}, (), {"plan": 1.234}
)


REFUSED = RefusedCall(
    "role audit", "s3:PutObject", "arn:aws:s3:::ledger/audit", 2, "needs s3:PutObject in role audit"
)


def answered(given: Row, *statuses: int) -> Row:
    """The row with one request for each status that the API answered."""
    [request] = given.requests
    return replace(given, requests=tuple(replace(request, status=status) for status in statuses))


def test_a_complete_run_passes() -> None:
    assert REPORT.passed
    assert REPORT.verdict() == (
        "passed: 1 of 1 deliveries accounted for, 1 audited, none applied twice, 0 calls refused, "
        "second plan 0 changes"
    )
    warm = replace(REPORT, terraform=replace(REPORT.terraform, warm=True))
    assert warm.verdict().endswith("0 calls refused, plan of the restored deploy 0 changes")


def test_a_repeated_call_that_the_api_knows_is_not_a_second_effect() -> None:
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


def test_a_refused_call_is_named_with_what_would_allow_it() -> None:
    assert [str(line) for line in refused_lines([REFUSED])] == [
        "1 refused call:",
        "  role audit: s3:PutObject on arn:aws:s3:::ledger/audit",
        "    needs s3:PutObject in role audit",
    ]
    assert list(refused_lines([])) == []


@pytest.mark.parametrize(
    "report",
    [
        replace(REPORT, rows=(row("applied"), row(None))),
        replace(REPORT, rows=(row("applied"), answered(row("applied")))),
        replace(REPORT, rows=(answered(row("applied"), 200, 201), answered(row("duplicate")))),
        replace(REPORT, rows=(row("applied", audited=False),)),
        replace(REPORT, terraform=replace(REPORT.terraform, second_plan_changes=1)),
        replace(REPORT, refused=(REFUSED,)),
    ],
    ids=[
        "no outcome",
        "applied twice",
        "succeeded twice",
        "not audited",
        "second plan with changes",
        "refused",
    ],
)
def test_an_incomplete_run_fails(report: LocalReport) -> None:
    assert not report.passed


def test_report_json_has_the_documented_form(tmp_path: Path) -> None:
    path = tmp_path / "local" / "report.json"
    write(replace(REPORT, files={"evt_1": "invoice.json"}, python="3.13").as_json(), path)
    document = json.loads(path.read_text())
    assert document["environment"] == "dev"
    assert document["python"] == "3.13"
    assert document["terraform"] == {
        "version": "1.11.4",
        "engine": "terraform",
        "resources": 80,
        "second_plan_changes": 0,
        "warm": False,
    }
    assert document["events"] == [
        {
            "event_id": "evt_1",
            "file": "invoice.json",
            "event_type": "invoice.paid",
            "api_version": "2025-01-27.acacia",
            "handler": "billing",
            "outcome": "applied",
            "parked": None,
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


WIDTHS = (80, 100, 200)


def printed(*lines: RenderableType, width: int) -> str:
    console = PlainConsole(file=io.StringIO(), width=width)
    for line in lines:
        console.print(line)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def words(text: str) -> str:
    """The text without what depends on the width."""
    return " ".join(text.split())


def of_type(event_type: str, *outcomes: Outcome | None, latency_ms: float = 14_123.4) -> list[Row]:
    rows = [row(outcome, latency_ms=latency_ms) for outcome in outcomes]
    return [replace(one, sent=replace(one.sent, event_type=event_type)) for one in rows]


LONGEST = "customer.subscription.trial_will_end"
SHIPPED = [
    *of_type("payment_intent.succeeded", "applied", "applied", "duplicate", "duplicate"),
    *of_type("checkout.session.completed", "applied", "recorded", "duplicate"),
    *of_type(LONGEST, "applied", "applied"),
    *of_type("payout.paid", "unrouted"),
]


@pytest.mark.parametrize("width", WIDTHS)
def test_table_shows_every_type_count_and_latency_whole(width: int) -> None:
    text = printed(events_table(SHIPPED), width=width)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    lines = text.splitlines()
    (line,) = [line for line in lines if line.startswith(LONGEST)]
    assert line.split() == [LONGEST, "2", "2", "applied", "14123", "14123"]
    assert any(
        line.startswith("payment_intent.succeeded") and "2 applied, 2 duplicate" in line for line in lines
    )


@pytest.mark.parametrize("width", WIDTHS)
def test_table_ends_with_the_totals(width: int) -> None:
    text = printed(events_table(SHIPPED), width=width)
    totals = text[text.index("\nall ") :].replace(" 14123  14123", "")
    assert words(totals) == "all 10 5 applied, 1 recorded, 3 duplicate, 1 unrouted"


def test_a_line_breaks_between_two_outcomes_and_never_within_one() -> None:
    outcomes: list[Outcome | None] = ["applied", "recorded", "duplicate", "stale", "unrouted"]
    text = printed(events_table(of_type(LONGEST, *outcomes * 2)), width=80)
    lines = [line[44:66].strip() for line in text.splitlines() if "2 " in line[44:66]]
    assert lines[: len(lines) // 2] == ["2 applied, 2 recorded,", "2 duplicate, 2 stale,", "2 unrouted"]


@pytest.mark.parametrize("width", WIDTHS)
def test_outcomes_that_did_not_occur_take_no_room(width: int) -> None:
    text = printed(events_table(SHIPPED), width=width)
    assert not {"stale", "parked", "unaccounted", "audited"} & set(words(text).replace(",", "").split())


def test_events_without_outcome_and_audit_are_counted() -> None:
    rows = [*of_type("invoice.paid", "applied", None), row("stale", audited=False)]
    text = words(printed(events_table(rows), width=200))
    assert "invoice.paid 3 1 applied, 1 stale, 1 unaccounted, 1 not audited" in text


@pytest.mark.parametrize("width", WIDTHS)
def test_a_type_longer_than_its_column_is_folded_and_not_cut(width: int) -> None:
    event_type = "x." + "z" * 60
    text = printed(events_table(of_type(event_type, "applied")), width=width)
    assert "…" not in text
    assert text.count("z") == 60


MESSAGE = ParkedMessage(
    queue="huntaze-stripe-payments-dlq-dev",
    message_id="message-1",
    event_id="evt_1PgafsB7WZ01zgkWA0tz9yWb",
    envelope_id="a",
    kind="permanent",
    reason="the API answered 422",
    error="PermanentError",
    status=422,
    code="event_rejected",
)
PARKED = replace(row("parked"), parked=MESSAGE)
PARKED = replace(PARKED, sent=replace(PARKED.sent, event_id=str(MESSAGE.event_id)))
FILE = "refused/payment_intent.succeeded--test-currency.json"
WITH_PARKED = replace(
    REPORT, rows=(PARKED, *REPORT.rows), files={str(MESSAGE.event_id): FILE}, parked=(MESSAGE,)
)


@pytest.mark.parametrize("width", WIDTHS)
def test_each_parked_event_is_explained_below_the_table(width: int) -> None:
    assert printed(*parked_lines(WITH_PARKED), width=width).splitlines() == [
        "1 parked event:",
        f"  {FILE}",
        f"    {MESSAGE.event_id} in {MESSAGE.queue}",
        "    the API answered 422 (PermanentError, event_rejected)",
    ]
    assert list(parked_lines(REPORT)) == []


def test_a_message_without_an_event_is_shown_by_its_own_id() -> None:
    poison = ParkedMessage("audit-dlq.fifo", "message-7", None, None, "permanent", "not valid JSON")
    assert printed(*parked_lines(replace(REPORT, parked=(poison,))), width=80).splitlines() == [
        "1 parked event:",
        "  of no file",
        "    message message-7 in audit-dlq.fifo",
        "    not valid JSON",
    ]


def test_each_parked_event_is_explained_in_the_json() -> None:
    parked, applied = WITH_PARKED.as_json()["events"]
    assert parked["file"] == FILE
    assert parked["parked"] == {
        "queue": "huntaze-stripe-payments-dlq-dev",
        "message_id": "message-1",
        "kind": "permanent",
        "reason": "the API answered 422",
        "error": "PermanentError",
        "status": 422,
        "code": "event_rejected",
    }
    assert (applied["file"], applied["parked"]) == (None, None)
    event = {"event_id": MESSAGE.event_id, "file": FILE}
    assert WITH_PARKED.as_json()["parked"] == [event | parked["parked"]]


@pytest.mark.parametrize("width", WIDTHS)
def test_queues_alarms_and_verdict_are_lines_that_wrap(width: int) -> None:
    lines = (
        queues_line({"huntaze-stripe-payments-dlq-dev": 1, "huntaze-stripe-events-dev.fifo": 0}),
        alarms_line(["huntaze-stripe-payments-parked-dev", "huntaze-stripe-unhealthy-dev"]),
        verdict_line(WITH_PARKED, "build/local/report.json"),
    )
    assert words(printed(*lines, width=width)) == (
        "Queues: huntaze-stripe-payments-dlq-dev 1 message; 1 empty "
        "Alarms firing: huntaze-stripe-payments-parked-dev, huntaze-stripe-unhealthy-dev "
        f"{WITH_PARKED.verdict()}; build/local/report.json"
    )
    assert words(printed(alarms_line([]), width=width)) == "Alarms firing: none"


def coloured(line: RenderableType) -> str:
    console = PlainConsole(file=io.StringIO(), force_terminal=True, color_system="standard", width=200)
    console.print(line)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_colour_marks_the_verdict_parked_events_and_firing_alarms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    green, yellow, red = "\x1b[32m", "\x1b[33m", "\x1b[1;31m"
    assert f"{green}passed" in coloured(verdict_line(REPORT, "r"))
    assert f"{red}FAILED" in coloured(verdict_line(replace(REPORT, rows=(row(None),)), "r"))
    assert f"{yellow}1 parked" in coloured(events_table([PARKED]))
    assert yellow in coloured(alarms_line(["one"]))
    assert "\x1b[" not in coloured(alarms_line([]))


def test_no_color_removes_every_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert not re.search(r"\x1b\[[\d;]*3\d", coloured(verdict_line(REPORT, "r")))
    assert not re.search(r"\x1b\[[\d;]*3\d", coloured(alarms_line(["one"])))


def test_percentiles_lie_between_the_smallest_and_the_largest_value() -> None:
    assert percentile([7.0], 99) == 7.0
    values = [float(number) for number in range(1, 102)]
    assert percentile(values, 50) == 51.0
    assert percentile(values, 99) == 100.0
