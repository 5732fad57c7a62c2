"""The alarms, and the one that stands for all of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cdktf_cdktf_provider_aws.cloudwatch_composite_alarm import CloudwatchCompositeAlarm
from cdktf_cdktf_provider_aws.cloudwatch_metric_alarm import CloudwatchMetricAlarm
from constructs import Construct

from infra.constructs.account import Account
from infra.constructs.base import Capability
from infra.constructs.metrics import Metric

AT_LEAST: Final = "GreaterThanOrEqualToThreshold"
BELOW: Final = "LessThanThreshold"


@dataclass(frozen=True)
class Alarm:
    """One alarm to be.

    Parameters
    ----------
    part
        Its name between project and environment, for example payments-errors.
    meaning
        What happened and what to look at, for the person it wakes.
    periods
        How many periods of the metric in a row.
    silence_is_bad
        Whether a metric without data fires. A failure metric has none while all is well.
    """

    part: str
    meaning: str
    metric: Metric
    threshold: float
    comparison: str = AT_LEAST
    periods: int = 1
    silence_is_bad: bool = False


class Alarms(Capability):
    """Metric alarms and their composite.

    Each alarm tells the topic its reason. That all is well again is told once, by the composite.
    """

    def __init__(
        self, scope: Construct, id_: str, *, account: Account, topic_arn: str, alarms: Sequence[Alarm]
    ) -> None:
        super().__init__(scope, id_)
        self.arns = [account.arn("cloudwatch", f"alarm:{account.name(alarm.part)}") for alarm in alarms]
        members = [
            self.add(
                CloudwatchMetricAlarm,
                alarm.part.replace("-", "_"),
                alarm_name=account.name(alarm.part),
                alarm_description=alarm.meaning,
                namespace=alarm.metric.namespace,
                metric_name=alarm.metric.name,
                dimensions=dict(alarm.metric.dimensions),
                statistic=alarm.metric.statistic if alarm.metric.statistic in _STATISTICS else None,
                extended_statistic=None if alarm.metric.statistic in _STATISTICS else alarm.metric.statistic,
                period=alarm.metric.period,
                evaluation_periods=alarm.periods,
                datapoints_to_alarm=alarm.periods,
                threshold=alarm.threshold,
                comparison_operator=alarm.comparison,
                treat_missing_data="breaching" if alarm.silence_is_bad else "notBreaching",
                alarm_actions=[topic_arn],
            )
            for alarm in alarms
        ]
        composite = account.name("unhealthy")
        self.arns.append(account.arn("cloudwatch", f"alarm:{composite}"))
        self.add(
            CloudwatchCompositeAlarm,
            "unhealthy",
            alarm_name=composite,
            alarm_description="At least one alarm of the Stripe pipeline is firing.",
            alarm_rule=" OR ".join(f'ALARM("{account.name(alarm.part)}")' for alarm in alarms),
            alarm_actions=[topic_arn],
            ok_actions=[topic_arn],
            # The rule names its members by their names, which must exist by then.
            depends_on=members,
        )


# What PutMetricAlarm takes as Statistic; a percentile is an ExtendedStatistic.
_STATISTICS: Final = ("Average", "Maximum", "Minimum", "SampleCount", "Sum")
