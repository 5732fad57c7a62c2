"""Checks of a policy scan that a resource fails on purpose: in its own comment, with the reason.

`ops.dev.policy` reads them from the synthesised file, and refuses one whose check no longer fails. Terraform
ignores the comment `//`, so that no plan changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cdktf import TerraformResource

COMMENT: Final = "//"
SUPPRESSED: Final = "suppressed"
# Begins the id of each of checkov's checks; the other ids are findings of parliament.
CHECKOV: Final = "CKV"
WITHOUT_KEY: Final = "by setting, create_kms_key: without it AWS's own key encrypts"
# checkov asks for the logs of a year.
_YEAR_DAYS: Final = 365


def suppress(resource: TerraformResource, check: str, reason: str) -> None:
    """Write a check that the resource may fail, by its id, with the reason."""
    resource.add_override(f"{COMMENT}.{SUPPRESSED}.{check}", reason)


def suppress_log_group(group: TerraformResource, *, retention_days: int, keyed: bool) -> None:
    """Write what a log group may fail: both are settings."""
    if retention_days < _YEAR_DAYS:
        suppress(
            group,
            "CKV_AWS_338",
            "by setting, log_retention_days: the ledger is the lasting record, logs are for finding faults",
        )
    if not keyed:
        suppress(group, "CKV_AWS_158", WITHOUT_KEY)
