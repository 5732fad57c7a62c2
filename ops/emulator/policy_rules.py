"""IAM refuses policies beyond its quotas, in which white space does not count.

Source: IAM user guide, "IAM and AWS STS quotas".
"""

from __future__ import annotations

from typing import Any, Final

from ministack.services import iam

from ops.emulator import limits
from ops.emulator.limits import Limit
from ops.emulator.refusal import Refusal

Data = dict[str, Any]
CONFLICT: Final = 409


def inline_policies(data: Data) -> Refusal | None:
    """Check the inline policies of a role: together they have one quota."""
    name = data.get("RoleName", "")
    held = (iam._roles.get(name) or {}).get("InlinePolicies", {})
    documents = {**held, data.get("PolicyName"): data.get("PolicyDocument")}
    most = limits.INLINE_POLICIES.value
    if sum(map(size, documents.values())) > most:
        message = f"Maximum policy size of {most} bytes exceeded for role {name}"
        return Refusal(limits.IAM_LIMIT, message, CONFLICT)
    return None


def managed_policy(data: Data) -> Refusal | None:
    """Check a managed policy or its version."""
    return _quota("PolicySize", limits.MANAGED_POLICY, size(data.get("PolicyDocument")))


def trust_policy(data: Data) -> Refusal | None:
    """Check the trust policy of a role."""
    document = data.get("AssumeRolePolicyDocument") or data.get("PolicyDocument")
    return _quota("ACLSizePerRole", limits.TRUST_POLICY, size(document))


def attached_policies(data: Data) -> Refusal | None:
    """Check how many managed policies a role has."""
    held = (iam._roles.get(data.get("RoleName")) or {}).get("AttachedPolicies", [])
    return _quota("PoliciesPerRole", limits.ATTACHED_POLICIES, len({*held, data.get("PolicyArn")}))


def size(document: Any) -> int:
    """Return the size of a policy in characters, as IAM counts it."""
    return len("".join(str(document or "").split()))


def _quota(name: str, limit: Limit, number: int) -> Refusal | None:
    if number > limit.value:
        message = f"Cannot exceed quota for {name}: {limit.value}"
        return Refusal(limits.IAM_LIMIT, message, CONFLICT)
    return None
