"""The metrics of the deployed dashboard, and of what is audited: one read for every page."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import chain
from typing import Any, Final

from functions.shared import names
from ops.dlq import queues
from ops.doctor.expected import EVENTS_QUEUE
from ops.environment import aws_errors
from ops.web.site import Site

# Metrics in one GetMetricData (Amazon CloudWatch API reference).
AT_ONCE: Final = 500
# Seconds for which the dashboard itself is kept: a deploy changes it.
DASHBOARD_SECONDS: Final = 300.0


@dataclass(frozen=True)
class Window:
    """A time to look at, up to now, and the seconds of one point of it."""

    name: str
    length: timedelta
    period: int


WINDOWS: Final = (
    Window("1h", timedelta(hours=1), 60),
    Window("6h", timedelta(hours=6), 300),
    Window("24h", timedelta(hours=24), 900),
    Window("7d", timedelta(days=7), 3600),
)


# The namespace and the name of a metric that counts.
Counted = tuple[str, str]
EVENTS: Final = ("AWS/Events", "Events")
MATCHED: Final = ("AWS/Events", "MatchedEvents")
DELIVERED: Final = ("AWS/Events", "Invocations")
UNDELIVERED: Final = ("AWS/Events", "InvocationsSentToDlq")
INVOKED: Final = ("AWS/Lambda", "Invocations")
# The audit's mapping deletes a message once its event is in the ledger.
AUDITED: Final = ("AWS/SQS", "NumberOfMessagesDeleted")


def ours(name: str) -> Counted:
    """Return a metric that the functions publish."""
    return (names.METRICS_NAMESPACE, name)


@dataclass(frozen=True)
class Series:
    """One metric of a graph.

    Parameters
    ----------
    resource
        The value of its dimension that names a rule, a function, a queue or a source; that of `service` for
        a metric of ours.
    points
        Times and values, oldest first.
    """

    label: str
    namespace: str
    name: str
    statistic: str
    resource: str
    points: tuple[tuple[datetime, float], ...]

    @property
    def total(self) -> float:
        """The sum of its values."""
        return sum(value for _, value in self.points)


@dataclass(frozen=True)
class Graph:
    """One graph of the dashboard."""

    title: str
    unit: str
    series: tuple[Series, ...]


@dataclass(frozen=True)
class Reading:
    """All graphs for a window, as they were at a time."""

    window: Window
    at: datetime
    graphs: tuple[Graph, ...]

    @cached_property
    def _totals(self) -> Mapping[tuple[str, str, str], float]:
        found: dict[tuple[str, str, str], float] = {}
        for each in chain.from_iterable(graph.series for graph in self.graphs):
            if each.statistic == "Sum":
                key = (each.namespace, each.name, each.resource)
                found[key] = found.get(key, 0.0) + each.total
        return found

    def total(self, metric: Counted, resources: Iterable[str]) -> int:
        """Return the sum of a metric over some resources and the window; of event types, over all."""
        return round(sum(self._totals.get((*metric, resource), 0.0) for resource in resources))


def window_of(name: str) -> Window:
    """Return the window of a name, or the shortest one."""
    return next((each for each in WINDOWS if each.name == name), WINDOWS[0])


def read(site: Site, window: Window) -> Reading:
    """Read the metrics of the dashboard.

    Raises
    ------
    OperatorError
        CloudWatch refuses, or the dashboard does not exist.
    """
    return site.recent(f"metrics {window.name}", lambda: _read(site, window), time.monotonic())


def _read(site: Site, window: Window) -> Reading:
    widgets = site.recent("dashboard", lambda: _widgets(site), time.monotonic(), DASHBOARD_SECONDS)
    widgets = [*widgets, _audited(site)]
    rows = list(chain.from_iterable(each["metrics"] for each in widgets))
    # The end of this minute: a picture changes with its values, not with each look.
    now = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
    values: dict[str, tuple[tuple[datetime, float], ...]] = {}
    queries = [_query(number, row, window) for number, row in enumerate(rows)]
    for first in range(0, len(queries), AT_ONCE):
        request: dict[str, Any] = {
            "MetricDataQueries": queries[first : first + AT_ONCE],
            "StartTime": now - window.length,
            "EndTime": now,
            "ScanBy": "TimestampAscending",
        }
        with aws_errors("the metrics of the dashboard"):
            pages = site.environment.client("cloudwatch").get_paginator("get_metric_data")
            for page in pages.paginate(**request):
                for each in page["MetricDataResults"]:
                    points = tuple(zip(each["Timestamps"], each["Values"], strict=True))
                    values[each["Id"]] = values.get(each["Id"], ()) + points
    numbers = iter(range(len(rows)))
    graphs = tuple(
        Graph(
            each["title"],
            each["yAxis"]["left"]["label"],
            tuple(_series(row, values.get(f"m{next(numbers)}", ())) for row in each["metrics"]),
        )
        for each in widgets
    )
    return Reading(window, now, graphs)


def _widgets(site: Site) -> list[dict[str, Any]]:
    """Return the properties of the dashboard's graphs."""
    name = f"HuntazeStripeEventBridge-{site.environment.name}"
    with aws_errors(f"the dashboard {name}"):
        answer = site.environment.client("cloudwatch").get_dashboard(DashboardName=name)
    widgets = json.loads(answer["DashboardBody"])["widgets"]
    return [each["properties"] for each in widgets if each["type"] == "metric"]


def _audited(site: Site) -> dict[str, Any]:
    """Return a graph that the dashboard lacks, in its form."""
    queue = queues.full_name(site.environment, EVENTS_QUEUE)
    row = [*AUDITED, "QueueName", queue, {"label": "audited", "stat": "Sum"}]
    return {"title": "Events audited", "metrics": [row], "yAxis": {"left": {"label": "events"}}}


def _query(number: int, row: Sequence[Any], window: Window) -> dict[str, Any]:
    namespace, name, *pairs, options = row
    dimensions = [{"Name": key, "Value": value} for key, value in zip(pairs[::2], pairs[1::2], strict=True)]
    metric = {"Namespace": namespace, "MetricName": name, "Dimensions": dimensions}
    return {
        "Id": f"m{number}",
        "MetricStat": {"Metric": metric, "Period": window.period, "Stat": options["stat"]},
    }


def _series(row: Sequence[Any], points: tuple[tuple[datetime, float], ...]) -> Series:
    namespace, name, *pairs, options = row
    by_name = dict(zip(pairs[::2], pairs[1::2], strict=True))
    wanted = ("RuleName", "FunctionName", "QueueName", "EventSourceName", "service")
    resource = next(by_name[each] for each in wanted if each in by_name)
    return Series(options["label"], namespace, name, options["stat"], resource, points)
