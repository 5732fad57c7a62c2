"""What docs/github.md lets the deploy role do is enough for the stack, and for its roles alone."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from typing import Any

from tests.documents import policy_statements
from tests.infra.terraform_json import Stack

# By the second word of a resource type, where it is not the service's own prefix of actions.
SERVICES = {
    "cloudwatch_event": "events",
    "cloudwatch_log": "logs",
    "cloudwatch_query": "logs",
    "cloudcontrolapi": "cloudformation",
}


def service(resource_type: str) -> str:
    """The prefix of the actions that a resource of AWS is made by."""
    words = resource_type.removeprefix("aws_")
    return next((name for start, name in SERVICES.items() if words.startswith(start)), words.split("_")[0])


def roles(stack: Stack) -> list[dict[str, Any]]:
    return list(stack.of_type("aws_iam_role").values())


def test_every_resource_is_of_a_service_that_the_boundary_allows(secured: Stack) -> None:
    allowed = {action.partition(":")[0] for action in policy_statements()["WhatTheStackIsMadeOf"]["Action"]}
    used = {service(name) for name in secured.document["resource"] if name.startswith("aws_")}
    assert {"events", "lambda", "iam", "cloudformation"} <= used
    assert used <= allowed


def test_every_role_of_the_stack_is_one_that_the_boundary_spares(secured: Stack) -> None:
    spared = policy_statements()["NoRolesButOurs"]["NotResource"]
    assert roles(secured)
    for role in roles(secured):
        arn = f"arn:aws:iam::ACCOUNT:role/{role['name']}"
        assert any(fnmatchcase(arn, pattern.replace("ENV", secured.environment)) for pattern in spared), role[
            "name"
        ]


def test_every_role_is_for_a_service_that_it_may_be_passed_to(secured: Stack) -> None:
    condition = policy_statements()["RolesForTheStacksServicesOnly"]["Condition"]["StringNotEquals"]
    for role in roles(secured):
        for statement in json.loads(role["assume_role_policy"])["Statement"]:
            assert statement["Principal"]["Service"] in condition["iam:PassedToService"]
