"""The secrets with the API key, the Stripe key and the database URL."""

from collections.abc import Mapping
from typing import Final

from cdktf import TerraformVariable
from cdktf_cdktf_provider_aws.secretsmanager_secret import SecretsmanagerSecret
from cdktf_cdktf_provider_aws.secretsmanager_secret_version import SecretsmanagerSecretVersion
from constructs import Construct

from functions.shared import names
from infra.policy import Statement
from infra.resources.account import Account
from infra.resources.base import Capability
from infra.resources.key import Key, read_with
from infra.resources.suppression import WITHOUT_KEY, suppress

_PURPOSE: Final = {
    names.HUNTAZE_API_KEY: "Bearer key of the Huntaze API",
    names.STRIPE_SECRET_KEY: "Secret key of the Stripe account; empty where nothing asks Stripe",
    names.DATABASE_URL: "PostgreSQL URL of the ledger; empty keeps the ledger in S3 alone",
}
# Parts of the addresses; the first secret contained all three values in earlier releases.
_PARTS: Final = {names.HUNTAZE_API_KEY: "", names.STRIPE_SECRET_KEY: "stripe", names.DATABASE_URL: "database"}
_ALWAYS_REQUIRED: Final = {names.HUNTAZE_API_KEY: "the bearer key of the Huntaze API"}
_REQUIRED: Final = _ALWAYS_REQUIRED | {
    names.STRIPE_SECRET_KEY: 'which reconcile, order = "refetch" and thin_events need, or set reconcile = '
    '"off", order = "watermark" and thin_events = false'
}


class PipelineSecrets(Capability):
    """One Secrets Manager secret per value, written from ephemeral variables by write-only arguments.

    Terraform stores neither in the plan nor in the state, so the values are in the secrets alone. For the
    same reason it cannot see that a value changed: raising `version` writes all of them again.

    Parameters
    ----------
    reads_stripe
        Whether a function reads from Stripe: then Stripe's key must not be empty.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        account: Account,
        version: int,
        recovery_days: int,
        reads_stripe: bool,
        key: Key | None,
    ) -> None:
        super().__init__(scope, id_)
        self._key = key
        self._arns: dict[str, str] = {}
        for name, part in _PARTS.items():
            self._variable(scope, name, _REQUIRED if reads_stripe else _ALWAYS_REQUIRED)
            secret = self.add(
                SecretsmanagerSecret,
                part,
                name=names.SECRET_NAMES[name].format(environment=account.environment),
                description=f"{_PURPOSE[name]}, {account.environment}",
                recovery_window_in_days=recovery_days,
                kms_key_id=key.arn if key else None,
                lifecycle=account.kept,
            )
            suppress(
                secret,
                "CKV2_AWS_57",
                "Stripe, Huntaze and the database make the values: no function of ours could",
            )
            if key is None:
                suppress(secret, "CKV_AWS_149", WITHOUT_KEY)
            self.add(
                SecretsmanagerSecretVersion,
                f"{part}_version" if part else "version",
                secret_id=secret.id,
                secret_string_wo=f"${{jsonencode({{{name}=var.{name}}})}}",
                secret_string_wo_version=version,
            )
            self._arns[name] = secret.arn

    def ids(self, *keys: str) -> str:
        """The value of SECRET_IDS for a function that reads these values, in the order of need."""
        return ",".join(self._arns[key] for key in keys)

    def grant_read(self, *keys: str) -> list[Statement]:
        """Statements for a role that reads these values."""
        read = Statement("ReadSecret", ["secretsmanager:GetSecretValue"], [self._arns[key] for key in keys])
        return [read, *read_with(self._key)]

    def _variable(self, scope: Construct, name: str, required: Mapping[str, str]) -> None:
        # With a default Terraform reports a missing value by our message instead of a prompt.
        variable = TerraformVariable(
            scope, name, type="string", default="", description=_PURPOSE[name], sensitive=True
        )
        variable.add_override("ephemeral", True)
        if name in required:
            variable.add_validation(
                condition=f'${{var.{name} != ""}}',
                error_message=f"{name} is empty; export TF_VAR_{name}, {required[name]}.",
            )
