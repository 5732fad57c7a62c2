"""Checks before an apply: the quota, the event source and the network, without which it would fail half-way,
and whether the recipients of the alarms have confirmed.

Each check needs permissions of its own. Without them the apply continues unchecked, and says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from infra.settings import Settings
from ops import environment as environments
from ops import network
from ops.console import styled
from ops.environment import Environment, if_exists
from ops.errors import OperatorError

if TYPE_CHECKING:
    from rich.console import Console

    from ops.deploy import SavedPlan

# Lambda API reference, PutFunctionConcurrency: this many executions of an account stay unreserved.
UNRESERVED: Final = 100
# What Amazon SNS shows in place of the ARN of an unconfirmed subscription.
UNCONFIRMED: Final = "PendingConfirmation"
# A function's table of settings, and its name in AWS.
FUNCTIONS: Final[Mapping[str, str]] = {
    "payments": "payments",
    "billing": "billing",
    "audit": "audit",
    "redrive": "redrive",
    "reconciliation": "reconcile",
    "compaction": "compact",
}


@dataclass(frozen=True)
class Finding:
    """One line for the operator; `fatal` if the apply would fail."""

    text: str
    fatal: bool = False


def check(name: str, planned: SavedPlan, console: Console, *, applying: bool) -> None:
    """Check whether an environment's plan can be applied, and print warnings.

    Raises
    ------
    OperatorError
        It can't, and `applying`.
    """
    if planned.summary.changes == 0:
        return
    found = list(findings(environments.connect(name), makes_bus=planned.makes_bus))
    for finding in found:
        if finding.fatal and applying:
            raise OperatorError(finding.text)
        console.print(styled(f"warning: {finding.text}", "yellow"), soft_wrap=True)


def findings(environment: Environment, *, makes_bus: bool) -> Iterator[Finding]:
    """Return what speaks against an apply.

    Parameters
    ----------
    makes_bus
        Whether the apply creates the bus.
    """
    checks = {
        "the Lambda quota": concurrency(environment),
        "Stripe's event source": _event_source(environment, makes_bus=makes_bus),
        "the audit function's network": _network(environment),
        "the subscriptions to alarms": subscribers(environment),
    }
    for what, check in checks.items():
        try:
            with environments.aws_errors(what):
                yield from check
        except OperatorError as error:
            yield Finding(f"{what} was not checked: {error}")


def concurrency(environment: Environment) -> Iterator[Finding]:
    """Yield what the account cannot reserve for the functions."""
    wanted = _wanted(environment.settings)
    if not wanted:
        return
    client = environment.client("lambda")
    limit = client.get_account_settings()["AccountLimit"]
    quota, unreserved = limit["ConcurrentExecutions"], limit["UnreservedConcurrentExecutions"]
    own = sum(_reserved(client, environment.resource(function)) for function in FUNCTIONS.values())
    others, asked = quota - unreserved - own, sum(wanted.values())
    free = max(0, quota - others - UNRESERVED)
    if asked > free:
        settings = " + ".join(f"{name}.reserved_concurrency = {number}" for name, number in wanted.items())
        yield Finding(
            f"{settings} reserve {asked} executions, but the account has {free} left in "
            f"{environment.region}: its quota is {quota}, others reserve {others} and {UNRESERVED} must stay "
            f"unreserved; set -1, or request a quota of {asked + others + UNRESERVED} concurrent executions",
            fatal=True,
        )


def _wanted(settings: Settings) -> dict[str, int]:
    """Return the executions that each deployed function reserves, by its table of settings."""
    off = {"redrive"} if not settings.auto_redrive else set()
    off |= {"reconciliation"} if settings.reconcile == "off" else set()
    off |= {"compaction"} if not settings.ledger_compaction else set()
    numbers = {
        table: getattr(settings, table).reserved_concurrency for table in FUNCTIONS if table not in off
    }
    return {table: number for table, number in numbers.items() if number > 0}


def _reserved(client: Any, function: str) -> int:
    """Return what a function of ours already reserves, 0 if it does not exist yet."""
    answer = if_exists(client.get_function_concurrency, FunctionName=function) or {}
    return int(answer.get("ReservedConcurrentExecutions", 0))


def _event_source(environment: Environment, *, makes_bus: bool) -> Iterator[Finding]:
    name = environment.bus
    where = f"account {environment.account_id} and region {environment.region}"
    source = if_exists(environment.client("events").describe_event_source, Name=name)
    if source is None:
        yield Finding(
            f"stripe_event_source_name = {name!r} is not an event source of {where}: compare the name, the "
            "account and the region with the event destination in Stripe's Dashboard",
            fatal=True,
        )
        return
    if source["State"] == "DELETED":
        yield Finding(
            f"stripe_event_source_name = {name!r} was deleted by Stripe: create a new event destination, and "
            "set its event source name",
            fatal=True,
        )
    elif source["State"] == "ACTIVE" and makes_bus:
        yield Finding(
            f"the event source {name} is already associated with a bus that this deploy did not create: see "
            '"Associate with event bus" in docs/troubleshooting.md',
            fatal=True,
        )


def _network(environment: Environment) -> Iterator[Finding]:
    if subnets := environment.settings.audit_subnet_ids:
        for line in network.dead_ends(environment.client("ec2"), subnets, environment.region):
            yield Finding(line, fatal=True)


def subscribers(environment: Environment) -> Iterator[Finding]:
    """Yield the recipients of alarms who have not confirmed."""
    partition = environment.caller[1].split(":")[1]
    name = environment.resource("alerts")
    topic = f"arn:{partition}:sns:{environment.region}:{environment.account_id}:{name}"
    pages = environment.client("sns").get_paginator("list_subscriptions_by_topic")
    found = if_exists(lambda: [*pages.paginate(TopicArn=topic)]) or []
    for each in (one for page in found for one in page["Subscriptions"]):
        if each["SubscriptionArn"] == UNCONFIRMED:
            yield Finding(
                f"{each['Endpoint']} has not confirmed and receives no alarms: follow the link in AWS's "
                f"mail, or send it again with `aws sns subscribe --topic-arn {topic} --protocol "
                f"{each['Protocol']} --notification-endpoint {each['Endpoint']}`"
            )
