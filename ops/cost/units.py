"""What AWS bills: the units of an alarm and of an invocation, for a stack and for the report of a plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ops.cost.prices import Prices

MILLION: Final = 1_000_000
THOUSAND: Final = 1_000
MIB_OF_GB: Final = 1024


def metrics_of_alarm(alarm: Any) -> int:
    """Count the metrics that an alarm watches: each is billed.

    A plan shows the metric of a query as a list, a synthesised file as an object.
    """
    queries = alarm.get("metric_query") if isinstance(alarm, Mapping) else None
    watched = [each for each in queries if _watches(each)] if isinstance(queries, list) else []
    return len(watched) or 1


def million_invocations(prices: Prices, memory_mb: float, architecture: str, seconds: float) -> float:
    """Return what a million invocations of a function cost, in US dollars."""
    price = prices.of("lambda", f"million_gb_seconds_{architecture}")
    return prices.of("lambda", "million_requests") + memory_mb / MIB_OF_GB * seconds * price


def _watches(query: Any) -> bool:
    metric = query.get("metric") if isinstance(query, Mapping) else None
    return isinstance(metric, list | Mapping) and bool(metric)
