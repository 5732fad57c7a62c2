"""Rules about keys, encryption and protection."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ops.plan_report.attributes import ABSENT, UNKNOWN
from ops.plan_report.changes import ChangeKind
from ops.plan_report.deliveries import BUS
from ops.plan_report.findings import Hit
from ops.plan_report.plan import Plan, Resource
from ops.plan_report.rules.data import ARCHIVE, BUCKET, FUNCTION, KEY, LOGS, QUEUE, TABLE
from ops.plan_report.text import value
from ops.secret_changes import RESOURCE

ENCRYPTION: Final = "aws_s3_bucket_server_side_encryption_configuration"
PUBLIC_ACCESS: Final = "aws_s3_bucket_public_access_block"
ALGORITHM: Final = ("rule", 0, "apply_server_side_encryption_by_default", 0, "sse_algorithm")
# Where a resource names its key.
KEYED: Final = (
    (BUS, ("kms_key_identifier",)),
    (ARCHIVE, ("KmsKeyIdentifier",)),
    (QUEUE, ("KmsMasterKeyId",)),
    (TABLE, ("server_side_encryption", 0, "kms_key_arn")),
    (ENCRYPTION, ("rule", 0, "apply_server_side_encryption_by_default", 0, "kms_master_key_id")),
    (LOGS, ("kms_key_id",)),
    (RESOURCE, ("kms_key_id",)),
    (FUNCTION, ("kms_key_arn",)),
)
BLOCKS: Final = ("block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets")


def key_changed(plan: Plan) -> Iterator[Hit]:
    """Encryption with a customer managed key is turned on, off, or moved to another key."""
    for key in plan.changing(KEY):
        if key.change is ChangeKind.CREATE:
            yield Hit(
                key.address,
                "a customer managed key is turned on",
                "what it encrypts needs it for ever: without the key, events and ledger can't be read",
                'read docs/operations.md, "Turning the key off", before it is on',
            )
        elif key.will_be("is_enabled") is False and key.was("is_enabled") is not False:
            yield Hit(
                key.address,
                "the key is disabled",
                "nothing that it encrypted can be read, and each event fails",
                "enable it again",
            )
    for type_, path in KEYED:
        for resource in plan.changing(type_):
            before, after = resource.sides(*path)
            lost = isinstance(before, str) and resource.change is not ChangeKind.DESTROY and before != after
            if lost and after is not UNKNOWN and before:
                yield Hit(
                    resource.address,
                    "it is encrypted with another key"
                    if after not in (ABSENT, "")
                    else "its key is turned off",
                    "what the former key encrypted is unreadable once that key is gone",
                    'follow docs/operations.md, "Turning the key off", and keep its ARN in '
                    "former_kms_key_arns",
                )


def encryption_off(plan: Plan) -> Iterator[Hit]:
    """Encryption, or the block of public access, is turned off."""
    why = "customers' data is stored or readable without the protection that docs/security.md promises"
    for queue in plan.changing(QUEUE):
        encrypted = queue.was("SqsManagedSseEnabled") is True or isinstance(queue.was("KmsMasterKeyId"), str)
        plain = (
            queue.will_be("SqsManagedSseEnabled") in (False, ABSENT)
            and queue.will_be("KmsMasterKeyId") is ABSENT
        )
        if encrypted and plain and queue.after is not ABSENT:
            yield Hit(queue.address, "messages are no longer encrypted", why, "keep SqsManagedSseEnabled")
    for bucket in plan.changing(ENCRYPTION):
        if plan.goes_with_owner(bucket):
            continue
        if bucket.was(*ALGORITHM) is not ABSENT and bucket.will_be(*ALGORITHM) is ABSENT:
            yield Hit(bucket.address, "the bucket loses its encryption setting", why, "keep it")
    for block in plan.changing(PUBLIC_ACCESS):
        opened = [
            name for name in BLOCKS if block.was(name) is True and block.will_be(name) in (False, ABSENT)
        ]
        if opened and not plan.goes_with_owner(block):
            yield Hit(block.address, "the bucket may become public", why, "keep the block")


def protection_off(plan: Plan) -> Iterator[Hit]:
    """A table or bucket can be deleted with its data."""
    for resource in plan.changing(TABLE, BUCKET):
        if _loses_protection(resource):
            yield Hit(
                resource.address,
                "it can be deleted with its data: deletion protection is off",
                "the next plan that replaces or removes it deletes the data",
                "turn deletion_protection on again after the change that needs it",
            )


def boundary_lost(plan: Plan) -> Iterator[Hit]:
    """A role loses its permissions boundary, or gets another one."""
    for role in plan.changing("aws_iam_role"):
        before, after = role.sides("permissions_boundary")
        if role.change is ChangeKind.UPDATE and isinstance(before, str) and before and before != after:
            what = (
                "it has no permissions boundary" if after in (ABSENT, "") else f"its boundary: {value(after)}"
            )
            yield Hit(
                role.address,
                f"{what}, was {value(before)}",
                "the role can be given any right, by whoever may write its policy",
                "keep the boundary that docs/github.md sets up",
            )


def _loses_protection(resource: Resource) -> bool:
    if resource.type == BUCKET:
        return resource.was("force_destroy") is False and resource.will_be("force_destroy") is True
    return (
        resource.change is ChangeKind.UPDATE
        and resource.was("deletion_protection_enabled") is True
        and resource.will_be("deletion_protection_enabled") in (False, ABSENT)
    )
