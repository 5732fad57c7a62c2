"""Rules about what is kept: data that a plan deletes, and how long data is kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ops import secret_changes
from ops.console import plural
from ops.plan_report.attributes import ABSENT
from ops.plan_report.changes import ChangeKind
from ops.plan_report.findings import Hit
from ops.plan_report.plan import Plan, Resource, numbers
from ops.plan_report.text import code, value

ARCHIVE: Final = "AWS::Events::Archive"
QUEUE: Final = "AWS::SQS::Queue"
BUCKET: Final = "aws_s3_bucket"
TABLE: Final = "aws_dynamodb_table"
KEY: Final = "aws_kms_key"
LOGS: Final = "aws_cloudwatch_log_group"
LIFECYCLE: Final = "aws_s3_bucket_lifecycle_configuration"
VERSIONING: Final = "aws_s3_bucket_versioning"
OBJECT_LOCK: Final = "aws_s3_bucket_object_lock_configuration"
FUNCTION: Final = "aws_lambda_function"
EXPIRY: Final = ("environment", 0, "variables", "IDEMPOTENCY_EXPIRY_SECONDS")
DAY_SECONDS: Final = 86_400
# What is lost with a resource.
HELD: Final = {
    ARCHIVE: "the events that a replay could send again",
    "aws_cloudwatch_event_archive": "the events that a replay could send again",
    QUEUE: "the messages that wait in it: events without another copy beside the archive",
    "aws_sqs_queue": "the messages that wait in it: events without another copy beside the archive",
    BUCKET: "the ledger: the record of every event",
    TABLE: "the record of what was applied: a repeated event is applied again, and a payment counts twice",
    secret_changes.RESOURCE: "the value, without which no event is applied",
    KEY: "everything that the key encrypted, for ever",
    LOGS: "the logs, which explain what happened to an event",
}
ARCHIVED: Final = "a replay can't bring back what is older"
WAITING: Final = "SQS deletes messages that wait for longer, also those that are older at the apply"
# Where a resource says how long it keeps something, in which unit, and what is lost.
KEEPING: Final = (
    (ARCHIVE, ("RetentionDays",), "days", ARCHIVED),
    ("aws_cloudwatch_event_archive", ("retention_days",), "days", ARCHIVED),
    (QUEUE, ("MessageRetentionPeriod",), "seconds", WAITING),
    ("aws_sqs_queue", ("message_retention_seconds",), "seconds", WAITING),
    (
        LOGS,
        ("retention_in_days",),
        "days",
        "CloudWatch deletes older logs, which explain what happened to an event",
    ),
    (
        secret_changes.RESOURCE,
        ("recovery_window_in_days",),
        "days",
        "a deleted secret can be restored for less time, with 0 never",
    ),
    (KEY, ("deletion_window_in_days",), "days", "a deleted key can be restored for less time"),
)
# These keep for ever where the number is 0 or not set.
FOR_EVER: Final = frozenset({ARCHIVE, "aws_cloudwatch_event_archive", LOGS})


@dataclass(frozen=True)
class Period:
    """How long something is kept; None is for ever."""

    name: str
    number: int | None


def data_lost(plan: Plan) -> Iterator[Hit]:
    """Something that holds data is destroyed or replaced."""
    for resource in plan.changing(*HELD):
        if resource.is_lost:
            replaced = resource.change is ChangeKind.REPLACE
            yield Hit(
                resource.address,
                f"it is {'replaced by an empty one' if replaced else 'destroyed'}",
                f"it takes with it {HELD[resource.type]}",
                _how_to_keep(resource, replaced=replaced),
            )


def retention_reduced(plan: Plan) -> Iterator[Hit]:
    """Something is kept for a shorter time."""
    for type_, path, unit, why in KEEPING:
        for resource in plan.changing(type_):
            periods = [_period(each, type_) for each in resource.sides(*path)]
            if resource.change is ChangeKind.UPDATE and None not in periods:
                before, after = (each for each in periods if each)
                if _is_shorter(before, after):
                    what = f"{code(path[-1])}: {_time(after, unit)}, was {_time(before, unit)}"
                    yield Hit(resource.address, what, why, "copy what must stay before the apply")
    yield from _expirations(plan)
    yield from _switched_off(plan)


def archive_narrowed(plan: Plan) -> Iterator[Hit]:
    """The archive gets a pattern, or another one."""
    for archive in plan.changing(ARCHIVE):
        before, after = archive.sides("EventPattern")
        if archive.change is ChangeKind.UPDATE and after is not ABSENT and archive.differs("EventPattern"):
            yield Hit(
                archive.address,
                f"it keeps only what matches {value(after)}; before: {value(before)}",
                "a replay can't bring back other events",
                "keep every event: remove the pattern",
            )


def archive_raised(plan: Plan) -> Iterator[Hit]:
    """The archive keeps events for longer than the handlers remember the older ones."""
    for archive in plan.changing(ARCHIVE):
        days = numbers(archive.sides("RetentionDays"))
        if days and days[1] > days[0]:
            yield Hit(
                archive.address,
                f"the archive keeps events {days[1]} days, was {days[0]}",
                "handlers remember an event by the number of its time: a replay applies older ones from "
                "before the apply again",
                f"replay no event from before the apply after {days[0]} days",
            )


def object_lock_touched(plan: Plan) -> Iterator[Hit]:
    """The object lock of a bucket is created, changed or removed."""
    for lock in plan.changing(OBJECT_LOCK):
        retention = ("rule", 0, "default_retention", 0)
        before, after = (
            f"{value(side(*retention, 'mode'))} for {value(side(*retention, 'days'))} days"
            for side in (lock.was, lock.will_be)
        )
        if lock.change is ChangeKind.CREATE:
            yield Hit(
                lock.address,
                f"irreversible: new objects are locked, {after}",
                "in COMPLIANCE mode nobody, AWS included, can delete them earlier, personal data included; "
                "the storage is paid until then, and S3 never turns the lock of a bucket off",
                "let somebody confirm the number of days",
            )
        else:
            word = "removed" if lock.change is ChangeKind.DESTROY else f"{after} in place of {before}"
            yield Hit(
                lock.address,
                f"the lock of new objects: {word}",
                "new records of the ledger can be deleted earlier, or never again before the new time",
                "let somebody confirm it: what is locked already stays so",
            )


def expiry_too_short(plan: Plan) -> Iterator[Hit]:
    """A handler forgets an event that the archive still has."""
    days = [each.will_be("RetentionDays") for each in plan.of_type(ARCHIVE) if each.after is not ABSENT]
    longest = max((each for each in days if isinstance(each, int)), default=0)
    for function in plan.of_type(FUNCTION):
        expiry = function.will_be(*EXPIRY)
        seconds = int(expiry) if isinstance(expiry, str) and expiry.isdecimal() else None
        changes = function.change or any(each.change for each in plan.of_type(ARCHIVE))
        if changes and seconds is not None and seconds < longest * DAY_SECONDS:
            yield Hit(
                function.address,
                f"it remembers an event for {seconds / DAY_SECONDS:g} days, the archive keeps it {longest}",
                "a replay of older events applies them a second time",
                "keep IDEMPOTENCY_EXPIRY_SECONDS above the retention of the archive",
            )


def _period(side: object, type_: str) -> Period | None:
    """Return how long a side keeps; None if that is unknown."""
    if side is ABSENT or (side == 0 and side is not False):
        return Period("for ever", None) if type_ in FOR_EVER else (Period("0", 0) if side == 0 else None)
    return Period(str(side), side) if isinstance(side, int) else None


def _is_shorter(before: Period, after: Period) -> bool:
    if after.number is None:
        return False
    return before.number is None or after.number < before.number


def _time(period: Period, unit: str) -> str:
    return period.name if period.number is None else plural(period.number, unit.rstrip("s"))


def _expirations(plan: Plan) -> Iterator[Hit]:
    """Yield rules of a bucket that delete objects earlier."""
    for lifecycle in plan.changing(LIFECYCLE):
        if lifecycle.change not in (ChangeKind.UPDATE, ChangeKind.CREATE):
            continue
        before, after = _deleting(lifecycle, before=True), _deleting(lifecycle, before=False)
        for key, days in after.items():
            former = before.get(key)
            if former is None or days < former:
                yield Hit(
                    lifecycle.address,
                    f"rule {code(key[0])} deletes {key[1]} after {days} days, was "
                    f"{f'{former} days' if former is not None else 'never'}",
                    "the ledger forgets older events, also those that it holds now",
                    "copy what must stay before the apply",
                )


def _deleting(lifecycle: Resource, *, before: bool) -> dict[tuple[str, str], int]:
    """Return the days after which each rule deletes objects, and older versions of them."""
    rules = lifecycle.was("rule") if before else lifecycle.will_be("rule")
    found: dict[tuple[str, str], int] = {}
    for rule in rules if isinstance(rules, list) else ():
        for what, block, name in (
            ("objects", "expiration", "days"),
            ("older versions", "noncurrent_version_expiration", "noncurrent_days"),
        ):
            for each in rule.get(block) or () if rule.get("status") == "Enabled" else ():
                days = each.get(name)
                if isinstance(days, int) and days > 0:
                    found[str(rule.get("id")), what] = days
    return found


def _switched_off(plan: Plan) -> Iterator[Hit]:
    for table in plan.changing(TABLE):
        if table.will_be("point_in_time_recovery", 0, "enabled") is False and table.was(
            "point_in_time_recovery", 0, "enabled"
        ):
            yield Hit(
                table.address,
                "point-in-time recovery is turned off",
                "what was applied can't be restored after a mistake, and a payment could count twice",
                "keep it on",
            )
    for bucket in plan.changing(VERSIONING):
        status = bucket.will_be("versioning_configuration", 0, "status")
        lost = bucket.change is ChangeKind.DESTROY or (isinstance(status, str) and status != "Enabled")
        if plan.goes_with_owner(bucket):
            continue
        if lost and bucket.was("versioning_configuration", 0, "status") == "Enabled":
            yield Hit(
                bucket.address,
                "versioning is turned off",
                "an overwritten or deleted record of the ledger can't be restored",
                "keep it on",
            )


def _how_to_keep(resource: Resource, *, replaced: bool) -> str:
    if resource.type == LOGS:
        return "export the logs first, or keep the name"
    if not replaced:
        return 'if it must go, empty it first; docs/operations.md, "What deletion_protection keeps"'
    return "keep the argument that forces the replacement, or move the data first"
