"""Rules on a bus whose name has slashes can be tagged.

The resource of such an ARN is `rule/<bus name>/<rule name>`, and only the bus name can have slashes.
MiniStack splits it at every slash, and Terraform reads the tags of every rule.
"""

from __future__ import annotations

from typing import Any

from ministack.services import eventbridge

from ops.emulator.patching import original, replace


def apply() -> None:
    """Find a rule by its own ARN."""
    resolve = original(eventbridge, "_resolve_taggable_events_arn")
    rules = original(eventbridge, "_rules")

    def resolve_taggable_events_arn(arn: str) -> Any:
        if any(rule["Arn"] == arn for rule in rules.values()):
            return arn, None
        return resolve(arn)

    replace(eventbridge, "_resolve_taggable_events_arn", resolve_taggable_events_arn)
