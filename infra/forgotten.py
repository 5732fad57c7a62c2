"""What an environment no longer manages and must not delete."""

from collections.abc import Iterable
from typing import Final

# The archives of earlier releases, which keep their events (docs/operations.md, "Upgrading").
EARLIER_ARCHIVES: Final = ("aws_cloudwatch_event_archive.archive", "aws_cloudcontrolapi_resource.archive")
# What `create_kms_key` creates. Data that the key encrypted is read long after the setting was turned off.
FORMER_KEY: Final = ("aws_kms_key.key", "aws_cloudcontrolapi_resource.bus_dlq")
# The queues of releases before Cloud Control; `huntaze-stripe adopt` imports them.
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
# A file in HCL: CDKTF 0.21 has no removed blocks, and checkov 3.3 cannot read JSON with such blocks.
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
    """Render the blocks that let Terraform forget resources in its state without deleting them.

    `prevent_destroy` has no effect once a resource is out of the configuration. A block of a resource that is
    not in the state does nothing.
    """
    return "\n".join(_BLOCK.format(address=address) for address in sorted(addresses))
