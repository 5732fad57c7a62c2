"""What an environment no longer manages and must not delete."""

from collections.abc import Sequence
from typing import Final

from cdktf import TerraformStack

# Archives as earlier releases made them. They keep their events; docs/operations.md, "Upgrading".
EARLIER_ARCHIVES: Final = ("aws_cloudwatch_event_archive.archive", "aws_cloudcontrolapi_resource.archive")
# What `create_kms_key` made. What it encrypted, or took, is read long after it was turned off.
FORMER_KEY: Final = ("aws_kms_key.key", "aws_cloudcontrolapi_resource.bus_dlq")


def forget(stack: TerraformStack, addresses: Sequence[str]) -> None:
    """Let Terraform forget resources that are still in its state, and not delete them.

    `prevent_destroy` holds only as long as a resource is in the configuration.
    """
    # CDKTF 0.21 knows no removed blocks; Terraform has them since 1.7.
    blocks = [{"from": address, "lifecycle": {"destroy": False}} for address in addresses]
    stack.add_override("removed", blocks)
