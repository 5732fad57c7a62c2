"""What an environment no longer manages and must not delete."""

from collections.abc import Iterable
from typing import Final

# Archives as earlier releases made them. They keep their events; docs/operations.md, "Upgrading".
EARLIER_ARCHIVES: Final = ("aws_cloudwatch_event_archive.archive", "aws_cloudcontrolapi_resource.archive")
# What `create_kms_key` made. What it encrypted, or took, is read long after it was turned off.
FORMER_KEY: Final = ("aws_kms_key.key", "aws_cloudcontrolapi_resource.bus_dlq")
# What made the queues before Cloud Control did. `huntaze-stripe adopt` takes them over.
EARLIER_QUEUES: Final = tuple(
    f"aws_sqs_queue.{name}"
    for name in (
        "audit_billing_dlq",
        "audit_dlq",
        "audit_other_dlq",
        "audit_payments_dlq",
        "billing_dlq",
        "bus_dlq",
        "events_queue",
        "log_dlq",
        "payments_dlq",
    )
)
# A file of its own, in Terraform's own language: CDKTF 0.21 knows no removed blocks, and checkov 3.3 reads no
# JSON that has some.
FILE: Final = "forgotten.tf"
_BLOCK: Final = """\
removed {{
  from = {address}
  lifecycle {{
    destroy = false
  }}
}}
"""


def blocks(addresses: Iterable[str]) -> str:
    """Render what lets Terraform forget resources that are still in its state, and not delete them.

    `prevent_destroy` holds only as long as a resource is in the configuration. A block about a resource
    that is not in the state does nothing.
    """
    return "\n".join(_BLOCK.format(address=address) for address in sorted(addresses))
