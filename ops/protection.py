"""What a plan would lose, and which events may match no rule, by Terraform's JSON form of the plan.

`prevent_destroy` protects a resource only while it is in the configuration, not one that was removed from it
(a key that was turned off, a resource that became another one). And Terraform does not know what AWS itself
refuses half-way through a destroy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from infra.names import BOOTSTRAP
from ops.errors import OperatorError

# Resources that hold events, or without which events can't be read.
HOLDING: Final = frozenset(
    {
        "aws_cloudcontrolapi_resource",
        "aws_cloudwatch_event_archive",
        "aws_cloudwatch_event_bus",
        "aws_dynamodb_table",
        "aws_kms_key",
        "aws_s3_bucket",
        "aws_secretsmanager_secret",
        "aws_sqs_queue",
    }
)
# The type of the queues in earlier releases.
FORMER_QUEUE: Final = "aws_sqs_queue"
# The queue of a log that is a convenience.
EXPENDABLE: Final = frozenset({"aws_cloudcontrolapi_resource.log_dlq", "aws_sqs_queue.log_dlq"})
ARCHIVE: Final = "aws_cloudcontrolapi_resource.events_archive"
BUS: Final = "aws_cloudwatch_event_bus"
RULE: Final = "aws_cloudwatch_event_rule"
TARGET: Final = "aws_cloudwatch_event_target"
DOCUMENT: Final = "docs/operations.md"
NAMED: Final = 3

Plan = Mapping[str, Any]


def kept(addresses: Sequence[str], stack: str, environment: str) -> OperatorError:
    """Return the error for resources that `prevent_destroy` protects."""
    if stack == BOOTSTRAP:
        return OperatorError(
            f"the plan would destroy {_list(addresses)}, which holds the Terraform state of every "
            "environment: restore state_bucket in environments/bootstrap.toml"
        )
    return _refusal(addresses, environment)


def refuse_losses(plan: Plan, environment: str, *, protected: bool) -> None:
    """Refuse a deploy that would delete resources with events that `prevent_destroy` does not protect.

    Raises
    ------
    OperatorError
        It would, and `protected`; or, protected or not, it would delete the archive, or create queues of an
        earlier release again, which fails half-way because they exist.
    """
    former = [change["address"] for change in _with_action(plan, "forget") if change["type"] == FORMER_QUEUE]
    if former:
        raise OperatorError(
            f"an earlier release created {_list(former)}, and events may wait there: run "
            f"`huntaze-stripe adopt --env {environment}` first, which imports them"
        )
    deleted = {change["address"] for change in _deleted(plan) if change["type"] in HOLDING} - EXPENDABLE
    if protected and deleted:
        raise _refusal(sorted(deleted), environment)
    if ARCHIVE in deleted:
        raise OperatorError(
            f"the plan would delete {ARCHIVE} with its events: to keep it, see {DOCUMENT}, "
            f'"A new event source"; to delete it, run `huntaze-stripe destroy --env {environment}`'
        )


def refuse_half_a_destroy(plan: Plan, environment: str) -> None:
    """Refuse a destroy that AWS would stop half-way.

    Raises
    ------
    OperatorError
        The table or the ledger was deployed with deletion_protection, which is now off in the settings.
    """
    before = [(change["address"], change["change"]["before"] or {}) for change in _deleted(plan)]
    guarded = [
        address
        for address, was in before
        if was.get("deletion_protection_enabled") or (was.get("bucket") and was.get("force_destroy") is False)
    ]
    if guarded:
        raise OperatorError(
            f"{_list(guarded)} would stop the destroy half-way, because deletion_protection was true at the "
            f"last deploy: deploy {environment} with false first, then destroy"
        )


def reroutes(plan: Plan) -> bool:
    """Return whether the plan creates, deletes or changes the bus, rules or targets.

    They change one after the other: an event of these seconds may match no rule.
    """
    return any(
        change["type"] in (BUS, RULE, TARGET) and _changes_routing(change)
        for change in plan.get("resource_changes", ())
    )


def _changes_routing(resource: Mapping[str, Any]) -> bool:
    change = resource["change"]
    if {"create", "delete"} & set(change["actions"]):
        return True
    pattern = [(change[side] or {}).get("event_pattern") for side in ("before", "after")]
    return "update" in change["actions"] and (resource["type"] == TARGET or pattern[0] != pattern[1])


def _deleted(plan: Plan) -> Iterator[Mapping[str, Any]]:
    return _with_action(plan, "delete")


def _with_action(plan: Plan, action: str) -> Iterator[Mapping[str, Any]]:
    return (change for change in plan.get("resource_changes", ()) if action in change["change"]["actions"])


def _refusal(addresses: Sequence[str], environment: str) -> OperatorError:
    return OperatorError(
        f"deletion_protection = true refuses this plan of {environment}, which would delete "
        f'{_list(addresses)}: see {DOCUMENT}, "What deletion_protection keeps"; nothing was changed'
    )


def _list(addresses: Sequence[str]) -> str:
    more = len(addresses) - NAMED
    return ", ".join(addresses[:NAMED]) + (f" and {more} more" if more > 0 else "")
