"""IAM policies as values, rendered as compact JSON with sorted keys.

The provider compares policies as JSON, and SQS returns them in another order: a fixed order keeps plans
free of false changes.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

# SQS never finishes applying a policy of another version.
_VERSION: Final = "2012-10-17"

Condition = Mapping[str, Mapping[str, str | Sequence[str]]]


@dataclass(frozen=True)
class Statement:
    """One statement; the policy of a role has no `principal`, and a trust policy no `resources`.

    Parameters
    ----------
    accepted
        What a check of `make policy` may find here, by parliament's name or checkov's id, with the reason.
        AWS sees nothing of it.
    """

    sid: str
    actions: Sequence[str]
    resources: Sequence[str]
    principal: str | Mapping[str, str | Sequence[str]] | None = None
    condition: Condition = field(default_factory=dict)
    effect: Literal["Allow", "Deny"] = "Allow"
    accepted: Mapping[str, str] = field(default_factory=dict)

    def render(self) -> dict[str, Any]:
        rendered: dict[str, Any] = {
            "Sid": self.sid,
            "Effect": self.effect,
            "Action": sorted(self.actions),
        }
        if self.resources:
            rendered["Resource"] = sorted(self.resources)
        if self.principal is not None:
            rendered["Principal"] = self.principal
        if self.condition:
            rendered["Condition"] = {
                operator: {
                    key: value if isinstance(value, str) else sorted(value) for key, value in keys.items()
                }
                for operator, keys in self.condition.items()
            }
        return rendered


# These actions have no resource level (Service Authorization Reference, "AWS X-Ray" and "Amazon EC2").
SEND_TRACES: Final = Statement("SendTraces", ["xray:PutTelemetryRecords", "xray:PutTraceSegments"], ["*"])
JOIN_NETWORK: Final = Statement(
    "JoinNetwork",
    [
        "ec2:AssignPrivateIpAddresses",
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
        "ec2:UnassignPrivateIpAddresses",
    ],
    ["*"],
    accepted={
        "RESOURCE_STAR": "Lambda names the interfaces, after it has asked for the right to create them"
    },
)


def document(*statements: Statement) -> str:
    """Render a policy."""
    return compact({"Version": _VERSION, "Statement": [statement.render() for statement in statements]})


def compact(value: Any) -> str:
    """Render JSON without spaces and with sorted keys."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


def deny_plain_text(service: str, *resources: str, action: str = "*") -> Statement:
    """Deny every request to the resources without TLS.

    SNS rejects `sns:*` in the policy of a topic; pass the actions that others may do.
    """
    return Statement(
        sid="DenyPlainText",
        effect="Deny",
        principal="*",
        actions=[f"{service}:{action}"],
        resources=resources,
        condition={"Bool": {"aws:SecureTransport": "false"}},
    )


def trust(service: str, *, for_account: str) -> str:
    """The trust policy of a role that one AWS service assumes, for resources of one account."""
    condition = {"StringEquals": {"aws:SourceAccount": for_account}}
    return document(Statement("AllowService", ["sts:AssumeRole"], [], {"Service": service}, condition))
