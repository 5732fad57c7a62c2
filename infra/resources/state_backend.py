"""Where Terraform keeps the state of a stack."""

from typing import Final

from cdktf import LocalBackend, S3Backend, TerraformStack

# A stack is synthesised to <outdir>/stacks/<name>: the bootstrap's own state lies beside outdir,
# where neither a new synth nor a clean-up removes it, and no path of this machine is written down.
_BESIDE_OUTDIR: Final = "../../.."


def keep_in_bucket(stack: TerraformStack, *, name: str, bucket: str, region: str) -> None:
    """Keep the state in S3, locked by a lock file in the same bucket."""
    backend = S3Backend(stack, bucket=bucket, key=f"{name}/terraform.tfstate", region=region, encrypt=True)
    # CDKTF 0.21 does not know the argument; Terraform has it since 1.10.
    backend.add_override("use_lockfile", True)


def keep_locally(stack: TerraformStack, *, name: str) -> None:
    """Keep the state in a file: for the stack that makes the bucket."""
    LocalBackend(stack, path=f"{_BESIDE_OUTDIR}/terraform.{name}.tfstate")
