"""What is looked at before an apply: quota, event source and network, without which it would fail half-way,
and whether those who shall get the alarms have confirmed.

Each look needs rights of its own. Where the caller lacks them the apply goes on unchecked, and says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from infra.settings import Settings
from ops import environment as environments
from ops import network
from ops.environment import MISSING_CODES, Environment
from ops.errors import OperatorError

if TYPE_CHECKING:
    from rich.console import Console

    from ops.deploy import Planned

# Lambda API reference, PutFunctionConcurrency: so many executions of an account stay unreserved.
UNRESERVED: Final = 100
# What Amazon SNS shows in place of the ARN of a subscription that nobody confirmed.
UNCONFIRMED: Final = "PendingConfirmation"
NO_TOPIC: Final = frozenset({"NotFound", "NotFoundException"})
# A function's table of settings, and its name in AWS.
FUNCTIONS: Final[Mapping[str, str]] = {
    "payments": "payments",
    "billing": "billing",
    "audit": "audit",
    "redrive": "redrive",
    "reconciliation": "reconcile",
}


@dataclass(frozen=True)
class Finding:
    """One line for the operator; `fatal` where the apply would fail."""

    text: str
    fatal: bool = False


def check(name: str, planned: Planned, console: Console, *, applying: bool) -> None:
    """Look whether an environment's plan can be applied, and print what speaks against it.

    Raises
    ------
    OperatorError
        It can't, and that is what comes next (`applying`).
    """
    if planned.summary.changes == 0:
        return
    found = list(findings(environments.connect(name), makes_bus=planned.makes_bus))
    for finding in found:
        if finding.fatal and applying:
            raise OperatorError(finding.text)
        console.print(f"warning: {finding.text}", highlight=False, markup=False, soft_wrap=True)


def findings(environment: Environment, *, makes_bus: bool) -> Iterator[Finding]:
    """What speaks against an apply, which may make the bus."""
    looks = {
        "the Lambda quota": _concurrency(environment),
        "Stripe's event source": _event_source(environment, makes_bus=makes_bus),
        "the audit function's network": _network(environment),
        "who gets the alarms": _subscribers(environment),
    }
    for what, look in looks.items():
        try:
            with environments.aws_errors(what):
                yield from look
        except OperatorError as error:
            yield Finding(f"{what} was not checked: {error}")


def _concurrency(environment: Environment) -> Iterator[Finding]:
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
            f"{settings} reserve {asked} executions, and the account has {free} to reserve in "
            f"{environment.region}: its quota is {quota}, others reserve {others} and {UNRESERVED} stay "
            "unreserved; write -1, or have the Lambda quota Concurrent executions raised to "
            f"{asked + others + UNRESERVED}",
            fatal=True,
        )


def _wanted(settings: Settings) -> dict[str, int]:
    """The executions that each deployed function reserves, by its table of settings."""
    off = {"redrive"} if not settings.auto_redrive else set()
    off |= {"reconciliation"} if settings.reconcile == "off" else set()
    numbers = {
        table: getattr(settings, table).reserved_concurrency for table in FUNCTIONS if table not in off
    }
    return {table: number for table, number in numbers.items() if number > 0}


def _reserved(client: Any, function: str) -> int:
    """What a function of ours reserves already; none where it is yet to be made."""
    try:
        return int(
            client.get_function_concurrency(FunctionName=function).get("ReservedConcurrentExecutions", 0)
        )
    except ClientError as error:
        if error.response["Error"]["Code"] in MISSING_CODES:
            return 0
        raise


def _event_source(environment: Environment, *, makes_bus: bool) -> Iterator[Finding]:
    name = environment.bus
    where = f"account {environment.account_id} and region {environment.region}"
    try:
        source = environment.client("events").describe_event_source(Name=name)
    except ClientError as error:
        if error.response["Error"]["Code"] not in MISSING_CODES:
            raise
        yield Finding(
            f"stripe_event_source_name = {name!r} is no event source of {where}: compare the name, and the "
            "account and region that the event destination in Stripe's Dashboard names",
            fatal=True,
        )
        return
    if source["State"] == "DELETED":
        yield Finding(
            f"stripe_event_source_name = {name!r} was deleted by Stripe: make a new event destination, and "
            "write its event source name",
            fatal=True,
        )
    elif source["State"] == "ACTIVE" and makes_bus:
        yield Finding(
            f"the event source {name} is associated with a bus already, which this deploy did not make: see "
            '"Associate with event bus" in docs/troubleshooting.md',
            fatal=True,
        )


def _network(environment: Environment) -> Iterator[Finding]:
    if subnets := environment.settings.audit_subnet_ids:
        for line in network.dead_ends(environment.client("ec2"), subnets, environment.region):
            yield Finding(line, fatal=True)


def _subscribers(environment: Environment) -> Iterator[Finding]:
    partition = environment.caller[1].split(":")[1]
    name = environment.resource("alerts")
    topic = f"arn:{partition}:sns:{environment.region}:{environment.account_id}:{name}"
    pages = environment.client("sns").get_paginator("list_subscriptions_by_topic")
    try:
        found = [each for page in pages.paginate(TopicArn=topic) for each in page["Subscriptions"]]
    except ClientError as error:
        if error.response["Error"]["Code"] in NO_TOPIC:
            return
        raise
    for each in found:
        if each["SubscriptionArn"] == UNCONFIRMED:
            yield Finding(
                f"{each['Endpoint']} has not confirmed, and gets no alarm: follow the link in AWS's mail, or "
                f"have it sent again by `aws sns subscribe --topic-arn {topic} --protocol {each['Protocol']} "
                f"--notification-endpoint {each['Endpoint']}`"
            )
