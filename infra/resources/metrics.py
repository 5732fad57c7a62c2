"""CloudWatch metrics as values; the construct that owns a resource returns them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

MINUTE: Final = 60


@dataclass(frozen=True)
class Metric:
    """One metric of one resource; `period` is in seconds."""

    namespace: str
    name: str
    dimensions: Mapping[str, str]
    statistic: str = "Sum"
    period: int = 5 * MINUTE
    label: str = ""

    def over(
        self, *, statistic: str | None = None, period: int | None = None, label: str | None = None
    ) -> "Metric":
        """The same metric with another statistic, period or label."""
        return replace(
            self,
            statistic=statistic or self.statistic,
            period=period or self.period,
            label=self.label if label is None else label,
        )

    def widget_row(self) -> list[Any]:
        """The metric as a row of `metrics` in a dashboard widget."""
        row: list[Any] = [self.namespace, self.name]
        for name, value in sorted(self.dimensions.items()):
            row += [name, value]
        options: dict[str, Any] = {"period": self.period, "stat": self.statistic}
        if self.label:
            options["label"] = self.label
        return [*row, options]


@dataclass(frozen=True)
class MetricSum:
    """The sum of metrics with one statistic and period; it has no data while one of them has none."""

    metrics: tuple[Metric, ...]

    def over(self, *, period: int) -> "MetricSum":
        """The same sum over another period, in seconds."""
        return MetricSum(tuple(metric.over(period=period) for metric in self.metrics))

    @property
    def named(self) -> dict[str, Metric]:
        """The metrics by their ids in the expression."""
        return {f"m{number}": metric for number, metric in enumerate(self.metrics, start=1)}

    @property
    def expression(self) -> str:
        """The sum in CloudWatch's metric math."""
        return " + ".join(self.named)
