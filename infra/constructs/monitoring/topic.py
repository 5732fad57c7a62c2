"""The topic that carries alarms to people."""

import hashlib
import re
from collections.abc import Sequence

from cdktf_cdktf_provider_aws.sns_topic import SnsTopic
from cdktf_cdktf_provider_aws.sns_topic_subscription import SnsTopicSubscription
from constructs import Construct

from infra.names import PROJECT
from infra.resources.account import Account
from infra.resources.base import Capability
from infra.resources.policy import Statement, deny_plain_text, document


class AlertTopic(Capability):
    """An SNS topic that CloudWatch's alarms of this environment publish to.

    It is not encrypted at rest: SNS has no keys of its own, CloudWatch may not use the key that AWS
    manages for SNS, and with a key of ours no alarm could tell that this key is gone. Alarms name
    metrics and queues, not events.

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
        self.arn = topic.arn
        for email in dict.fromkeys(emails):
            self.add(
                SnsTopicSubscription,
                # Addressed by what it is, so that a change of the list's order changes nothing.
                _address(email),
                topic_arn=topic.arn,
                protocol="email",
                endpoint=email,
            )


def _address(email: str) -> str:
    """Name a subscription; the hash tells addresses apart that differ in punctuation or case alone."""
    readable = re.sub("[^a-z0-9]+", "_", email.lower())
    return f"email_{readable}_{hashlib.sha256(email.encode()).hexdigest()[:8]}"
