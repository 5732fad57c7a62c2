"""Nothing that a command prints is obeyed by a terminal, or by Rich, whatever it came from."""

from __future__ import annotations

import ast
import io
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, cast

import pytest
import typer
from rich.table import Table

from functions.dead_letters.message import DeadLetterMessage
from functions.dead_letters.redrive import FAILED, RedriveResult
from functions.reconciliation.gap import Gap
from ops import ROOT, cli
from ops.chaos import report as chaos_reports
from ops.chaos.verdict import Verdict, Violation
from ops.commands import reconcile
from ops.console import PlainConsole, confirm, confirm_by_typing, print_error, print_json, print_line, styled
from ops.dlq import tables
from ops.dlq.drain import QueueCounts
from ops.dlq.queues import NamedQueue
from ops.dlq.redrive import Redriven, RedriveRun
from ops.errors import OperatorError
from ops.local import report as local_reports
from ops.local.accounting import Row, SentEvent
from ops.local.observations import ParkedMessage
from ops.plain import plain
from ops.plan_report import outline
from ops.progress import Steps
from ops.reconciliation import Findings
from ops.replay import report as replay_reports
from ops.replay.forecast import Forecast, Line
from ops.replay.replays import Replay

pytestmark = pytest.mark.unit

# By what a terminal does with it, and by what Rich does.
HOSTILE = {
    "title": "a\x1b]0;pwned\x07b",
    "link": "a\x1b]8;;https://evil.example\x1b\\b\x1b]8;;\x1b\\",
    "clear": "a\x1b[2J\x1b[1;31mb",
    "one-byte sequences": "a\x9b2J\x9d0;pwned\x9cb",
    "right to left": "a\u202egpj.exe\u2066b",
    "nul and delete": "a\x00\x7f\x08b",
    "lines": "a\nerror: forged\r\u2028b\x85c",
    "markup": "a[red]b",
    "closing markup": "a[/red]b",
    "path as markup": "see [/tmp/x] log",
    "markup of a link": "[link=https://evil.example]invoice.paid[/link]",
    "emoji": "a:warning:b",
    "stripe's own": "v2.core.account[requirements].updated",
}
NOW = datetime(2026, 4, 1, tzinfo=UTC)


class Terminal(io.StringIO):
    """A terminal as far as Rich asks."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(params=[False, True], ids=["file", "terminal"])
def console(request: pytest.FixtureRequest) -> PlainConsole:
    return PlainConsole(
        file=Terminal() if request.param else io.StringIO(), width=400, force_terminal=request.param or None
    )


def printed(console: PlainConsole) -> str:
    return cast("io.StringIO", console.file).getvalue()


def assert_plain(text: str, value: str) -> None:
    """The value stands there as it reads, and what a terminal obeys is Rich's own colours at most."""
    words = "".join(_without_colours(text))
    assert "\x1b" not in words
    assert all(character.isprintable() or character == "\n" for character in words), ascii(words)
    assert plain(value) in words


def _without_colours(text: str) -> Iterator[str]:
    first, *rest = text.split("\x1b[")
    yield first
    for part in rest:
        parameters, colour, words = part.partition("m")
        # Bold and the like; none of the hostile ones, which were to be taken apart.
        yield words if colour and all(each in "0123456789;" for each in parameters) else f"\x1b[{part}"


def _dead_letter(value: str) -> tuple[DeadLetterMessage, NamedQueue]:
    dead_letter = DeadLetterMessage(
        message_id="m",
        receipt="r",
        failed_at=0.0,
        event_id="evt_1",
        event_type=value,
        kind="transient",
        reason=value,
        error=None,
        status=None,
        endpoint=None,
        envelope=None,
        body="",
        attributes={},
        system_attributes={},
    )
    return dead_letter, NamedQueue("payments-dlq", cast("Any", None))


def _groups(console: PlainConsole, value: str) -> None:
    tables.show_groups(console, [_dead_letter(value)], 10.0)


def _work(console: PlainConsole, value: str) -> None:
    dead_letter, queue = _dead_letter("x")
    work = RedriveRun(
        QueueCounts({}), [Redriven(dead_letter, queue, RedriveResult(FAILED, "transient", value))]
    )
    work.show(console)


def _unseen(console: PlainConsole, value: str) -> None:
    tables.show_unseen(console, QueueCounts({value: 2}), [NamedQueue(value, cast("Any", None))])


def _spared(console: PlainConsole, value: str) -> None:
    tables.show_skipped(console, 1, value)


def _forecast(console: PlainConsole, value: str) -> None:
    forecast = Forecast(value, (Line(value, (value,), 1, None),))
    replay_reports.show_forecast(console, forecast, force=False)


def _replays(console: PlainConsole, value: str) -> None:
    replay_reports.show(console, [Replay(value, value, NOW, NOW, None, value)])


def _reconciled(console: PlainConsole, value: str) -> None:
    findings = Findings(gap=Gap(Counter({value: 1}), {value: [value]}))
    reconcile._show(console, findings, value)


def _local(console: PlainConsole, value: str) -> None:
    message = ParkedMessage(value, value, value, value, value, value, error=value, code=value)
    row = Row(SentEvent(value, value, None, None, value, 0.0), "parked", (), False, None, message)
    console.print(local_reports.events_table([row]))
    console.print(local_reports.queues_line({value: 1}))
    console.print(local_reports.timings_table({value: 1.0}))
    facts = local_reports.TerraformFacts("1", "terraform", 1, 0)
    report = local_reports.LocalReport("dev", facts, (row,), {}, (value,), {}, {value: value}, (message,))
    for line in local_reports.parked_lines(report):
        console.print(line)
    console.print(local_reports.alarms_line(report.alarms))
    console.print(local_reports.verdict_line(report, value))


def _chaos(console: PlainConsole, value: str) -> None:
    violation = Violation(value, value, value, value)
    phase = chaos_reports.PhaseReport(value, value, 1, {value: 1}, Verdict({}, (violation,)), 1.0)
    console.print(chaos_reports.figures_table(chaos_reports.ChaosReport(1, 1, (phase,), (), {})))
    console.print(chaos_reports.strikes_table([phase]))
    console.print(chaos_reports.violations_table([violation]))


def _step(console: PlainConsole, value: str) -> None:
    with Steps(console).step(value) as step:
        step.advance_to(1, 2, value)
        step.note = value


def _own_table(console: PlainConsole, value: str) -> None:
    table = Table(title=value, caption=value)
    table.add_column(value)
    table.add_row(value)
    console.print(table)


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize(
    "show",
    [
        _groups,
        _work,
        _unseen,
        _spared,
        _forecast,
        _replays,
        _reconciled,
        _local,
        _chaos,
        _step,
        _own_table,
        lambda console, value: console.print(f"started {value}"),
        lambda console, value: console.out(value),
    ],
    ids=lambda show: show.__name__,
)
def test_tables_and_lines_show_hostile_text_as_it_reads(
    console: PlainConsole, show: Callable[[PlainConsole, str], None], value: str
) -> None:
    if show in (_groups, _work):
        # Reasons of AWS have line breaks and indents, which are taken out first.
        value = " ".join(value.split())
    show(console, value)
    if show is _step and console.is_terminal:
        # The bar moves the cursor and hides it; what is left is checked line by line.
        text = printed(console)
        assert "\x1b]" not in text
        assert "\x1b[2J" not in text
        assert not set(text) & {"\x00", "\x07", "\x08", "\x9b", "\x9d", "\u202e", "\u2066"}
        return
    assert_plain(printed(console), value)


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_plan_is_shown_without_a_word_that_a_terminal_obeys(console: PlainConsole, value: str) -> None:
    address = f'aws_sqs_queue.q["{value}"]'
    change = {"actions": ["update"], "before": {"name": "x"}, "after": {"name": value}, "after_unknown": {}}
    plan = {
        "format_version": "1.2",
        "terraform_version": "1.11.0",
        "resource_changes": [
            {"address": address, "type": "aws_sqs_queue", "name": "q", "mode": "managed", "change": change}
        ],
    }
    for line in outline(plan):
        console.print(styled(line, "yellow"), soft_wrap=True)
    text = printed(console)
    assert "\x1b]" not in text
    assert "\x1b[2J" not in text
    words = "".join(_without_colours(text))
    assert all(character.isprintable() or character == "\n" for character in words), ascii(words)


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_error_is_one_plain_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    def fail(**_options: object) -> None:
        raise OperatorError(f"AWS said {value}")

    monkeypatch.setattr(cli, "command_line", lambda: fail)
    with pytest.raises(SystemExit):
        cli.main()
    err = capsys.readouterr().err
    assert err == f"error: AWS said {plain(value)}\n"
    assert err[:-1].isprintable()


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_lines_questions_and_documents_are_plain(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    print_line(value)
    print_error(value)
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == (f"{plain(value)}\n", f"{plain(value)}\n")
    print_json({value: [value]})
    assert all(character.isprintable() or character == "\n" for character in capsys.readouterr().out)
    asked: list[str] = []

    def answer(question: str) -> bool:
        asked.append(question)
        return True

    monkeypatch.setattr(typer, "confirm", answer)
    monkeypatch.setattr(sys, "stdin", Terminal())
    confirm(value, yes=False)

    def type_in(question: str, **_options: object) -> str:
        asked.append(question)
        return "the id"

    monkeypatch.setattr(typer, "prompt", type_in)
    confirm_by_typing(value, "the id", yes=False)
    assert asked == [plain(value)] * 2


# What writes to a terminal by itself, and why it may.
OWN_WRITERS = {
    "ops/console.py": "the one place",
    "ops/dev/install.py": "runs before anything is installed, and repeats what pip says",
    "ops/dev/lock_packages.py": "runs where setup runs, and repeats what pipenv says",
    "ops/bundles/__main__.py": "writes plain() text for make",
    "ops/terraform/embedded.py": "passes what Terraform says to the process that reads it",
    "ops/terraform/supervision.py": "writes one constant",
    "ops/chaos/fuzz/__main__.py": "writes JSON to the process that started it",
    "ops/reference/server/foreground.py": "writes its own name and address",
    "ops/ledger_copy/output.py": "writes JSON in ASCII, row by row",
    "ops/verify/objects.py": "writes nothing: it confirms a payment at Stripe",
}
WRITES = {"print", "Console", "echo", "secho", "confirm", "prompt", "from_markup", "from_ansi"}


def test_nothing_else_writes_to_the_terminal() -> None:
    found = {
        file.relative_to(ROOT).as_posix()
        for file in (ROOT / "ops").rglob("*.py")
        if not file.is_relative_to(ROOT / "ops/emulator")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and _writes(node.func)
    }
    assert found - set(OWN_WRITERS) == set()


def _writes(function: ast.expr) -> bool:
    if isinstance(function, ast.Name):
        return function.id in WRITES - {"confirm"}
    if not isinstance(function, ast.Attribute):
        return False
    owner = ast.unparse(function.value)
    if function.attr == "write":
        return owner in ("sys.stdout", "sys.stderr")
    # A console prints.
    return function.attr in WRITES - {"print"}
