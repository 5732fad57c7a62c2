"""Queues: where failures are parked, and the FIFO queue that feeds the audit function."""

from collections.abc import Sequence
from typing import Final

from cdktf_cdktf_provider_aws.sqs_queue import SqsQueue
from constructs import Construct

from functions.pipeline import names
from infra.constructs.account import Account
from infra.constructs.base import Capability
from infra.constructs.encryption import Key
from infra.constructs.metrics import MINUTE, Metric
from infra.constructs.policy import Statement, compact, deny_plain_text, document

# SQS asks KMS for a new data key after this time; 5 minutes is its default.
_DATA_KEY_REUSE_SECONDS: Final = 300


class Queue(Capability):
    """One SQS queue with its policy and redrive settings inline.

    The provider waits 25 s for a queue and again for each separate policy or redrive resource.

    Parameters
    ----------
    short_name
        Name between project and environment, for example payments-dlq.
    senders
        ARNs of the rules, or the bus, that may send to it. Literal ones: a rule's target names
        its queue.
    visibility_timeout_seconds
        Seconds in which a receiver must finish a message before others see it again.
    dead_letter, max_receives
        Where SQS moves a message after so many receives. A FIFO queue's is FIFO too.
    redriven_from
        Names of the queues that may use this one as their dead-letter queue.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        account: Account,
        short_name: str,
        fifo: bool = False,
        key: Key | None = None,
        senders: Sequence[str] = (),
        visibility_timeout_seconds: int = 30,
        dead_letter: "Queue | None" = None,
        max_receives: int = 0,
        redriven_from: Sequence[str] = (),
    ) -> None:
        super().__init__(scope, id_)
        self.name = name = queue_name(account, short_name, fifo=fifo)
        self.short_name = short_name
        self._key = key
        literal_arn = account.arn("sqs", name)
        queue = self.add(
            SqsQueue,
            "",
            name=name,
            message_retention_seconds=names.QUEUE_RETENTION_SECONDS,
            visibility_timeout_seconds=visibility_timeout_seconds,
            fifo_queue=True if fifo else None,
            # An EventBridge target sets no deduplication id.
            content_based_deduplication=True if fifo else None,
            # The AWS-managed SQS key would refuse EventBridge; SQS's own encryption does not.
            sqs_managed_sse_enabled=None if key else True,
            kms_master_key_id=key.arn if key else None,
            kms_data_key_reuse_period_seconds=_DATA_KEY_REUSE_SECONDS if key else None,
            policy=document(*_policy(literal_arn, senders)),
            redrive_policy=(
                compact({"deadLetterTargetArn": dead_letter.arn, "maxReceiveCount": max_receives})
                if dead_letter
                else None
            ),
            redrive_allow_policy=compact(
                {
                    "redrivePermission": "byQueue",
                    "sourceQueueArns": [account.arn("sqs", source) for source in redriven_from],
                }
                if redriven_from
                else {"redrivePermission": "denyAll"}
            ),
        )
        self.arn: str = queue.arn
        self.url: str = queue.url

    def grant_send(self, sid: str = "SendToQueue") -> list[Statement]:
        """Statements for a role that sends to this queue."""
        send = Statement(sid, ["sqs:SendMessage"], [self.arn])
        return [send, *(self._key.grant_use() if self._key else [])]

    def grant_consume(self, sid: str = "ConsumeQueue") -> list[Statement]:
        """Statements for the role of a function that takes messages out of this queue."""
        actions = [
            "sqs:ChangeMessageVisibility",
            "sqs:DeleteMessage",
            "sqs:GetQueueAttributes",
            "sqs:ReceiveMessage",
        ]
        consume = Statement(sid, actions, [self.arn])
        return [consume, *(self._key.grant_use() if self._key else [])]

    def metric_visible(self) -> Metric:
        """Messages that wait."""
        return self._metric("ApproximateNumberOfMessagesVisible")

    def metric_in_flight(self) -> Metric:
        """Messages received and not yet deleted."""
        return self._metric("ApproximateNumberOfMessagesNotVisible")

    def metric_oldest_age(self) -> Metric:
        """Age in seconds of the message that waits longest."""
        return self._metric("ApproximateAgeOfOldestMessage")

    def _metric(self, name: str) -> Metric:
        return Metric("AWS/SQS", name, {"QueueName": self.name}, "Maximum", MINUTE)


def queue_name(account: Account, short_name: str, *, fifo: bool) -> str:
    """A queue's name in AWS; a FIFO queue's ends in `.fifo`."""
    return f"{account.name(short_name)}.fifo" if fifo else account.name(short_name)


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
