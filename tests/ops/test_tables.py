"""Every table is readable in a terminal of 80, 100 and 200 columns: no number or id is cut."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from functions.dead_letters.message import DeadLetterMessage
from functions.dead_letters.redrive import FAILED, RedriveResult
from functions.reconciliation.gap import Gap
from ops.commands import pause, reconcile
from ops.console import PlainConsole, PlainTable, styled
from ops.dlq import tables
from ops.dlq.drain import Messages, QueueCounts
from ops.dlq.queues import NamedQueue
from ops.dlq.redrive import Redriven, RedriveRun
from ops.reconciliation import Findings
from ops.replay import report as replays
from ops.replay.forecast import Forecast, Line
from ops.replay.replays import Replay
from ops.switches import SwitchState

pytestmark = pytest.mark.unit

WIDTHS = (80, 100, 200)
NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
LONG_TYPE = "customer.subscription.pending_update_applied"
REASON = "EventBridge could not send it (THROTTLING: Rate exceeded for the account in this region, try again)"


def messages() -> Messages:
    made = []
    for number, (queue, kind) in enumerate(
        [("audit-payments-dlq", "configuration"), ("payments-dlq", "transient")]
    ):
        message = DeadLetterMessage(
            message_id=f"m{number}",
            receipt="r",
            failed_at=NOW.timestamp() - 90_000,
            event_id=f"evt_1NG8Du2eZvKYlo2CUI79vXW{number}",
            event_type=LONG_TYPE,
            kind=kind,
            reason=REASON,
            error=None,
            status=422,
            endpoint=None,
            envelope=None,
            body="",
            attributes={},
            system_attributes={},
        )
        made.append((message, NamedQueue(queue, cast("Any", None))))
    return made


def show_groups(console: PlainConsole) -> list[str]:
    tables.show_groups(console, messages() * 1234, NOW.timestamp())
    return ["audit-payments-dlq", "payments-dlq", "configuration", LONG_TYPE, "1234", "2468", "25h"]


def show_redrive(console: PlainConsole) -> list[str]:
    (message, queue), _ = messages()
    redriven = [Redriven(message, queue, RedriveResult("applied"))] * 12_345
    redriven.append(Redriven(message, queue, RedriveResult(FAILED, "transient", REASON)))
    RedriveRun(QueueCounts({}), redriven, not_tried=7).show(console)
    return ["12345", "12353", "failed", "not tried", "applied by the API"]


def show_forecast(console: PlainConsole) -> list[str]:
    lines = (Line(LONG_TYPE, ("payments", "audit-payments", "audit"), 1_000_000, 999_999),)
    replays.show_forecast(console, Forecast("PostgreSQL", lines), force=False)
    return [LONG_TYPE, "payments, audit-payments, audit", "1000000", "999999"]


def show_replays(console: PlainConsole) -> list[str]:
    name = "forced-replay-staging-20261128T120000Z"
    replays.show(console, [Replay(name, "CANCELLING", NOW - timedelta(days=1), NOW, NOW, None)])
    return [name, "CANCELLING", "2026-11-27T12:00:00Z", "2026-11-28T12:00:00Z", "100%"]


def show_findings(console: PlainConsole) -> list[str]:
    ids = [f"evt_1NG8Du2eZvKYlo2CUI79vXW{number}" for number in range(3)]
    gap = Gap(Counter({LONG_TYPE: 123_456}), {LONG_TYPE: ids})
    reconcile._show(console, Findings(gap=gap), "PostgreSQL")
    return [LONG_TYPE, "123456", "3", *ids]


def show_parts(console: PlainConsole) -> list[str]:
    pause._show(console, {"payments": SwitchState(deployed=True, paused=True, since=NOW)}, as_json=False)
    return ["payments", "paused since 2026-11-28 12:00:00 UTC"]


def rendered(show: Callable[[PlainConsole], Collection[str]], width: int) -> tuple[str, Collection[str]]:
    out = io.StringIO()
    uncut = show(PlainConsole(file=out, width=width))
    return out.getvalue(), uncut


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    "show",
    [show_groups, show_redrive, show_forecast, show_replays, show_findings, show_parts],
    ids=lambda show: show.__name__,
)
def test_table_is_readable(show: Callable[[PlainConsole], Collection[str]], width: int) -> None:
    text, uncut = rendered(show, width)
    assert "…" not in text
    lines = text.splitlines()
    for each in uncut:
        assert any(each in line for line in lines), each
    for line in lines:
        assert len(line) <= width or line.startswith((LONG_TYPE, "1 of")), line


def test_columns_without_content_are_left_out() -> None:
    out = io.StringIO()
    table = PlainTable("Type", "Sent", "Parked", "Stale", keep=("Sent",))
    table.add_row("a", "0", "0", "")
    table.add_total("all", "0", styled(3, "red"), "0")
    PlainConsole(file=out, width=80).print(table)
    header = out.getvalue().splitlines()[1]
    assert [cell.strip() for cell in header.strip("│").split("│")] == ["Type", "Sent", "Parked"]


@pytest.mark.parametrize(("variables", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)], ids=str)
def test_colour_can_be_turned_off(
    variables: dict[str, str], coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    out = io.StringIO()
    PlainConsole(file=out, force_terminal=True, width=80).print(styled("FAILED", "red"))
    assert ("\x1b[31m" in out.getvalue()) is coloured
