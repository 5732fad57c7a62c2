"""docs/performance.md and its plots, written from a report and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bench import flame, tables, targets
from bench.plots import Bar, Panel, svg
from bench.report import OURS, SIDES, Report
from bench.targets import BEFORE_DAY, MB, SECOND_MS, Row
from ops import ROOT
from ops.dev.docs import with_part

# Seconds on BEFORE_DAY.
_BEFORE: Final = {targets.SUITE: "660 to 740", targets.FIRST_LOCAL: "86 to 116"}
PAGE: Final = "docs/performance.md"
COLD_PLOT: Final = "docs/performance-cold.svg"
WARM_PLOT: Final = "docs/performance-warm.svg"
FLAME: Final = "docs/performance-flame.svg"


def text(report: Report, page: str) -> str:
    """Return the page with its generated parts as the report says."""
    parts = {
        "results": _results(report),
        "targets": _targets(report),
        "run": _run(report),
        "before": _before(),
        "audit": tables.of_audit(report.audit),
        "memory": tables.of_memory(report.memory),
        "throughput": tables.of_throughput(report.throughput),
    }
    for name, content in parts.items():
        page = with_part(page, name, content)
    return page


def documents(report: Report) -> Mapping[str, str]:
    """Return the text of the page and of its plots by their paths in the repository."""
    page = (ROOT / PAGE).read_text(encoding="utf-8")
    found = {PAGE: text(report, page), COLD_PLOT: _cold_plot(report), WARM_PLOT: _warm_plot(report)}
    if report.throughput is not None:
        found[FLAME] = flame.svg("What the functions use CPU time for", report.throughput.calls)
    return found


def write(report: Report) -> list[Path]:
    """Write the page and its plots, and return where."""
    for name, content in documents(report).items():
        (ROOT / name).write_text(content, encoding="utf-8")
    return [ROOT / name for name in documents(report)]


def _shown(report: Report) -> list[str]:
    return [side for side in SIDES if side in report.sides]


def _name(side: str) -> str:
    return targets.NAMES.get(side, side)


def _results(report: Report) -> str:
    peers = [side for side in _shown(report) if side != OURS]
    head = [
        "",
        f"ours, {BEFORE_DAY}",
        f"**ours, {report.day}**",
        "target",
        *(_name(side) for side in peers),
        "webhook",
    ]
    rows = []
    for row in targets.ROWS:
        before = row.before.get(OURS)
        cells = [row.name, row.text(before), f"**{row.text(row.of(report, OURS))}**", _target(row)]
        cells += [row.text(row.of(report, side)) for side in peers]
        rows.append([*cells, _webhook(report, row)])
    rows += _commands(report, len(peers))
    return tables.table(head, rows)


def _target(row: Row) -> str:
    limit = [] if row.target is None else [f"≤ {row.text(row.target)}"]
    return ", ".join([*limit, *(f"below {_name(side)}" for side in row.below[:1])]) or ""


def _webhook(report: Report, row: Row) -> str:
    found = report.webhook
    if found is None:
        return ""
    values = {
        targets.WARM_CPU.name: found.cpu_ms,
        targets.PER_SECOND.name: SECOND_MS / found.cpu_ms,
        targets.HANDLERS_ZIP.name: found.zip_bytes / MB,
    }
    return row.text(values.get(row.name))


def _commands(report: Report, peers: int) -> list[list[str]]:
    synth, install = report.synth, report.install_seconds
    shown = "" if synth is None else f"{synth.seconds:.1f} ({synth.cpu_seconds:.1f})"
    none = [""] * (peers + 1)
    return [
        ["synth of one environment, s (CPU s)", "3.7 (1.7)", f"**{shown}**", "≤ 1.5 (0.8)", *none],
        [
            "install of the locked packages from nothing, s",
            "35",
            f"**{'' if install is None else f'{install:.0f}'}**",
            "≤ 15",
            *none,
        ],
        *(
            [f"{name}, s", _BEFORE[name], page, f"≤ {seconds}", *none]
            for name, (page, seconds) in targets.ELSEWHERE.items()
        ),
    ]


def _targets(report: Report) -> str:
    missed = [(row.name, "; ".join(faults)) for row in targets.ROWS if (faults := row.missed(report))]
    missed += targets.commands_missed(report)
    if not missed:
        return "None."
    return tables.table(
        ["", "", "Why"], [[name, faults, targets.WHY.get(name, "")] for name, faults in missed]
    )


def _run(report: Report) -> str:
    machine = report.machine
    programs = [f"Python {machine.python}"]
    programs += [f"Node.js {machine.node}"] if machine.node else []
    programs += [f"valgrind {machine.valgrind}"] if machine.valgrind else []
    lines = [
        f"{report.day}, {machine.system}, {machine.cores} cores, {', '.join(programs)}.",
        f"Load {machine.load_before} before and {machine.load_after} after, with what else the machine did.",
        f"It took {report.seconds / 60:.0f} minutes.",
    ]
    if report.missing:
        lines += ["", "Not measured:", "", *(f"- {each}" for each in report.missing)]
    return "\n".join(lines)


def _before() -> str:
    rows = [
        [row.name, *(row.text(row.before.get(side)) for side in SIDES)]
        for row in targets.ROWS
        if len(row.before) > 1
    ]
    return tables.table(["", *(_name(side) for side in SIDES)], rows)


def _bars(report: Report, row: Row, *, before: bool = True) -> Panel:
    bars = []
    then = row.before.get(OURS)
    if before and then is not None:
        bars.append(Bar(f"ours, {BEFORE_DAY}", then, row.text(then)))
    for side in _shown(report):
        value = row.of(report, side)
        if value is not None:
            bars.append(Bar(_name(side), value, row.text(value), ours=side == OURS))
    return Panel(row.name.replace("`", ""), bars, row.target)


def _cold_plot(report: Report) -> str:
    rows = (targets.COLD_INSTRUCTIONS, targets.COLD_CPU, targets.MEMORY)
    return svg("From process start to the first event applied", _panels(report, rows))


def _warm_plot(report: Report) -> str:
    return svg("What a further event takes", _panels(report, (*targets.WARM, targets.WARM_CPU)))


def _panels(report: Report, rows: tuple[Row, ...]) -> list[Panel]:
    return [panel for row in rows if (panel := _bars(report, row)).bars]
