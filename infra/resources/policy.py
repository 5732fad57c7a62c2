"""IAM policies as values, rendered once as compact JSON with sorted keys.

The provider compares policies as JSON, and SQS returns them re-ordered: a fixed rendering
keeps plans free of changes that are none.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

# SQS never finishes applying a policy of another version, so it stands in no caller's hands.
_VERSION = "2012-10-17"

Condition = Mapping[str, Mapping[str, str | Sequence[str]]]


@dataclass(frozen=True)
class Statement:
    """One statement; `principal` is left out in policies of a role."""

    sid: str
    actions: Sequence[str]
    resources: Sequence[str]
    principal: str | Mapping[str, str | Sequence[str]] | None = None
    condition: Condition = field(default_factory=dict)
    effect: Literal["Allow", "Deny"] = "Allow"

    def render(self) -> dict[str, Any]:
        rendered: dict[str, Any] = {
            "Sid": self.sid,
            "Effect": self.effect,
            "Action": sorted(self.actions),
            "Resource": sorted(self.resources),
        }
        if self.principal is not None:
            rendered["Principal"] = self.principal
        if self.condition:
            rendered["Condition"] = {
                operator: {
                    key: value if isinstance(value, str) else sorted(value) for key, value in keys.items()
                }
                for operator, keys in self.condition.items()
            }
        return rendered


def document(*statements: Statement) -> str:
    """Render a policy."""
    return compact({"Version": _VERSION, "Statement": [statement.render() for statement in statements]})


def compact(value: Any) -> str:
    """Render JSON without spaces and with sorted keys: the same text for the same value."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


def deny_plain_text(service: str, *resources: str, action: str = "*") -> Statement:
    """Refuse every request to the resources that does not come over TLS.

    A topic's policy takes no other action than Publish here, the one that others may do.
    """
    return Statement(
        sid="DenyPlainText",
        effect="Deny",
        principal="*",
        actions=[f"{service}:{action}"],
        resources=resources,
        condition={"Bool": {"aws:SecureTransport": "false"}},
    )


def trust(service: str, *, for_account: str) -> str:
    """The trust policy of a role that one AWS service assumes, for resources of one account only."""
    condition = {"StringEquals": {"aws:SourceAccount": for_account}}
    rendered = Statement("AllowService", ["sts:AssumeRole"], [], {"Service": service}, condition).render()
    del rendered["Resource"]
    return compact({"Version": _VERSION, "Statement": [rendered]})
