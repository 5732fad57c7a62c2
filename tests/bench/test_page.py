"""docs/performance.md and its plots say what the committed report says."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from bench import audit, memory, page, report, targets
from bench.report import COMMITTED, OURS, Report
from ops import ROOT

pytestmark = pytest.mark.unit

# What the lists of the measuring process itself take.
GROWTH_MB = 2


@pytest.fixture
def committed() -> Report:
    return report.read()


@pytest.mark.parametrize("name", [page.PAGE, page.COLD_PLOT, page.WARM_PLOT])
def test_the_documents_are_those_of_the_committed_report(committed: Report, name: str) -> None:
    found = (ROOT / name).read_text(encoding="utf-8")
    assert found == page.documents(committed)[name], "run `.venv/bin/python -m bench --page`"


def test_the_report_is_written_as_it_is_read(committed: Report, tmp_path: Path) -> None:
    report.write(committed, tmp_path / "report.json")
    assert (tmp_path / "report.json").read_text() == COMMITTED.read_text()


def test_the_report_has_every_side_and_every_kind(committed: Report) -> None:
    assert set(committed.sides) == set(report.SIDES)
    for side in committed.sides.values():
        assert side.cold_instructions
        assert set(side.warm_instructions) == set(side.dynamodb_calls) == {"each", "once", "latest", "end"}
    assert committed.webhook
    assert committed.synth
    assert committed.install_seconds
    assert committed.audit
    assert set(committed.audit.further) == {audit.S3, audit.POSTGRES, audit.POISON}
    assert committed.memory
    assert tuple(committed.memory.resident_mb) == memory.AFTER


def test_a_process_is_no_larger_after_20000_events_than_after_1000(committed: Report) -> None:
    assert committed.memory
    first, *_, last = committed.memory.resident_mb.values()
    assert last < first + GROWTH_MB


def test_every_missed_target_says_why(committed: Report) -> None:
    missed = {row.name for row in targets.ROWS if row.missed(committed)}
    missed |= {name for name, _ in targets.commands_missed(committed)}
    assert missed == set(targets.WHY)


def test_a_figure_over_its_target_is_missed(committed: Report) -> None:
    row = targets.COLD_INSTRUCTIONS
    over = committed.sides[OURS].model_copy(update={"cold_instructions": 1_000_600_000})
    at = committed.sides[OURS].model_copy(update={"cold_instructions": 1_000_400_000})
    assert row.missed(committed.model_copy(update={"sides": {OURS: over}})) == ["1,001 instead of 1,000"]
    assert row.missed(committed.model_copy(update={"sides": {OURS: at}})) == []


def test_a_report_without_a_side_or_a_part_has_a_page(committed: Report) -> None:
    without = committed.model_copy(
        update={
            "sides": {OURS: committed.sides[OURS].model_copy(update={"cold_instructions": None})},
            "webhook": None,
            "synth": None,
            "install_seconds": None,
            "audit": None,
            "memory": None,
            "throughput": None,
            "missing": ("instructions: valgrind is not on PATH",),
        }
    )
    text = page.documents(without)[page.PAGE]
    assert "valgrind is not on PATH" in text
    assert "None" not in text.partition("## What is compared")[0]


def test_the_plots_are_images_that_name_their_subject_and_follow_the_dark_mode(committed: Report) -> None:
    for name in (page.COLD_PLOT, page.WARM_PLOT):
        image = page.documents(committed)[name]
        root = ElementTree.fromstring(image)  # noqa: S314 (our own)
        assert root[0].text
        assert "prefers-color-scheme:dark" in image
        widths = [float(bar.attrib["width"]) for bar in root.iter() if bar.tag.endswith("rect")]
        assert widths
        assert all(0 < width < float(root.attrib["width"]) for width in widths)


def test_the_locks_of_the_peers_name_no_index() -> None:
    lock = json.loads((ROOT / "bench" / "peers" / "node" / "package-lock.json").read_text())
    assert not [name for name, package in lock["packages"].items() if "resolved" in package]
    requirements = (ROOT / "bench" / "requirements.txt").read_text()
    assert "http" not in re.sub(r"^http\w+==.*$", "", requirements, flags=re.MULTILINE)


def test_the_peers_have_the_versions_of_the_lock() -> None:
    lock = json.loads((ROOT / "Pipfile.lock").read_text())
    locked = {name: each["version"] for part in ("default", "functions") for name, each in lock[part].items()}
    own = dict(
        re.findall(r"^([\w-]+)(==[\w.]+)", (ROOT / "bench" / "requirements.txt").read_text(), re.MULTILINE)
    )
    shared = set(own) & set(locked)
    assert {"boto3", "httpx", "stripe"} <= shared
    assert {name: own[name] for name in shared} == {name: locked[name] for name in shared}
