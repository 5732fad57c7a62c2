"""GitHub's identity provider, and the roles and the boundary of each environment that GitHub deploys."""

from collections.abc import Iterator
from typing import Final

from cdktf import ITerraformDependable, Postcondition, TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.data_aws_iam_openid_connect_provider import DataAwsIamOpenidConnectProvider
from cdktf_cdktf_provider_aws.iam_openid_connect_provider import IamOpenidConnectProvider
from cdktf_cdktf_provider_aws.iam_policy import IamPolicy
from cdktf_cdktf_provider_aws.iam_role import IamRole
from cdktf_cdktf_provider_aws.iam_role_policy_attachment import IamRolePolicyAttachment
from constructs import Construct

from infra.deployment_roles import AUDIENCE, GITHUB, POLICIES, Place, boundary, documents, trust
from infra.policy import document
from infra.resources.base import Capability
from infra.resources.suppression import suppress

_WITHOUT_RESOURCE: Final = (
    "AWS names no resource for some actions, or asks before there is one; infra/deployment_roles says which"
)


class GitHubProvider(Capability):
    """GitHub as an identity provider of the account.

    Parameters
    ----------
    existing
        Whether the account has it already: IAM allows one for each address.
    """

    def __init__(self, scope: Construct, id_: str, *, existing: bool) -> None:
        super().__init__(scope, id_)
        url = f"https://{GITHUB}"
        self.made: ITerraformDependable
        if existing:
            self.made = self.add(DataAwsIamOpenidConnectProvider, "", url=url, lifecycle=_with_audience())
        else:
            self.made = self.add(IamOpenidConnectProvider, "", url=url, client_id_list=[AUDIENCE])


def _with_audience() -> TerraformResourceLifecycle:
    """Fail a plan where the account's own provider would accept no token of a workflow."""
    condition = Postcondition(
        condition=f'${{contains(self.client_id_list, "{AUDIENCE}")}}',
        error_message=f"The account's provider {GITHUB} lacks the audience {AUDIENCE}: add it there.",
    )
    return TerraformResourceLifecycle(postcondition=[condition])


class DeploymentRoles(Capability):
    """What one environment's workflows may do, and what no role of its stack may exceed.

    Parameters
    ----------
    repository
        As GitHub names it: OWNER/NAME.
    """

    def __init__(
        self, scope: Construct, id_: str, *, place: Place, repository: str, provider: GitHubProvider
    ) -> None:
        super().__init__(scope, id_)
        self._place = place
        limit = self.add(
            IamPolicy,
            "boundary",
            name=place.boundary_arn.rpartition("/")[2],
            description="What no role of the stack may exceed",
            policy=document(*boundary(place)),
        )
        suppress(limit, "CKV_AWS_290", _WITHOUT_RESOURCE)
        suppress(limit, "CKV_AWS_355", _WITHOUT_RESOURCE)
        self.arns = dict(self._roles(repository, provider))

    def _roles(self, repository: str, provider: GitHubProvider) -> Iterator[tuple[str, str]]:
        for part in POLICIES:
            name = self._place.role_name(part)
            role = self.add(
                IamRole,
                part,
                name=name,
                assume_role_policy=document(trust(part, self._place, repository)),
                depends_on=[provider.made],
            )
            for number, text in enumerate(documents(part, self._place), start=1):
                policy = self.add(IamPolicy, f"{part}_policy_{number}", name=f"{name}-{number}", policy=text)
                self._suppress(policy, part, text)
                self.add(IamRolePolicyAttachment, f"{part}_{number}", role=role.name, policy_arn=policy.arn)
            yield part, role.arn

    def _suppress(self, policy: IamPolicy, part: str, text: str) -> None:
        """Write what the statements of a policy may fail."""
        for statement in POLICIES[part](self._place):
            if f'"Sid":"{statement.sid}"' in text:
                for check, reason in statement.accepted.items():
                    suppress(policy, check, reason)
