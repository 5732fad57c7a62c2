"""The dimensions under which AWS publishes metrics, and the metrics that functions write to their logs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from ops.emulator import limits

DEFAULT_BUS: Final = "default"


@dataclass(frozen=True)
class Measurement:
    """One value of one metric, with its dimensions."""

    namespace: str
    name: str
    value: float
    unit: str
    dimensions: dict[str, str]


def rule_dimensions(rule: dict[str, Any]) -> dict[str, str]:
    """Return the dimensions of a rule's metrics; a rule of the default bus has only its name."""
    bus = rule.get("EventBusName", DEFAULT_BUS)
    dimensions = {"RuleName": rule["Name"]}
    return dimensions if bus == DEFAULT_BUS else {"EventBusName": bus, **dimensions}


def embedded(line: str) -> Iterator[Measurement]:
    """Yield the measurements of a log line, if it has CloudWatch's embedded metric format.

    A line with more metrics or dimensions than that permits gives none. Source: CloudWatch user guide,
    "Specification: Embedded metric format".
    """
    if '"_aws"' not in line:
        return
    try:
        record = json.loads(line)
        directives = record["_aws"]["CloudWatchMetrics"]
    except (ValueError, KeyError, TypeError):
        return
    if not all(map(_is_within_limits, directives)):
        return
    for directive in directives:
        for metric in directive["Metrics"]:
            values = record[metric["Name"]]
            for value in values if isinstance(values, list) else [values]:
                for names in directive["Dimensions"]:
                    dimensions = {name: str(record[name]) for name in names}
                    unit = metric.get("Unit", "None")
                    yield Measurement(directive["Namespace"], metric["Name"], float(value), unit, dimensions)


def _is_within_limits(directive: dict[str, Any]) -> bool:
    widest = max(map(len, directive["Dimensions"]), default=0)
    return len(directive["Metrics"]) <= limits.EMF_METRICS.value and widest <= limits.EMF_DIMENSIONS.value
