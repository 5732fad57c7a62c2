"""An S3 bucket: versioned, encrypted, private, TLS only."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cdktf import TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.s3_bucket import S3Bucket
from cdktf_cdktf_provider_aws.s3_bucket_lifecycle_configuration import (
    S3BucketLifecycleConfiguration,
    S3BucketLifecycleConfigurationRule,
    S3BucketLifecycleConfigurationRuleAbortIncompleteMultipartUpload,
    S3BucketLifecycleConfigurationRuleExpiration,
    S3BucketLifecycleConfigurationRuleFilter,
    S3BucketLifecycleConfigurationRuleNoncurrentVersionExpiration,
    S3BucketLifecycleConfigurationRuleTransition,
)
from cdktf_cdktf_provider_aws.s3_bucket_object_lock_configuration import (
    S3BucketObjectLockConfigurationA,
    S3BucketObjectLockConfigurationRuleA,
    S3BucketObjectLockConfigurationRuleDefaultRetentionA,
)
from cdktf_cdktf_provider_aws.s3_bucket_ownership_controls import (
    S3BucketOwnershipControls,
    S3BucketOwnershipControlsRule,
)
from cdktf_cdktf_provider_aws.s3_bucket_policy import S3BucketPolicy
from cdktf_cdktf_provider_aws.s3_bucket_public_access_block import S3BucketPublicAccessBlock
from cdktf_cdktf_provider_aws.s3_bucket_server_side_encryption_configuration import (
    S3BucketServerSideEncryptionConfigurationA,
    S3BucketServerSideEncryptionConfigurationRuleA,
    S3BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultA,
)
from cdktf_cdktf_provider_aws.s3_bucket_versioning import (
    S3BucketVersioningA,
    S3BucketVersioningVersioningConfiguration,
)
from constructs import Construct

from infra.policy import deny_plain_text, document
from infra.resources.account import Account
from infra.resources.base import Capability
from infra.resources.key import Key
from infra.resources.suppression import WITHOUT_KEY, suppress

# An upload that takes longer than a week was abandoned.
_ABORT_UPLOAD_DAYS: Final = 7


@dataclass(frozen=True)
class Retention:
    """How long a bucket keeps objects, and where; the defaults keep every version in Standard.

    Parameters
    ----------
    noncurrent_days
        Days in which an overwritten or deleted version can be restored; None keeps all versions.
    transitions
        Pairs of days and storage class; needs `noncurrent_days`.
    expiration
        A prefix, and the days after which its objects are deleted; needs `noncurrent_days`.
    object_lock_days
        Days in which nobody, the owner of the account included, can delete a version; 0 locks none.
    """

    noncurrent_days: int | None = None
    transitions: Sequence[tuple[int, str]] = ()
    expiration: tuple[str, int] | None = None
    object_lock_days: int = 0


_EVERYTHING: Final = Retention()


class PrivateBucket(Capability):
    """An S3 bucket without public access.

    Parameters
    ----------
    prevent_destroy
        Refuse a plan that would destroy the bucket.
    emptied_on_destroy
        Delete the objects with the bucket; without it, a destroy fails unless the bucket is empty.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        account: Account,
        name: str,
        retention: Retention = _EVERYTHING,
        prevent_destroy: bool = False,
        emptied_on_destroy: bool = False,
        key: Key | None = None,
    ) -> None:
        super().__init__(scope, id_)
        bucket = self.add(
            S3Bucket,
            "",
            bucket=name,
            force_destroy=emptied_on_destroy,
            lifecycle=TerraformResourceLifecycle(prevent_destroy=True) if prevent_destroy else None,
        )
        suppress(
            bucket,
            "CKV_AWS_18",
            "CloudTrail records who read it, once per account; a log bucket would need one itself",
        )
        suppress(
            bucket,
            "CKV_AWS_144",
            "a second region is a decision about the whole pipeline, its partner event source included",
        )
        suppress(bucket, "CKV2_AWS_62", "nothing reacts to a new object")
        if retention.noncurrent_days is None:
            suppress(bucket, "CKV2_AWS_61", "keeps every version, so that each can be restored")
        if key is None:
            suppress(bucket, "CKV_AWS_145", WITHOUT_KEY)
        self.name = bucket.bucket
        self.arn = bucket.arn
        versioning = self.add(
            S3BucketVersioningA,
            "versioning",
            bucket=bucket.id,
            versioning_configuration=S3BucketVersioningVersioningConfiguration(status="Enabled"),
        )
        self.add(
            S3BucketPublicAccessBlock,
            "public_access",
            bucket=bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
        )
        self.add(
            S3BucketOwnershipControls,
            "ownership",
            bucket=bucket.id,
            rule=S3BucketOwnershipControlsRule(object_ownership="BucketOwnerEnforced"),
        )
        self.add(
            S3BucketServerSideEncryptionConfigurationA,
            "encryption",
            bucket=bucket.id,
            rule=[
                S3BucketServerSideEncryptionConfigurationRuleA(
                    apply_server_side_encryption_by_default=_encryption(key),
                    bucket_key_enabled=key is not None,
                )
            ],
        )
        bucket_arn = f"arn:{account.partition}:s3:::{name}"
        self.add(
            S3BucketPolicy,
            "policy",
            bucket=bucket.id,
            policy=document(deny_plain_text("s3", bucket_arn, f"{bucket_arn}/*")),
        )
        if retention.noncurrent_days:
            self.add(
                S3BucketLifecycleConfiguration,
                "lifecycle",
                bucket=bucket.id,
                rule=[
                    _lifecycle(retention.transitions, retention.noncurrent_days),
                    *([_expiration(*retention.expiration)] if retention.expiration else []),
                ],
                # A rule about noncurrent versions needs versioning first.
                depends_on=[versioning],
            )
        if retention.object_lock_days:
            # This turns the lock on; the argument of the bucket itself would replace an existing bucket.
            self.add(
                S3BucketObjectLockConfigurationA,
                "object_lock",
                bucket=bucket.id,
                rule=S3BucketObjectLockConfigurationRuleA(
                    default_retention=S3BucketObjectLockConfigurationRuleDefaultRetentionA(
                        mode="COMPLIANCE", days=retention.object_lock_days
                    )
                ),
                depends_on=[versioning],
            )


def _encryption(
    key: Key | None,
) -> S3BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultA:
    return S3BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultA(
        sse_algorithm="aws:kms" if key else "AES256", kms_master_key_id=key.arn if key else None
    )


def _lifecycle(
    transitions: Sequence[tuple[int, str]], noncurrent_days: int
) -> S3BucketLifecycleConfigurationRule:
    return S3BucketLifecycleConfigurationRule(
        id="tidy",
        status="Enabled",
        # An empty filter matches every object.
        filter=[S3BucketLifecycleConfigurationRuleFilter()],
        transition=[
            S3BucketLifecycleConfigurationRuleTransition(days=days, storage_class=storage_class)
            for days, storage_class in transitions
        ],
        # Removes a delete marker once it hides no version. This rule deletes no object.
        expiration=[S3BucketLifecycleConfigurationRuleExpiration(expired_object_delete_marker=True)],
        noncurrent_version_expiration=[
            S3BucketLifecycleConfigurationRuleNoncurrentVersionExpiration(noncurrent_days=noncurrent_days)
        ],
        abort_incomplete_multipart_upload=[
            S3BucketLifecycleConfigurationRuleAbortIncompleteMultipartUpload(
                days_after_initiation=_ABORT_UPLOAD_DAYS
            )
        ],
    )


def _expiration(prefix: str, days: int) -> S3BucketLifecycleConfigurationRule:
    return S3BucketLifecycleConfigurationRule(
        id="expire",
        status="Enabled",
        filter=[S3BucketLifecycleConfigurationRuleFilter(prefix=prefix)],
        expiration=[S3BucketLifecycleConfigurationRuleExpiration(days=days)],
    )
