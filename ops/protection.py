"""What a plan would lose, and which events it may leave behind: read in Terraform's JSON form of the plan.

`prevent_destroy` fails at plan where a resource is still in the configuration. Terraform does not ask it
once the resource is out of there (a key that was turned off, a resource that became another one), and it
does not know what AWS itself refuses half-way through a destroy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from infra.names import BOOTSTRAP
from ops.errors import OperatorError

# What holds events, or what they can't be read without.
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
# What made the queues in earlier releases.
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
    """Say what Terraform kept a plan from."""
    if stack == BOOTSTRAP:
        return OperatorError(
            f"the plan would destroy {_list(addresses)}, where every environment's Terraform state lies: "
            "restore state_bucket in environments/bootstrap.toml"
        )
    return _refusal(addresses, environment)


def refuse_losses(plan: Plan, environment: str, *, protected: bool) -> None:
    """Refuse a deploy that would delete what holds events, where prevent_destroy does not.

    Raises
    ------
    OperatorError
        With deletion_protection it would; or, with or without, it would delete an archive, or make queues
        anew that an earlier release made, which fails half-way because they exist.
    """
    former = [change["address"] for change in _with_action(plan, "forget") if change["type"] == FORMER_QUEUE]
    if former:
        raise OperatorError(
            f"{_list(former)} were made by an earlier release, and events may wait in them: run "
            f"`huntaze-stripe adopt --env {environment}` first, which takes them over"
        )
    deleted = {change["address"] for change in _deleted(plan) if change["type"] in HOLDING} - EXPENDABLE
    if protected and deleted:
        raise _refusal(sorted(deleted), environment)
    if ARCHIVE in deleted:
        raise OperatorError(
            f'the plan would delete {ARCHIVE} with the events in it: {DOCUMENT}, "A new event source", '
            f"tells how to keep it; `huntaze-stripe destroy --env {environment}` deletes it on purpose"
        )


def refuse_half_a_destroy(plan: Plan, environment: str) -> None:
    """Refuse a destroy that AWS would stop half-way.

    Raises
    ------
    OperatorError
        The table or the ledger was deployed with deletion_protection, which is off in the settings now.
    """
    before = [(change["address"], change["change"]["before"] or {}) for change in _deleted(plan)]
    guarded = [
        address
        for address, was in before
        if was.get("deletion_protection_enabled") or (was.get("bucket") and was.get("force_destroy") is False)
    ]
    if guarded:
        raise OperatorError(
            f"{_list(guarded)} would stop the destroy half-way, as they were deployed with "
            f"deletion_protection = true: deploy {environment} with false first, then destroy"
        )


def reroutes(plan: Plan) -> bool:
    """Tell whether bus, rules or targets come, go or match other events while the plan is applied.

    They change one after the other: an event of these seconds may match no rule.
    """
    return any(
        change["type"] in (BUS, RULE, TARGET) and _changes_the_way(change)
        for change in plan.get("resource_changes", ())
    )


def _changes_the_way(resource: Mapping[str, Any]) -> bool:
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
        f'{_list(addresses)}: {DOCUMENT}, "What deletion_protection keeps", tells how to go on; nothing was '
        "changed"
    )


def _list(addresses: Sequence[str]) -> str:
    more = len(addresses) - NAMED
    return ", ".join(addresses[:NAMED]) + (f" and {more} more" if more > 0 else "")
