"""The charts of the console: what is drawn, and that no text of a metric becomes markup."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as Xml

import pytest

from ops import axes
from ops.web.charts import COLOURS, chart
from ops.web.metrics import WINDOWS, Counted, Graph, Reading, Series

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
HOUR = WINDOWS[0]
SVG = "{http://www.w3.org/2000/svg}"


def series(label: str, *values: float, statistic: str = "Sum", name: str = "Invocations") -> Series:
    points = tuple((NOW - timedelta(minutes=10 - at), value) for at, value in enumerate(values))
    return Series(label, "AWS/Lambda", name, statistic, label, points)


@pytest.mark.parametrize(("value", "above"), [(1, 4), (4, 4), (5, 8), (55, 80), (0.3, 0.4), (1000, 1000)])
def test_an_axis_ends_at_a_round_number(value: float, above: float) -> None:
    assert axes.above(value if value < 1 else max(value, 4), 4) == pytest.approx(above)


def test_columns_of_one_time_stand_on_each_other() -> None:
    drawn = chart(Graph("Invocations", "invocations", (series("a", 3), series("b", 5))), HOUR, NOW)
    assert drawn is not None
    columns = [each for each in Xml.fromstring(drawn.svg) if each.tag == "rect"]  # noqa: S314 (our own text)
    assert [each.attrib["class"] for each in columns] == ["c0", "c1"]
    below, above = (float(each.attrib["y"]) for each in columns)
    assert above + float(columns[1].attrib["height"]) == pytest.approx(below, abs=0.11)
    assert [(key.label, key.value) for key in drawn.keys] == [("b", "5"), ("a", "3")]


def test_what_is_measured_is_a_line_for_each_colour_and_the_legend_has_all() -> None:
    many = tuple(series(f"type {number}", 1, 40 + number, statistic="p99") for number in range(COLOURS + 3))
    drawn = chart(Graph("Latency", "ms", many), HOUR, NOW)
    assert drawn is not None
    assert drawn.svg.count("<polyline") == COLOURS
    assert len(drawn.keys) == COLOURS + 3
    assert drawn.keys[0].value == f"{40 + COLOURS + 2} ms"


def test_without_a_value_there_is_no_chart() -> None:
    assert chart(Graph("Errors", "invocations", (series("a"), series("b", 0, 0))), HOUR, NOW) is None


def test_a_label_with_markup_is_text() -> None:
    hostile = '"><script>alert(1)</script>'
    drawn = chart(Graph(hostile, "events", (series(hostile, 1),)), HOUR, NOW)
    assert drawn is not None
    assert "<script" not in drawn.svg
    assert Xml.fromstring(drawn.svg).attrib["aria-label"].startswith(hostile)  # noqa: S314 (our own text)


@pytest.mark.parametrize(
    ("metric", "resources", "total"),
    [
        (("AWS/Lambda", "Invocations"), ["a", "b"], 9),
        (("AWS/Lambda", "Invocations"), ["c"], 0),
        (("AWS/Events", "Invocations"), ["a"], 0),
    ],
)
def test_a_total_is_of_one_metric_and_namespace(metric: Counted, resources: list[str], total: int) -> None:
    graphs = (Graph("", "", (series("a", 1, 3), series("b", 5), series("a", 70, statistic="p99"))),)
    assert Reading(HOUR, NOW, graphs).total(metric, resources) == total
