"""The SNS topic that sends alarms to people."""

import hashlib
import re
from collections.abc import Sequence

from cdktf_cdktf_provider_aws.sns_topic import SnsTopic
from cdktf_cdktf_provider_aws.sns_topic_subscription import SnsTopicSubscription
from constructs import Construct

from infra.names import PROJECT
from infra.policy import Statement, deny_plain_text, document
from infra.resources.account import Account
from infra.resources.base import Capability
from infra.resources.suppression import suppress


class AlertTopic(Capability):
    """An SNS topic to which the alarms of this environment publish.

    It is not encrypted at rest. CloudWatch may not use the AWS managed key of SNS, and with a customer
    managed key no alarm could report that this key is gone. Alarms name metrics and queues, not events.

    Parameters
    ----------
    emails
        Addresses to subscribe; each gets a mail and confirms it once.
    """

    def __init__(self, scope: Construct, id_: str, *, account: Account, emails: Sequence[str]) -> None:
        super().__init__(scope, id_)
        name = account.name("alerts")
        literal_arn = account.arn("sns", name)
        topic = self.add(
            SnsTopic,
            "",
            name=name,
            policy=document(
                deny_plain_text("sns", literal_arn, action="Publish"),
                Statement(
                    sid="AllowAlarms",
                    principal={"Service": "cloudwatch.amazonaws.com"},
                    actions=["sns:Publish"],
                    resources=[literal_arn],
                    condition={
                        "ArnLike": {
                            "aws:SourceArn": account.arn(
                                "cloudwatch", f"alarm:{PROJECT}-*-{account.environment}"
                            )
                        },
                        "StringEquals": {"aws:SourceAccount": account.id},
                    },
                ),
            ),
        )
        suppress(
            topic,
            "CKV_AWS_26",
            "an alarm must be published even if the key is gone, and it names no event",
        )
        self.arn = topic.arn
        for email in dict.fromkeys(emails):
            self.add(
                SnsTopicSubscription,
                # By the address, so that the order of the list does not matter.
                _address(email),
                topic_arn=topic.arn,
                protocol="email",
                endpoint=email,
            )


def _address(email: str) -> str:
    """Name a subscription; the hash separates addresses that differ in punctuation or case alone."""
    readable = re.sub("[^a-z0-9]+", "_", email.lower())
    return f"email_{readable}_{hashlib.sha256(email.encode()).hexdigest()[:8]}"
