"""What MiniStack 1.5.33 gets wrong for this project, one module per fix.

A fix's module is imported when the fix is applied, so that listing the fixes imports no MiniStack.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Final

from ops.emulator import EmulatorError


@dataclass(frozen=True)
class Fix:
    """One fix: the module of this package whose `apply()` installs it, and why it is needed."""

    name: str
    reason: str

    def apply(self) -> None:
        """Replace the functions that are wrong.

        Raises
        ------
        EmulatorError
            One of them doesn't exist in the installed MiniStack.
        """
        importlib.import_module(f"{__name__}.{self.name.replace('-', '_')}").apply()


# In this order: a fix wraps what those before it put in place.
FIXES: Final = (
    Fix("rule-arns", "tags of rules on a bus whose name has slashes are not found"),
    Fix("partner-events", "PutPartnerEvents drops the event, and partner event sources have no state"),
    Fix("bounded-lambda", "each event for a function starts its own thread and worker process, once"),
    Fix("queue-index", "each receive and each change of a visibility looks at all messages of a queue"),
    Fix("queues", "queues lose messages between threads, and EventBridge's are not deduplicated"),
    Fix(
        "target-dlq",
        "an event that can't be delivered to a target is dropped, even if the target has a dead-letter queue",
    ),
    Fix("workers", "functions see the emulator's packages and environment, and not AWS's runtime client"),
    Fix("metrics", "no metrics of rules, queues, async functions and logs; alarms ignore dimensions"),
    Fix("replays", "a replay reaches every rule, whatever its FilterArns"),
    Fix("function-dlq", "a function's dead-letter queue gets the destination's record, which lacks members"),
    Fix("alarms", "alarms written over the query protocol, which Terraform speaks, read back incomplete"),
    Fix("logs", "FilterLogEvents cuts a long answer off, and ignores JSON filter patterns"),
    Fix("cloud-control", "an archive or a queue made with Cloud Control does not work as one"),
    Fix("sizes", "entries, messages, payloads, responses and batches have no size limit"),
    Fix(
        "in-flight", "queues limit neither messages in flight nor the times, names and attributes of messages"
    ),
    Fix("limits", "requests beyond a limit of their API are accepted, and names of deleted secrets are free"),
    Fix("concurrency", "reserved concurrency has no quota, and Service Quotas is missing"),
    Fix("expiry", "DynamoDB deletes an item in the minute in which it expires"),
    Fix("schedules", "a schedule is treated as a rule, fails because it has no bus, and loses its input"),
    Fix("saved-queries", "CloudWatch Logs Insights queries can't be saved"),
    Fix("insights", "CloudWatch Logs Insights ignores most commands and the fields of JSON lines"),
    Fix("log-keys", "the key of an existing log group can't be changed"),
    Fix("policy-evaluation", "ARNs, lists and principals in the conditions of policies are compared as text"),
    Fix("permissions", "calls lack condition keys, some name another action, and none asks for its key"),
    Fix(
        "function-roles",
        "Lambda reads queues, sends to destinations and writes logs without a role",
    ),
    Fix("service-permissions", "services deliver to each other without a permission"),
)


def selected(without: list[str]) -> tuple[Fix, ...]:
    """Return all fixes except those named.

    Raises
    ------
    EmulatorError
        No fix has one of the names.
    """
    unknown = sorted(set(without) - {fix.name for fix in FIXES})
    if unknown:
        known = ", ".join(fix.name for fix in FIXES)
        raise EmulatorError(f"unknown fix {', '.join(unknown)}: expected {known}")
    return tuple(fix for fix in FIXES if fix.name not in without)
