"""Where Terraform stores the state of a stack."""

from typing import Final

from cdktf import LocalBackend, S3Backend, TerraformStack

# A stack is synthesised to <outdir>/stacks/<name>. The state of the bootstrap stack is beside outdir, where
# neither a synth nor a clean-up removes it, and the relative path contains nothing of this machine.
_BESIDE_OUTDIR: Final = "../../.."


def keep_in_bucket(stack: TerraformStack, *, name: str, bucket: str, region: str) -> None:
    """Store the state in S3, with a lock file in the same bucket."""
    backend = S3Backend(stack, bucket=bucket, key=f"{name}/terraform.tfstate", region=region, encrypt=True)
    # CDKTF 0.21 lacks the argument; Terraform has it since 1.10.
    backend.add_override("use_lockfile", True)


def keep_locally(stack: TerraformStack, *, name: str) -> None:
    """Store the state in a file: for the stack that creates the bucket."""
    LocalBackend(stack, path=f"{_BESIDE_OUTDIR}/terraform.{name}.tfstate")
