"""Rules on the partner bus: which events go where, and where they go when that fails."""

from typing import Final

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
from infra.resources.account import Account
from infra.resources.base import Capability
from infra.resources.function import PipelineFunction
from infra.resources.metrics import Metric
from infra.resources.queue import Queue

# EventBridge's own maxima: it gives up handing an event over after 24 hours.
_RETRY: Final = CloudwatchEventTargetRetryPolicy(
    maximum_event_age_in_seconds=86_400, maximum_retry_attempts=185
)


class EventRule(Capability):
    """One rule with one target, which is a function or one lane of a FIFO queue.

    The target's dead-letter queue takes only events that could not be handed over: EventBridge
    invokes a function asynchronously, and what happens in it is not EventBridge's matter.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        account: Account,
        name: str,
        description: str,
        bus: PartnerEventBus,
        pattern: str,
        dead_letter: Queue,
    ) -> None:
        super().__init__(scope, id_)
        self.name = name
        self._account = account
        self._bus = bus
        self._dead_letter = dead_letter
        self._rule = self.add(
            CloudwatchEventRule,
            "",
            name=name,
            description=description,
            event_bus_name=bus.name_reference,
            event_pattern=pattern,
            # Left out, a plan would not see that somebody disabled the rule, and a pause would go on.
            state="ENABLED",
        )
        self.arn = self._rule.arn

    def invoke(self, function: PipelineFunction) -> None:
        """Hand the rule's events to a function, which this rule alone may then invoke."""
        permission = self.add(
            LambdaPermission,
            "permission",
            statement_id="AllowEventBridgeRule",
            action="lambda:InvokeFunction",
            function_name=function.function_name,
            principal="events.amazonaws.com",
            source_arn=self.arn,
        )
        self.add(
            CloudwatchEventTarget,
            "target",
            rule=self._rule.name,
            event_bus_name=self._bus.name_reference,
            target_id=function.family,
            arn=function.arn,
            retry_policy=_RETRY,
            dead_letter_config=CloudwatchEventTargetDeadLetterConfig(arn=self._dead_letter.arn),
            # An event that comes before the permission would go to the dead-letter queue.
            depends_on=[permission],
        )

    def enqueue(self, queue: Queue, *, group: str) -> None:
        """Put the rule's events into one message group of a FIFO queue."""
        self.add(
            CloudwatchEventTarget,
            "target",
            rule=self._rule.name,
            event_bus_name=self._bus.name_reference,
            target_id="audit",
            arn=queue.arn,
            sqs_target=CloudwatchEventTargetSqsTarget(message_group_id=group),
            retry_policy=_RETRY,
            dead_letter_config=CloudwatchEventTargetDeadLetterConfig(arn=self._dead_letter.arn),
        )

    def write_to(self, group: CloudwatchLogGroup, *, after: CloudwatchLogResourcePolicy) -> None:
        """Write the rule's events to a log group, which a resource policy lets EventBridge do."""
        self.add(
            CloudwatchEventTarget,
            "target",
            rule=self._rule.name,
            event_bus_name=self._bus.name_reference,
            target_id="log",
            arn=group.arn,
            retry_policy=_RETRY,
            dead_letter_config=CloudwatchEventTargetDeadLetterConfig(arn=self._dead_letter.arn),
            depends_on=[after],
        )

    def metric_matched(self) -> Metric:
        """Events that the rule's pattern took."""
        return self._metric("MatchedEvents")

    def metric_invocations(self) -> Metric:
        """Hand-overs to the target, failed ones included."""
        return self._metric("Invocations")

    def metric_failed(self) -> Metric:
        """Hand-overs that failed for good."""
        return self._metric("FailedInvocations")

    def metric_sent_to_dead_letter(self) -> Metric:
        """Events that could not be handed over and lie in the dead-letter queue."""
        return self._metric("InvocationsSentToDlq")

    def metric_lost(self) -> Metric:
        """Events that could not even be put into the dead-letter queue: they are lost."""
        return self._metric("InvocationsFailedToBeSentToDlq")

    def metric_throttled(self) -> Metric:
        """Times that EventBridge's quotas held the rule back."""
        return self._metric("ThrottledRules")

    def metric_start_latency(self) -> Metric:
        """Milliseconds from ingestion to the first attempt at the target."""
        # EventBridge itself spells this one with a lower-case "to".
        return self._metric("IngestiontoInvocationStartLatency", "p99")

    def metric_success_latency(self) -> Metric:
        """Milliseconds from ingestion to the target's acceptance."""
        return self._metric("IngestionToInvocationSuccessLatency", "p99")

    def _metric(self, name: str, statistic: str = "Sum") -> Metric:
        # A rule's name alone would mean a rule of the default bus, and draw an empty graph.
        return Metric("AWS/Events", name, {"EventBusName": self._bus.name, "RuleName": self.name}, statistic)
