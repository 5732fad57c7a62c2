"""The section "Operator commands" of docs/permissions.md: the rights of each command, from `ops.rights`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from infra.policy import Statement
from ops.rights import KEY_STATEMENTS, WHY, Place, of_commands

TITLE: Final = "## Operator commands"
# Actions that no call of a command in the end-to-end tests needs, and why they stay.
NOT_EXERCISED: Final[Mapping[tuple[str, str], str]] = {
    ("CheckLocksOfObjects", "s3:GetObjectLegalHold"): "asked of a bucket that can lock objects only; "
    "`tests/ops/test_customer.py` has one",
    ("CheckLocksOfObjects", "s3:GetObjectRetention"): "asked of a bucket that can lock objects only; "
    "`tests/ops/test_customer.py` has one",
    ("RewriteLedger", "s3:GetObject"): "Amazon S3 asks for it with If-Match "
    '("How to prevent object overwrites with conditional writes"), the embedded S3 does not',
}
_INTRODUCTION: Final = (
    TITLE,
    "",
    "What each command asks of AWS with your credentials. A role with the statements of a command may run it",
    "and do nothing else: the end-to-end tests run each command under such a role, and find a call that is",
    "refused without each action.",
    "",
    "- With an option, the statements of the row with it are enough. `--dry-run` needs no more.",
    "- `dlq redrive --queue` of a handler's queue needs neither `SendToAudit` nor the key, and of an audit's",
    "  queue not `InvokeHandlers`.",
    "- Terraform, which `plan`, `deploy`, `destroy`, `adopt` and `bootstrap` run, has rights of its own:",
    "  [deployment-roles.md](deployment-roles.md). Without one of those here, `plan` and `deploy` warn of",
    "  what they did not check.",
    "- PostgreSQL: `replay start`, `reconcile` and `customer export` need `SELECT` on `stripe_event_ledger`,",
    "  `customer erase` also `UPDATE`.",
)


def section(environment: str) -> Iterator[str]:
    """Yield the lines."""
    place = Place(environment, "ACCOUNT", "REGION", "BUS", "the key")
    commands = of_commands(place)
    yield from (*_INTRODUCTION, "", *_table("Command", "Statements"))
    for command, statements in commands.items():
        yield _row(f"`{command}`", ", ".join(f"`{each.sid}`" for each in statements))
    yield from ("", *_table("Statement", "Actions", "On", "If", "Why"))
    named = {each.sid: each for statements in commands.values() for each in statements}
    for sid, statement in sorted(named.items()):
        yield _row(f"`{sid}`", *_cells(place, statement))
    queues = [f"`{_name(arn)}`" for arn in place.dead_letter_queues]
    yield from ("", f"The dead-letter queues are {', '.join(queues)}.")


def _cells(place: Place, statement: Statement) -> Iterator[str]:
    yield _code(sorted(statement.actions))
    yield "<br>".join(_resources(place, statement))
    conditions = [
        f"`{operator} {key} {_name(str(value))}`"
        for operator, keys in statement.condition.items()
        for key, value in keys.items()
    ]
    yield "`create_kms_key`" if statement.sid in KEY_STATEMENTS else "<br>".join(conditions)
    yield WHY[statement.sid]


def _resources(place: Place, statement: Statement) -> Iterator[str]:
    all_queues = set(place.dead_letter_queues)
    every = all_queues <= set(statement.resources)
    yield from (_code([_name(arn)]) for arn in statement.resources if not (every and arn in all_queues))
    if every:
        yield "the dead-letter queues"


def _name(arn: str) -> str:
    """Return an ARN without partition, service, region and account."""
    return arn.split(":", 5)[5] if arn.startswith("arn:") else arn


def _code(values: Sequence[str]) -> str:
    return "<br>".join(f"`{value}`" for value in values)


def _table(*names: str) -> Iterator[str]:
    yield _row(*names)
    yield f"|{'---|' * len(names)}"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |".replace("|  |", "| |")
