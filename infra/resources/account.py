"""Where a stack is deployed: provider, state backend, and the account that ARNs name."""

from typing import Final

from cdktf import TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.data_aws_caller_identity import DataAwsCallerIdentity
from cdktf_cdktf_provider_aws.data_aws_partition import DataAwsPartition
from cdktf_cdktf_provider_aws.provider import AwsProvider
from constructs import Construct

from infra.names import PROJECT
from infra.resources.base import Capability

_COMPONENT: Final = "stripe-eventbridge"


def tags(environment: str) -> dict[str, str]:
    """The tags of everything in a stack."""
    return {
        "Project": "huntaze",
        "Component": _COMPONENT,
        "Environment": environment,
        "ManagedBy": "terraform",
    }


class Account(Capability):
    """The AWS account and region of a stack.

    ARNs of our own resources are written out where a reference would make a cycle (a queue's
    policy names the rule whose target names the queue), or would only make one wait for the other.

    Parameters
    ----------
    only_account_id
        The one account that the provider may change; empty allows any.
    protected
        Whether plans fail that would destroy what holds events.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        environment: str,
        region: str,
        only_account_id: str = "",
        protected: bool = False,
    ) -> None:
        super().__init__(scope, id_)
        self.protected = protected
        self.environment = environment
        self.region = region
        AwsProvider(
            scope,
            "aws",
            region=region,
            allowed_account_ids=[only_account_id] if only_account_id else None,
            default_tags=[{"tags": tags(environment)}],
        )
        self.id = self.add(DataAwsCallerIdentity, "identity").account_id
        self.partition = self.add(DataAwsPartition, "partition").partition

    @property
    def kept(self) -> TerraformResourceLifecycle | None:
        """What a resource says of itself that holds events, or what they need to be read.

        Where the account is protected, a plan that would destroy or replace it fails before anything is
        changed. Terraform asks no more once the resource is out of the configuration: see `forgotten`.
        """
        return TerraformResourceLifecycle(prevent_destroy=True) if self.protected else None

    def name(self, part: str) -> str:
        """The name of a resource of this environment, for example huntaze-stripe-payments-dev."""
        return f"{PROJECT}-{part}-{self.environment}"

    def arn(self, service: str, resource: str) -> str:
        """The ARN of a resource in this account and region."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.id}:{resource}"

    def bus_arn(self, bus: str) -> str:
        """The ARN of an event bus; a partner bus's name has slashes in it."""
        return self.arn("events", f"event-bus/{bus}")

    def rule_arn(self, bus: str, rule: str) -> str:
        """The ARN of a rule on an event bus other than the default one."""
        return self.arn("events", f"rule/{bus}/{rule}")
