"""The partner event source, the bus, its archive and its rules."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from functions.shared import names
from infra.names import archive_name
from ops.destination import event_source as sources
from ops.doctor.check import Finding, failed, passed, warned, worst
from ops.doctor.context import Context
from ops.doctor.expected import ExpectedRule
from ops.environment import UNNAMED_BUS, if_exists
from ops.switches import DISABLED, TAG

URGENT_DAYS: Final = 2
# No archive takes replayed events, whatever its pattern (EventBridge API reference, "CreateArchive").
EVERYTHING: Final[tuple[Mapping[str, Any], ...]] = ({}, {"replay-name": [{"exists": False}]})


def source(context: Context) -> Finding:
    """Check whether the partner event source is associated with the bus, or how long it waits for that."""
    environment = context.environment
    if environment.bus == UNNAMED_BUS:
        return failed(
            "stripe_event_source_name is not set",
            context.command("destination create"),
        )
    found = if_exists(context.client("events").describe_event_source, Name=environment.bus)
    if found is None:
        return failed(
            f"AWS has no event source {environment.bus}",
            context.command("destination status"),
        )
    if found["State"] == sources.ACTIVE:
        return passed("active")
    if found["State"] != sources.PENDING:
        return failed(
            f"{str(found['State']).lower()}: Stripe deleted it",
            context.command("destination create"),
        )
    deploy = context.deploy
    if "ExpirationTime" not in found:
        return warned("pending: no bus is associated with it", deploy)
    days = sources.days_left(found["ExpirationTime"], context.now)
    text = (
        f"pending: Amazon deletes it in {max(days, 0):.1f} of {sources.DAYS_TO_ASSOCIATE} days; what "
        "Stripe sends until the deploy is lost"
    )
    return (failed if days < URGENT_DAYS else warned)(text, deploy)


def bus(context: Context) -> Finding:
    """Check whether the bus exists, encrypts as the settings say, and has its dead-letter queue."""
    environment = context.environment
    found = if_exists(context.client("events").describe_event_bus, Name=environment.bus)
    deploy = context.deploy
    if found is None:
        return failed("it does not exist: each event is lost", deploy)
    with_key = environment.settings.create_kms_key
    problems = []
    if bool(found.get("KmsKeyIdentifier")) is not with_key:
        problems.append(failed(f"create_kms_key = {str(with_key).lower()}, but the bus differs", deploy))
    if with_key and not found.get("DeadLetterConfig", {}).get("Arn"):
        problems.append(failed("it has no dead-letter queue: an event that it can't encrypt is lost", deploy))
    return worst(problems, "exists" + (", encrypted with the key" if with_key else ""))


def archive(context: Context) -> Finding:
    """Check whether the archive keeps every event for the days of the settings."""
    environment = context.environment
    name = archive_name(environment.name, environment.bus)
    deploy = context.deploy
    found = if_exists(context.client("events").describe_archive, ArchiveName=name)
    if found is None:
        return failed(f"{name} does not exist: no event can be replayed", deploy)
    days, wanted = found.get("RetentionDays", 0), environment.settings.archive_retention_days
    problems = []
    if found["State"] != "ENABLED":
        problems.append(failed(f"{str(found['State']).lower()}: it keeps no new event", deploy))
    # 0 keeps them for ever.
    if days and days < wanted:
        problems.append(failed(f"keeps events for {days} days, archive_retention_days = {wanted}", deploy))
    elif days != wanted:
        problems.append(warned(f"keeps events for {days} days, archive_retention_days = {wanted}", deploy))
    if json.loads(found.get("EventPattern") or "{}") not in EVERYTHING:
        problems.append(failed("its pattern leaves out events", deploy))
    return worst(problems, f"enabled, {days} days, {found.get('EventCount', 0)} events")


def rules(context: Context) -> Finding:
    """Check whether each rule exists, is enabled, and matches the types of this checkout."""
    return worst(_rules(context), f"{len(context.rules())} rules, enabled, as routed")


def _rules(context: Context) -> Iterator[Finding]:
    environment = context.environment
    deploy = context.deploy
    for rule in context.rules():
        found = if_exists(
            context.client("events").describe_rule, Name=rule.name, EventBusName=environment.bus
        )
        if found is None:
            yield failed(f"{rule.name} does not exist", deploy)
            continue
        if found["State"] == DISABLED:
            yield _disabled(context, rule)
        for text in _differences(found.get("EventPattern"), rule):
            yield failed(text, deploy)


def _disabled(context: Context, rule: ExpectedRule) -> Finding:
    """Return that `pause` disabled the rule, or somebody else."""
    tags = context.client("events").list_tags_for_resource(ResourceARN=rule.arn)["Tags"]
    since = next((tag["Value"] for tag in tags if tag["Key"] == TAG), None)
    part = next(
        (handler for handler in names.HANDLERS if rule.name == context.environment.resource(handler)), ""
    )
    if since is not None:
        return warned(f"{rule.name} is paused since {since}", context.command(f"resume {part}"))
    days, enable = names.STRIPE_LIST_DAYS, context.deploy
    if part:
        enable = context.command(f"resume {part}")
        step = f"{enable} && {context.command(f'reconcile --since {days}d --heal')}"
    elif rule.group:
        step = f"{enable} && {context.command(f'reconcile --since {days}d --all-types --heal')}"
    else:
        # Only the log lacks events.
        step = enable
    return failed(f"{rule.name} is disabled, and nobody noted since when", step)


def _differences(text: str | None, rule: ExpectedRule) -> Iterator[str]:
    """Yield the types that a pattern matches too much or too little, or that it differs otherwise."""
    deployed, wanted = json.loads(text or "{}"), json.loads(rule.pattern)
    if _sorted(deployed) == _sorted(wanted):
        return
    has, needs = _types(deployed), _types(wanted)
    if missing := sorted(needs - has):
        yield f"{rule.name} lacks {', '.join(missing)}"
    if more := sorted(has - needs):
        yield f"{rule.name} has {', '.join(more)} too"
    if has == needs:
        yield f"{rule.name} has another pattern"


def _types(pattern: Mapping[str, Any]) -> set[str]:
    """Return the names in a pattern's types; a list of `anything-but` counts with a minus sign."""
    found = pattern.get("detail-type", [])
    plain = {each for each in found if isinstance(each, str)}
    others = (each.get("anything-but") for each in found if isinstance(each, dict))
    return plain | {f"-{name}" for types in others if isinstance(types, list) for name in types}


def _sorted(pattern: Any) -> Any:
    """Return a pattern with its lists in one order, in which EventBridge sees no difference."""
    if isinstance(pattern, dict):
        return {name: _sorted(value) for name, value in pattern.items()}
    if isinstance(pattern, list):
        return sorted((_sorted(each) for each in pattern), key=json.dumps)
    return pattern
