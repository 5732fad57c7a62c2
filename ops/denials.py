"""A call that AWS denies: which action on which resource the caller lacks.

Sources: IAM user guide, "Troubleshoot access denied error messages" (the message's form); the errors of each
service's API reference (KMS's own reach the caller through SQS, DynamoDB and Lambda).
"""

from __future__ import annotations

import re
from typing import Final

from botocore.exceptions import ClientError

from functions.shared.errors import EventError
from ops.errors import DeniedError

CODES: Final = frozenset(
    {
        "403",
        "AccessDenied",
        "AccessDeniedException",
        "AuthorizationError",
        "AuthorizationErrorException",
        "Forbidden",
        "KMS.AccessDeniedException",
        "KMSAccessDeniedException",
        "KmsAccessDenied",
        "UnauthorizedOperation",
    }
)
# What AWS calls the policies of the caller's role.
OWN_POLICY: Final = "identity-based policy"
_MESSAGE: Final = re.compile(
    r"not authorized to perform: (?P<action>[\w-]+:\w+)(?: on resource: \"?(?P<resource>[^\s\"]+)\"?)?"
    r"(?: with (?P<denied>an explicit deny in an? [\w-]+(?: [\w-]+)?)| because no (?P<kind>[\w -]+) allows)?"
)


def denied(what: str, error: ClientError) -> DeniedError | None:
    """Return the error for operators if AWS denied a call, and None for any other answer.

    Parameters
    ----------
    what
        What was requested.
    """
    details = error.response.get("Error", {})
    code = str(details.get("Code"))
    if code not in CODES:
        return None
    found = _MESSAGE.search(str(details.get("Message")))
    if found is None:
        # Not every service says which action; the operation is often its name.
        return DeniedError(what, code, f"the permission for {error.operation_name}")
    needed = found["action"] + (f" on {found['resource']}" if found["resource"] else "")
    if found["denied"]:
        needed += f" without {found['denied']}"
    elif found["kind"] not in (None, OWN_POLICY):
        needed += f" in a {found['kind']}"
    return DeniedError(what, code, needed)


def cause(what: str, error: EventError) -> DeniedError | None:
    """Return the same for a call that the functions' code made."""
    return denied(what, error.__cause__) if isinstance(error.__cause__, ClientError) else None
