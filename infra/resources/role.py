"""The execution role of one function."""

from collections.abc import Sequence

from cdktf_cdktf_provider_aws.iam_role import IamRole
from cdktf_cdktf_provider_aws.iam_role_policy import IamRolePolicy
from constructs import Construct

from infra.policy import JOIN_NETWORK, SEND_TRACES, Statement, document, trust
from infra.resources.account import Account
from infra.resources.base import Capability
from infra.resources.suppression import suppress


class ExecutionRole(Capability):
    """A role that Lambda assumes for one function.

    Parameters
    ----------
    grants
        Statements of the constructs that own the resources; duplicates are written once.
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
            IamRole,
            "",
            name=name,
            assume_role_policy=trust("lambda.amazonaws.com", for_account=account.id),
            permissions_boundary=account.permissions_boundary,
        )
        wanted = [*grants, *([SEND_TRACES] if tracing else []), *([JOIN_NETWORK] if in_network else [])]
        self.policy = self.add(
            IamRolePolicy, "policy", name=name, role=role.id, policy=document(*_distinct(wanted))
        )
        for statement in wanted:
            for finding, reason in statement.accepted.items():
                suppress(self.policy, finding, reason)
        self.arn: str = role.arn


def _distinct(statements: Sequence[Statement]) -> list[Statement]:
    """The statements without duplicates: several grants may use the same key."""
    distinct: list[Statement] = []
    for statement in statements:
        if statement not in distinct:
            distinct.append(statement)
    return distinct
