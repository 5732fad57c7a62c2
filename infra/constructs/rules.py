"""Rules on the partner event bus, each with its target and dead-letter queue."""

from typing import Any, Final

from cdktf_cdktf_provider_aws.cloudwatch_event_rule import CloudwatchEventRule
from cdktf_cdktf_provider_aws.cloudwatch_event_target import (
    CloudwatchEventTarget,
    CloudwatchEventTargetDeadLetterConfig,
    CloudwatchEventTargetRetryPolicy,
    CloudwatchEventTargetSqsTarget,
)
from cdktf_cdktf_provider_aws.cloudwatch_log_group import CloudwatchLogGroup
from cdktf_cdktf_provider_aws.cloudwatch_log_resource_policy import CloudwatchLogResourcePolicy
from cdktf_cdktf_provider_aws.lambda_permission import LambdaPermission
from constructs import Construct

from infra.constructs.event_bus import PartnerEventBus
from infra.patterns import RETRIES, RETRY_SECONDS
from infra.resources.base import Capability
from infra.resources.function import PipelineFunction
from infra.resources.metrics import Metric
from infra.resources.queue import Queue

_RETRY_POLICY: Final = CloudwatchEventTargetRetryPolicy(
    maximum_event_age_in_seconds=RETRY_SECONDS, maximum_retry_attempts=RETRIES
)


class EventRule(Capability):
    """One rule with one target: a function, a message group of a FIFO queue, or a log group.

    The dead-letter queue gets events that EventBridge could not deliver. EventBridge invokes a function
    asynchronously, so an error of the function is not a failed delivery.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        name: str,
        description: str,
        bus: PartnerEventBus,
        pattern: str,
        dead_letter: Queue,
    ) -> None:
        super().__init__(scope, id_)
        self.name = name
        self._bus = bus
        self._dead_letter = dead_letter
        self._rule = self.add(
            CloudwatchEventRule,
            "",
            name=name,
            description=description,
            event_bus_name=bus.name_reference,
            event_pattern=pattern,
            # Without it, a plan would not show that somebody disabled the rule.
            state="ENABLED",
        )
        self.arn = self._rule.arn

    def invoke(self, function: PipelineFunction) -> None:
        """Send the events of the rule to a function, and allow the rule to invoke it."""
        permission = self.add(
            LambdaPermission,
            "permission",
            statement_id="AllowEventBridgeRule",
            action="lambda:InvokeFunction",
            function_name=function.function_name,
            principal="events.amazonaws.com",
            source_arn=self.arn,
        )
        # Without the permission an event would go to the dead-letter queue.
        self._target(function.family, function.arn, depends_on=[permission])

    def enqueue(self, queue: Queue, *, group: str) -> None:
        """Send the events of the rule to one message group of a FIFO queue."""
        options = CloudwatchEventTargetSqsTarget(message_group_id=group)
        self._target("audit", queue.arn, sqs_target=options)

    def write_to(self, group: CloudwatchLogGroup, *, after: CloudwatchLogResourcePolicy) -> None:
        """Send the events of the rule to a log group, after the resource policy that allows it."""
        self._target("log", group.arn, depends_on=[after])

    def _target(self, id_: str, arn: str, **options: Any) -> None:
        self.add(
            CloudwatchEventTarget,
            "target",
            rule=self._rule.name,
            event_bus_name=self._bus.name_reference,
            target_id=id_,
            arn=arn,
            retry_policy=_RETRY_POLICY,
            dead_letter_config=CloudwatchEventTargetDeadLetterConfig(arn=self._dead_letter.arn),
            **options,
        )

    def metric_matched(self) -> Metric:
        """Events that matched the pattern."""
        return self._metric("MatchedEvents")

    def metric_invocations(self) -> Metric:
        """Deliveries to the target, failed ones included."""
        return self._metric("Invocations")

    def metric_failed(self) -> Metric:
        """Deliveries that failed permanently."""
        return self._metric("FailedInvocations")

    def metric_sent_to_dead_letter(self) -> Metric:
        """Events that went to the dead-letter queue."""
        return self._metric("InvocationsSentToDlq")

    def metric_lost(self) -> Metric:
        """Events that are lost: EventBridge could not send them to the dead-letter queue."""
        return self._metric("InvocationsFailedToBeSentToDlq")

    def metric_throttled(self) -> Metric:
        """Invocations that EventBridge's quotas delayed."""
        return self._metric("ThrottledRules")

    def metric_start_latency(self) -> Metric:
        """Milliseconds from ingestion to the first delivery attempt."""
        # EventBridge spells this one with a lower-case "to".
        return self._metric("IngestiontoInvocationStartLatency", "p99")

    def metric_success_latency(self) -> Metric:
        """Milliseconds from ingestion to a successful delivery."""
        return self._metric("IngestionToInvocationSuccessLatency", "p99")

    def _metric(self, name: str, statistic: str = "Sum") -> Metric:
        # A rule's name alone is a rule of the default bus, whose graph would be empty.
        return Metric("AWS/Events", name, {"EventBusName": self._bus.name, "RuleName": self.name}, statistic)
