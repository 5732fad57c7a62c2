"""Where a stack is deployed: the provider, and the account and region of ARNs."""

from cdktf import TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.data_aws_caller_identity import DataAwsCallerIdentity
from cdktf_cdktf_provider_aws.data_aws_partition import DataAwsPartition
from cdktf_cdktf_provider_aws.provider import AwsProvider
from constructs import Construct

from infra.names import COMPONENT, PROJECT
from infra.resources.base import Capability


def tags(environment: str) -> dict[str, str]:
    """The tags of everything in a stack."""
    return {
        "Project": "huntaze",
        "Component": COMPONENT,
        "Environment": environment,
        "ManagedBy": "terraform",
    }


class Account(Capability):
    """The AWS account and region of a stack.

    ARNs of the stack's own resources are literals where a reference would make a cycle (a queue's policy
    names the rule whose target is the queue), or would make one resource wait for another without need.

    Parameters
    ----------
    only_account_id
        The only account that the provider may change; empty allows any.
    boundary
        The name of the permissions boundary of every role, without the environment; empty sets none.
    protected
        Whether a plan fails that would destroy a resource with events.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        environment: str,
        region: str,
        only_account_id: str = "",
        boundary: str = "",
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
        self.permissions_boundary = (
            f"arn:{self.partition}:iam::{self.id}:policy/{boundary}-{environment}" if boundary else None
        )

    @property
    def kept(self) -> TerraformResourceLifecycle | None:
        """The lifecycle of a resource that holds events, or that they need to be read.

        In a protected account a plan that would destroy or replace it fails. That ends when the resource is
        out of the configuration: see `infra.forgotten`.
        """
        return TerraformResourceLifecycle(prevent_destroy=True) if self.protected else None

    def name(self, part: str) -> str:
        """The name of a resource of this environment, for example huntaze-stripe-payments-dev."""
        return f"{PROJECT}-{part}-{self.environment}"

    def arn(self, service: str, resource: str) -> str:
        """The ARN of a resource in this account and region."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.id}:{resource}"

    def bus_arn(self, bus: str) -> str:
        """The ARN of an event bus; the name of a partner event bus contains slashes."""
        return self.arn("events", f"event-bus/{bus}")

    def rule_arn(self, bus: str, rule: str) -> str:
        """The ARN of a rule on an event bus other than the default one."""
        return self.arn("events", f"rule/{bus}/{rule}")
