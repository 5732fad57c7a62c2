"""What an alarm is, and the composite alarm of all alarms."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cdktf import TerraformResourceLifecycle
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
# How an alarm treats a period without data (Amazon CloudWatch, "Configuring how alarms treat missing data").
_HEALTHY: Final = "notBreaching"
_UNHEALTHY: Final = "breaching"
_AS_BEFORE: Final = "ignore"
_RUNBOOKS: Final = "docs/runbooks"
# The composite of all alarms.
_UNHEALTHY_KIND: Final = "unhealthy"


@dataclass(frozen=True)
class Alarm:
    """One alarm; a metric without data is healthy.

    Parameters
    ----------
    kind
        What is wrong, for example errors; docs/runbooks/{kind}.md says what to do.
    meaning
        What happened and what to check first.
    of
        The function, rule or queue that it is about, for example payments; empty if `kind` says it.
    periods
        In how many of the latest periods of the metric the threshold must be crossed.
    of_periods
        How many the latest periods are; 0 stands for as many.
    """

    kind: str
    meaning: str
    metric: Metric | MetricSum
    threshold: float
    of: str = ""
    periods: int = 1
    of_periods: int = 0

    @property
    def part(self) -> str:
        """The name between project and environment, for example payments-errors."""
        return _part(self.of, self.kind)


@dataclass(frozen=True)
class Silence:
    """An alarm on something that must happen in each period of its metric, and stopped.

    It consists of three alarms. `part` is on while nothing happens. `{part}-since` remembers that it happened
    once. `stopped` is on while both hold, and only it notifies the topic. So nobody is paged for something
    that has not happened for the first time yet, as after a deploy.

    Parameters
    ----------
    kind, silent
        What the notification and the alarm on silence are called, for example stopped and not-running;
        docs/runbooks/{kind}.md is the runbook of all three.
    of
        The function that it is about, for example reconcile; empty if `kind` says it.
    """

    kind: str
    silent: str
    meaning: str
    metric: Metric
    of: str = ""

    @property
    def part(self) -> str:
        """The name of the alarm on silence between project and environment."""
        return _part(self.of, self.silent)

    @property
    def stopped(self) -> str:
        """The name of the notification between project and environment."""
        return _part(self.of, self.kind)


def _part(of: str, kind: str) -> str:
    return f"{of}-{kind}" if of else kind


class Alarms(Capability):
    """Metric alarms and their composite.

    Each alarm notifies the topic when it starts. The composite notifies it once when all alarms have cleared,
    and of nothing else: it would repeat each first alarm.

    Parameters
    ----------
    repository_url
        Where the runbooks can be read; empty describes them by their path in the checkout.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        account: Account,
        topic_arn: str,
        repository_url: str,
        alarms: Sequence[Alarm],
        silences: Sequence[Silence],
    ) -> None:
        super().__init__(scope, id_)
        self._account = account
        # GitHub resolves HEAD to the default branch.
        self._runbooks = f"{repository_url}/blob/HEAD/{_RUNBOOKS}" if repository_url else _RUNBOOKS
        self._names: list[str] = []
        watched = [self._metric_alarm(alarm, topic_arn) for alarm in alarms]
        watched += [self._silence(silence, topic_arn) for silence in silences]
        members = [*(alarm.part for alarm in alarms), *(silence.part for silence in silences)]
        self._composite(
            _UNHEALTHY_KIND,
            self._described("At least one alarm of the Stripe pipeline is on.", _UNHEALTHY_KIND),
            " OR ".join(self._is("ALARM", part) for part in members),
            watched,
            ok_actions=[topic_arn],
        )
        self.arns = [account.arn("cloudwatch", f"alarm:{name}") for name in self._names]

    def _metric_alarm(self, alarm: Alarm, topic_arn: str) -> Any:
        return self._member(
            alarm.part,
            alarm_description=self._described(alarm.meaning, alarm.kind),
            **_watched(alarm.metric),
            evaluation_periods=alarm.of_periods or alarm.periods,
            datapoints_to_alarm=alarm.periods,
            threshold=alarm.threshold,
            comparison_operator=AT_LEAST,
            treat_missing_data=_HEALTHY,
            alarm_actions=[topic_arn],
        )

    def _silence(self, silence: Silence, topic_arn: str) -> Any:
        """Create the three alarms and return the one on silence."""
        silent, since = (
            self._member(
                part,
                alarm_description=self._described(meaning, silence.kind),
                **_watched(silence.metric),
                evaluation_periods=1,
                datapoints_to_alarm=1,
                threshold=1,
                comparison_operator=BELOW,
                treat_missing_data=treatment,
            )
            for part, meaning, treatment in (
                (
                    silence.part,
                    f"{silence.meaning} This alarm notifies nobody; {silence.stopped} does.",
                    _UNHEALTHY,
                ),
                (
                    f"{silence.part}-since",
                    f"OK once {silence.part} has been OK; until then {silence.stopped} cannot start.",
                    _AS_BEFORE,
                ),
            )
        )
        self._composite(
            silence.stopped,
            self._described(silence.meaning, silence.kind),
            f"{self._is('ALARM', silence.part)} AND {self._is('OK', f'{silence.part}-since')}",
            [silent, since],
            alarm_actions=[topic_arn],
        )
        return silent

    def _member(self, part: str, **properties: Any) -> Any:
        # CloudWatch deletes no alarm that a composite alarm names. Terraform ends such an alarm after the
        # update of the composite only if it would also create its replacement first.
        first = TerraformResourceLifecycle(create_before_destroy=True)
        return self._add(CloudwatchMetricAlarm, part, lifecycle=first, **properties)

    def _described(self, meaning: str, kind: str) -> str:
        return f"{meaning} Runbook: {self._runbooks}/{kind}.md"

    def _composite(
        self, part: str, description: str, rule: str, members: Iterable[Any], **actions: Sequence[str]
    ) -> None:
        # The rule refers to its members by name, and they must exist first.
        self._add(
            CloudwatchCompositeAlarm,
            part,
            alarm_description=description,
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


# The values of Statistic in PutMetricAlarm; a percentile is an ExtendedStatistic.
_STATISTICS: Final = ("Average", "Maximum", "Minimum", "SampleCount", "Sum")


def _watched(metric: Metric | MetricSum) -> dict[str, Any]:
    """The properties of an alarm for its metric, or for the sum of its metrics."""
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
