"""The bootstrap stack: the bucket of the environments' Terraform state."""

from cdktf import TerraformStack
from constructs import Construct

from infra.names import BOOTSTRAP
from infra.resources.account import Account
from infra.resources.bucket import PrivateBucket
from infra.resources.outputs import Outputs
from infra.resources.state_backend import keep_locally
from infra.settings import StateSettings


class BootstrapStack(TerraformStack):
    """Deployed once per AWS account, before the first environment."""

    def __init__(self, scope: Construct, settings: StateSettings) -> None:
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
        Outputs(
            self,
            "outputs",
            values={
                "state_bucket": (bucket.name, "Bucket of the Terraform state"),
                "state_bucket_arn": (bucket.arn, "ARN of that bucket"),
            },
        )
