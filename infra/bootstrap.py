"""The bootstrap stack: the bucket of the environments' Terraform state, and the roles of their workflows."""

from collections.abc import Sequence
from typing import Any, Final

from cdktf import TerraformStack
from constructs import Construct

from infra.constructs.deployment_roles import DeploymentRoles, GitHubProvider
from infra.deployment_roles import Place
from infra.names import BOOTSTRAP
from infra.resources.account import Account
from infra.resources.bucket import PrivateBucket
from infra.resources.outputs import Outputs
from infra.resources.state_backend import keep_locally
from infra.settings import Settings, StateSettings

_EXISTING: Final = "existing"


class BootstrapStack(TerraformStack):
    """Deployed once per AWS account, before the first environment.

    Parameters
    ----------
    deployed
        The environments that GitHub deploys.
    """

    def __init__(self, scope: Construct, settings: StateSettings, deployed: Sequence[Settings] = ()) -> None:
        super().__init__(scope, BOOTSTRAP)
        keep_locally(self, name=BOOTSTRAP)
        account = Account(self, "account", environment="bootstrap", region=settings.state_region)
        bucket = PrivateBucket(
            self,
            "state_bucket",
            account=account,
            name=settings.state_bucket,
            # Keep every version: each is a state to restore, and a thousand of them cost cents a month.
            prevent_destroy=True,
        )
        values: dict[str, tuple[Any, str]] = {
            "state_bucket": (bucket.name, "Bucket of the Terraform state"),
            "state_bucket_arn": (bucket.arn, "ARN of that bucket"),
        }
        if deployed:
            roles = _deployment_roles(self, account, settings, deployed)
            values["github_roles"] = (roles, "Roles of the workflows, by environment")
        Outputs(self, "outputs", values=values)


def _deployment_roles(
    scope: Construct, account: Account, settings: StateSettings, deployed: Sequence[Settings]
) -> dict[str, dict[str, str]]:
    """Make them; return their ARNs by environment and part."""
    provider = GitHubProvider(scope, "github", existing=settings.github_oidc_provider == _EXISTING)
    return {
        each.environment: DeploymentRoles(
            scope,
            f"github_{each.environment}",
            place=Place(account.id, each.aws_region, each.environment, each.state_bucket, account.partition),
            repository=settings.github_repository,
            provider=provider,
        ).arns
        for each in deployed
    }
