"""The alarms, and the one that stands for all of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cdktf_cdktf_provider_aws.cloudwatch_composite_alarm import CloudwatchCompositeAlarm
from cdktf_cdktf_provider_aws.cloudwatch_metric_alarm import (
    CloudwatchMetricAlarm,
    CloudwatchMetricAlarmMetricQuery,
    CloudwatchMetricAlarmMetricQueryMetric,
)
from constructs import Construct

from infra.resources.account import Account
from infra.resources.base import Capability
from infra.resources.metrics import Metric, MetricSum

AT_LEAST: Final = "GreaterThanOrEqualToThreshold"
BELOW: Final = "LessThanThreshold"
# How an alarm treats a period without data ("Configuring how CloudWatch alarms treat missing data").
_HEALTHY: Final = "notBreaching"
_UNHEALTHY: Final = "breaching"
_AS_BEFORE: Final = "ignore"


@dataclass(frozen=True)
class Alarm:
    """One alarm to be; a metric without data is healthy.

    Parameters
    ----------
    part
        Its name between project and environment, for example payments-errors.
    meaning
        What happened and what to look at, for the person it wakes.
    periods
        In how many of the latest periods of the metric the threshold must be crossed.
    of_periods
        How many the latest periods are; 0 stands for as many.
    """

    part: str
    meaning: str
    metric: Metric | MetricSum
    threshold: float
    periods: int = 1
    of_periods: int = 0


@dataclass(frozen=True)
class Silence:
    """An alarm on something that must happen once in each period of its metric, and no longer does.

    Three alarms make it: `part` is on while nothing happens and tells nobody, `{part}-since` keeps in mind
    that it happened once, and `{stopped}`, on while both say so, tells the topic. So nothing that is yet to
    happen for the first time, as after a deploy, wakes anybody.

    Parameters
    ----------
    part, stopped
        Names between project and environment, for example reconcile-not-running and reconcile-stopped.
    """

    part: str
    stopped: str
    meaning: str
    metric: Metric


class Alarms(Capability):
    """Metric alarms and their composite.

    Each alarm tells the topic its reason, when it goes on. That all is well again is told once, by the
    composite, which tells nothing else: it would repeat each first alarm.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        account: Account,
        topic_arn: str,
        alarms: Sequence[Alarm],
        silences: Sequence[Silence],
    ) -> None:
        super().__init__(scope, id_)
        self._account = account
        self._names: list[str] = []
        watched = [self._metric_alarm(alarm, topic_arn) for alarm in alarms]
        watched += [self._silence(silence, topic_arn) for silence in silences]
        members = [*(alarm.part for alarm in alarms), *(silence.part for silence in silences)]
        self._composite(
            "unhealthy",
            "At least one alarm of the Stripe pipeline is firing.",
            " OR ".join(self._is("ALARM", part) for part in members),
            watched,
            ok_actions=[topic_arn],
        )
        self.arns = [account.arn("cloudwatch", f"alarm:{name}") for name in self._names]

    def _metric_alarm(self, alarm: Alarm, topic_arn: str) -> Any:
        return self._add(
            CloudwatchMetricAlarm,
            alarm.part,
            alarm_description=alarm.meaning,
            **_watched(alarm.metric),
            evaluation_periods=alarm.of_periods or alarm.periods,
            datapoints_to_alarm=alarm.periods,
            threshold=alarm.threshold,
            comparison_operator=AT_LEAST,
            treat_missing_data=_HEALTHY,
            alarm_actions=[topic_arn],
        )

    def _silence(self, silence: Silence, topic_arn: str) -> Any:
        """Make the three alarms; return the one on silence itself."""
        silent, since = (
            self._add(
                CloudwatchMetricAlarm,
                part,
                alarm_description=meaning,
                **_watched(silence.metric),
                evaluation_periods=1,
                datapoints_to_alarm=1,
                threshold=1,
                comparison_operator=BELOW,
                treat_missing_data=treatment,
            )
            for part, meaning, treatment in (
                (silence.part, f"{silence.meaning} Tells nobody; {silence.stopped} does.", _UNHEALTHY),
                (
                    f"{silence.part}-since",
                    f"OK from the first time on that {silence.part} was not the case; before, and while it "
                    f"has no data, {silence.stopped} tells nobody.",
                    _AS_BEFORE,
                ),
            )
        )
        self._composite(
            silence.stopped,
            silence.meaning,
            f"{self._is('ALARM', silence.part)} AND {self._is('OK', f'{silence.part}-since')}",
            [silent, since],
            alarm_actions=[topic_arn],
        )
        return silent

    def _composite(
        self, part: str, meaning: str, rule: str, members: Iterable[Any], **actions: Sequence[str]
    ) -> None:
        # The rule names its members by their names, which must exist by then.
        self._add(
            CloudwatchCompositeAlarm,
            part,
            alarm_description=meaning,
            alarm_rule=rule,
            depends_on=list(members),
            **actions,
        )

    def _add(self, kind: Any, part: str, **properties: Any) -> Any:
        name = self._account.name(part)
        self._names.append(name)
        return self.add(kind, part.replace("-", "_"), alarm_name=name, **properties)

    def _is(self, state: str, part: str) -> str:
        return f'{state}("{self._account.name(part)}")'


# What PutMetricAlarm takes as Statistic; a percentile is an ExtendedStatistic.
_STATISTICS: Final = ("Average", "Maximum", "Minimum", "SampleCount", "Sum")


def _watched(metric: Metric | MetricSum) -> dict[str, Any]:
    """An alarm's properties that name its metric, or its metrics and how they are added up."""
    if isinstance(metric, MetricSum):
        parts = [
            CloudwatchMetricAlarmMetricQuery(
                id=id_,
                metric=CloudwatchMetricAlarmMetricQueryMetric(
                    namespace=part.namespace,
                    metric_name=part.name,
                    dimensions=dict(part.dimensions),
                    period=part.period,
                    stat=part.statistic,
                ),
            )
            for id_, part in metric.named.items()
        ]
        total = CloudwatchMetricAlarmMetricQuery(
            id="total", expression=metric.expression, label="total", return_data=True
        )
        return {"metric_query": [total, *parts]}
    is_percentile = metric.statistic not in _STATISTICS
    return {
        "namespace": metric.namespace,
        "metric_name": metric.name,
        "dimensions": dict(metric.dimensions),
        "period": metric.period,
        "extended_statistic" if is_percentile else "statistic": metric.statistic,
    }
