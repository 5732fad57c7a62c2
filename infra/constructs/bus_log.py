"""Every event of the bus in a log group, for debugging with test events."""

from typing import Final

from cdktf_cdktf_provider_aws.cloudwatch_log_group import CloudwatchLogGroup
from cdktf_cdktf_provider_aws.cloudwatch_log_resource_policy import CloudwatchLogResourcePolicy
from constructs import Construct

from infra.constructs.event_bus import PartnerEventBus
from infra.constructs.rules import EventRule
from infra.names import PROJECT
from infra.policy import Statement, document
from infra.resources.account import Account
from infra.resources.base import Capability
from infra.resources.key import Key
from infra.resources.queue import Queue, QueueProps
from infra.resources.suppression import suppress_log_group

_FAMILY: Final = "log"


class BusLog(Capability):
    """A rule that sends every event to the log group `/aws/events/huntaze-stripe-{env}`.

    The log contains whole events, so the settings refuse it for live events. Provider 5.100 cannot
    configure the logs of a bus itself.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        account: Account,
        bus: PartnerEventBus,
        pattern: str,
        retention_days: int,
        key: Key | None,
    ) -> None:
        super().__init__(scope, id_)
        group_name = f"/aws/events/{PROJECT}-{account.environment}"
        rule_name = account.name(_FAMILY)
        group = self.add(
            CloudwatchLogGroup,
            "logs",
            name=group_name,
            retention_in_days=retention_days,
            kms_key_id=key.arn if key else None,
        )
        suppress_log_group(group, retention_days=retention_days, keyed=bool(key))
        policy = self.add(
            CloudwatchLogResourcePolicy,
            "policy",
            policy_name=rule_name,
            policy_document=document(*_policy(account, group_name, account.rule_arn(bus.name, rule_name))),
        )
        self.dead_letter = Queue(
            self,
            "log_dlq",
            account=account,
            short_name="log-dlq",
            senders=[account.rule_arn(bus.name, rule_name)],
            props=QueueProps(expendable=True),
        )
        self.rule = EventRule(
            self,
            "log_rule",
            name=rule_name,
            description="Every Stripe event, for the log",
            bus=bus,
            pattern=pattern,
            dead_letter=self.dead_letter,
        )
        self.rule.write_to(group, after=policy)


def _policy(account: Account, group_name: str, rule_arn: str) -> list[Statement]:
    """Two statements: EventBridge names the rule when it writes, but not when it creates the stream.

    Source: aws-samples/serverless-patterns, pull request 618.
    """
    services = {"Service": ["events.amazonaws.com", "delivery.logs.amazonaws.com"]}
    streams = [account.arn("logs", f"log-group:{group_name}:*")]
    return [
        Statement("AllowStreams", ["logs:CreateLogStream"], streams, services),
        Statement(
            "AllowEvents",
            ["logs:PutLogEvents"],
            streams,
            services,
            {"ArnEquals": {"aws:SourceArn": rule_arn}},
        ),
    ]
