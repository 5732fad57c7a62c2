"""The flame graph shows what the profiler found, and leaves small calls out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from bench import flame, page, report, throughput
from bench.flame import SMALLEST, WIDTH
from ops import ROOT

pytestmark = pytest.mark.unit

HANDLER = """
def spin():
    return sum(number * number for number in range(20000))

def handler(event, context):
    return {"outcome": str(spin() and "applied")}
"""


def test_calls_of_programs_are_added_up_and_small_ones_are_left_out() -> None:
    few = int(1000 * SMALLEST) - 1
    found = flame.tree("all", {"one": {"a;b": 600, "a": 100, "c": few}, "two": {"a;b": 300 - few}})
    assert found.samples == 1000
    one, two = found.below
    assert (one.name, one.samples, two.name, two.samples) == ("one", 700 + few, "two", 300 - few)
    assert [(each.name, each.samples) for each in one.below] == [("a", 700)]
    assert [(each.name, each.samples) for each in one.below[0].below] == [("b", 600)]


def test_the_graph_names_each_call_and_is_as_wide_as_its_share() -> None:
    drawn = flame.svg("Calls", flame.tree("all", {"one": {"functions.a;<lambda>": 1}, "two": {"b": 3}}))
    root = ElementTree.fromstring(drawn)  # noqa: S314 (our own)
    titles = [each.text for each in root.iter("{http://www.w3.org/2000/svg}title")]
    assert titles[1:] == [
        *("all: 100.0%", "one: 25.0%", "functions.a: 25.0%", "<lambda>: 25.0%", "two: 75.0%", "b: 75.0%")
    ]
    widths = [float(each.attrib["width"]) for each in root.iter("{http://www.w3.org/2000/svg}rect")]
    assert widths == [WIDTH, *[WIDTH / 4] * 3, *[WIDTH * 3 / 4] * 2]
    assert drawn.count('class="ours"') == 1


def test_the_profiler_finds_what_uses_the_time(tmp_path: Path) -> None:
    (tmp_path / "spinning.py").write_text(HANDLER)
    answers, stacks = tmp_path / "answers", tmp_path / "stacks"
    with answers.open("wb") as file:
        done = subprocess.run(
            [sys.executable, str(throughput.SAMPLED), "spinning", str(stacks), str(file.fileno())],
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            input=b"{}\n\n" + b"{}\n" * 300,
            pass_fds=(file.fileno(),),
            capture_output=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert json.loads(answers.read_text())["outcomes"] == ["applied"] * 301
    found = json.loads(stacks.read_text())
    busy = sum(count for stack, count in found.items() if "spinning.handler;spinning.spin" in stack)
    assert busy > sum(found.values()) / 2


def test_the_committed_graph_has_all_functions() -> None:
    found = report.read().throughput
    assert found
    assert [each.name for each in found.calls.below] == ["audit", "billing", "payments"]
    assert (ROOT / page.FLAME).read_text(encoding="utf-8") == page.documents(report.read())[page.FLAME]
