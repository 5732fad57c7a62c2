"""The role of one function, with what it is granted and nothing more."""

from collections.abc import Sequence
from typing import Final

from cdktf_cdktf_provider_aws.iam_role import IamRole
from cdktf_cdktf_provider_aws.iam_role_policy import IamRolePolicy
from constructs import Construct

from infra.resources.account import Account
from infra.resources.base import Capability
from infra.resources.policy import Statement, document, trust

# X-Ray and the network interfaces of a VPC function know no resource to name
# (Service Authorization Reference: AWS X-Ray, Amazon EC2).
_TRACING: Final = (Statement("SendTraces", ["xray:PutTelemetryRecords", "xray:PutTraceSegments"], ["*"]),)
_NETWORK: Final = (
    Statement(
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
    ),
)


class ExecutionRole(Capability):
    """A role that Lambda assumes for one function.

    Parameters
    ----------
    grants
        Statements from the constructs that own the resources; a repeated one is written once.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        account: Account,
        name: str,
        grants: Sequence[Statement],
        tracing: bool,
        in_network: bool,
    ) -> None:
        super().__init__(scope, id_)
        role = self.add(
            IamRole, "", name=name, assume_role_policy=trust("lambda.amazonaws.com", for_account=account.id)
        )
        wanted = [*grants, *(_TRACING if tracing else []), *(_NETWORK if in_network else [])]
        self.policy = self.add(
            IamRolePolicy, "policy", name=name, role=role.id, policy=document(*_distinct(wanted))
        )
        self.arn: str = role.arn


def _distinct(statements: Sequence[Statement]) -> list[Statement]:
    """Several grants may need the same key: say so once."""
    distinct: list[Statement] = []
    for statement in statements:
        if statement not in distinct:
            distinct.append(statement)
    return distinct
