"""SQS queues: the dead-letter queues, and the FIFO queue of the audit function."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cdktf import Fn
from cdktf_cdktf_provider_aws.cloudcontrolapi_resource import CloudcontrolapiResource
from cdktf_cdktf_provider_aws.sqs_queue_policy import SqsQueuePolicy
from constructs import Construct

from functions.shared import names
from infra.policy import Statement, compact, deny_plain_text, document
from infra.resources import cloud_control
from infra.resources.account import Account, tags
from infra.resources.base import Capability
from infra.resources.key import Key, read_with, write_with
from infra.resources.metrics import MINUTE, Metric, MetricSum

# SQS asks KMS for a new data key after this time; 5 minutes is its default.
_DATA_KEY_REUSE_SECONDS: Final = 300


@dataclass(frozen=True)
class QueueProps:
    """How a queue works; the defaults make a standard queue.

    Parameters
    ----------
    visibility_timeout_seconds
        Seconds for which SQS hides a received message from other receivers.
    dead_letter, max_receives
        Where SQS moves a message after so many receives. A FIFO queue's is FIFO too.
    redriven_from
        Names of the queues that may use this one as their dead-letter queue.
    throughput_per_group
        Whether each message group of a FIFO queue has SQS's 300 messages a second for itself, and not all
        groups together (Amazon SQS, "High throughput for FIFO queues").
    expendable
        Whether the queue may be deleted with its messages even if the environment is protected.
    """

    fifo: bool = False
    visibility_timeout_seconds: int = 30
    dead_letter: "Queue | None" = None
    max_receives: int = 0
    redriven_from: Sequence[str] = ()
    throughput_per_group: bool = False
    expendable: bool = False


_STANDARD: Final = QueueProps()


class Queue(Capability):
    """One SQS queue of whole events, and its policy.

    The queue resource of provider 5.100 sets a limit of 256 KiB a message and allows no higher one, so the
    queue is created through the Cloud Control API. URL and ARN are references to the policy: whoever refers
    to the queue waits until EventBridge may send to it.

    Parameters
    ----------
    short_name
        Name between project and environment, for example payments-dlq.
    senders
        ARNs of the rules, or the bus, that may send to it. They are literals, because a rule's target refers
        to its queue.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        account: Account,
        short_name: str,
        senders: Sequence[str] = (),
        key: Key | None = None,
        props: QueueProps = _STANDARD,
    ) -> None:
        super().__init__(scope, id_)
        self.name = name = queue_name(account, short_name, fifo=props.fifo)
        self.short_name = short_name
        self._key = key
        properties: dict[str, Any] = {
            "QueueName": name,
            "MaximumMessageSize": names.EVENT_BYTES,
            "MessageRetentionPeriod": names.QUEUE_RETENTION_SECONDS,
            "VisibilityTimeout": props.visibility_timeout_seconds,
            "RedriveAllowPolicy": _sources(account, props.redriven_from),
            # The provider's default tags do not apply to resources of Cloud Control.
            "Tags": [
                {"Key": key, "Value": value} for key, value in sorted(tags(account.environment).items())
            ],
            **_encryption(key),
        }
        if props.fifo:
            # An EventBridge target sets no deduplication id.
            properties |= {"FifoQueue": True, "ContentBasedDeduplication": True}
        if props.throughput_per_group:
            properties |= {"DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId"}
        if props.dead_letter:
            properties["RedrivePolicy"] = {
                "deadLetterTargetArn": props.dead_letter.arn_before_policy,
                "maxReceiveCount": props.max_receives,
            }
        queue = self.add(
            CloudcontrolapiResource,
            "",
            type_name=cloud_control.QUEUE["typeName"],
            schema=compact(cloud_control.QUEUE),
            desired_state=compact(properties),
            lifecycle=None if props.expendable else account.kept,
        )
        policy = self.add(
            SqsQueuePolicy,
            "policy",
            # Cloud Control identifies a queue by its URL.
            queue_url=queue.id,
            policy=document(*_policy(account.arn("sqs", name), senders)),
        )
        self.parts = (queue, policy)
        self.url: str = policy.queue_url
        self.arn: str = _arn(account, policy.queue_url)
        # For another queue, which need not wait 25 s for the provider to apply a policy.
        self.arn_before_policy: str = _arn(account, queue.id)

    def grant_send(self, sid: str = "SendToQueue") -> list[Statement]:
        """Statements for a role that sends to the queue."""
        send = Statement(sid, ["sqs:SendMessage"], [self.arn])
        return [send, *write_with(self._key)]

    def grant_consume(self, sid: str = "ConsumeQueue", *, mapped: bool = False) -> list[Statement]:
        """Statements for the role of a function that receives and deletes messages of the queue.

        Parameters
        ----------
        mapped
            Whether Lambda's event source mapping does that for the function: it reads attributes, and leaves
            it to the queue to make failed messages visible again.
        """
        more = "sqs:GetQueueAttributes" if mapped else "sqs:ChangeMessageVisibility"
        consume = Statement(sid, ["sqs:DeleteMessage", "sqs:ReceiveMessage", more], [self.arn])
        return [consume, *read_with(self._key)]

    def metric_visible(self) -> Metric:
        """Messages that can be received."""
        return self._metric("ApproximateNumberOfMessagesVisible")

    def metric_in_flight(self) -> Metric:
        """Messages received and not yet deleted."""
        return self._metric("ApproximateNumberOfMessagesNotVisible")

    def metric_messages(self) -> MetricSum:
        """All messages in the queue, received ones included."""
        return MetricSum((self.metric_visible(), self.metric_in_flight()))

    def metric_oldest_age(self) -> Metric:
        """Age of the oldest message in seconds."""
        return self._metric("ApproximateAgeOfOldestMessage")

    def _metric(self, name: str) -> Metric:
        return Metric("AWS/SQS", name, {"QueueName": self.name}, "Maximum", MINUTE)


def queue_name(account: Account, short_name: str, *, fifo: bool) -> str:
    """The name of a queue in AWS; that of a FIFO queue ends in `.fifo`."""
    return f"{account.name(short_name)}.fifo" if fifo else account.name(short_name)


def _arn(account: Account, url: str) -> str:
    """The ARN of the queue at a URL, which ends in the queue's name and is known to Terraform only."""
    return account.arn("sqs", Fn.basename(url))


def _encryption(key: Key | None) -> Mapping[str, Any]:
    if key is None:
        # SQS's own encryption; the AWS managed key for SQS refuses EventBridge.
        return {"SqsManagedSseEnabled": True}
    return {"KmsMasterKeyId": key.arn, "KmsDataKeyReusePeriodSeconds": _DATA_KEY_REUSE_SECONDS}


def _sources(account: Account, names_of_sources: Sequence[str]) -> Mapping[str, Any]:
    if not names_of_sources:
        return {"redrivePermission": "denyAll"}
    return {
        "redrivePermission": "byQueue",
        "sourceQueueArns": [account.arn("sqs", source) for source in names_of_sources],
    }


def _policy(arn: str, senders: Sequence[str]) -> list[Statement]:
    statements = [deny_plain_text("sqs", arn)]
    if senders:
        statements.append(
            Statement(
                sid="AllowEventBridge",
                principal={"Service": "events.amazonaws.com"},
                actions=["sqs:SendMessage"],
                resources=[arn],
                condition={"ArnEquals": {"aws:SourceArn": senders}},
            )
        )
    return statements
