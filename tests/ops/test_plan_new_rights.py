"""A policy that a plan creates: on what exists it widens, and with its owner it is new.

The plan is one that Terraform made (`tests/plans`), with creations written into it as Terraform prints them.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from ops import plan_report
from ops.plan_report.rules.others import GRANTING
from ops.plan_report.verdict import OTHERWISE
from tests.plans import files

pytestmark = pytest.mark.unit

PAYMENTS = "huntaze-stripe-payments-dev"
QUEUE_URL = "http://127.0.0.1:4566/000000000000/huntaze-stripe-payments-dlq-dev"
QUEUE = "arn:aws:sqs:eu-west-1:000000000000:huntaze-stripe-payments-dlq-dev"
BUCKET = "huntaze-stripe-ledger-dev-000000000000"
TOPIC = "arn:aws:sns:eu-west-1:000000000000:huntaze-stripe-alerts-dev"
EVENTS = {"Service": "events.amazonaws.com"}


def document(action: str, resource: str, principal: Any = None) -> str:
    """A policy of one statement; without a principal, a role's."""
    statement = {"Effect": "Allow", "Action": [action], "Resource": [resource], "Sid": "New"}
    return json.dumps({"Statement": [statement | ({"Principal": principal} if principal else {})]})


def creation(address: str, unknown: tuple[str, ...] = (), **after: Any) -> dict[str, Any]:
    return {
        "address": address,
        "mode": "managed",
        "type": address.partition(".")[0],
        "change": {
            "actions": ["create"],
            "before": None,
            "after": after,
            "before_sensitive": False,
            "after_sensitive": {},
            "after_unknown": {"id": True, **dict.fromkeys(unknown, True)},
        },
    }


def found(*created: dict[str, Any], references: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    """Rules and addresses of what is found where a plan without changes also creates these.

    Parameters
    ----------
    references
        What the configuration says that the first one's owner refers to.
    """
    plan = files.load("nothing")
    plan["resource_changes"] += created
    if references:
        expressions = {"role": {"references": list(references)}}
        plan["configuration"]["root_module"]["resources"] = [
            {"address": created[0]["address"], "expressions": expressions}
        ]
    return [(each.rule, each.hit.address) for each in plan_report.assess(plan).findings]


@pytest.mark.parametrize("action", ["s3:*", "secretsmanager:GetSecretValue", "iam:PassRole"])
def test_a_new_policy_on_a_role_that_exists_widens_it(action: str) -> None:
    address = "aws_iam_role_policy.extra"
    policy = creation(address, name="extra", role=PAYMENTS, policy=document(action, "*"))
    assert found(policy) == [("access-widened", address)]


def test_a_small_right_on_a_role_that_exists_is_for_review() -> None:
    address = "aws_iam_role_policy.extra"
    one = document("sqs:SendMessage", "arn:aws:sqs:eu-west-1:000000000000:x")
    assert found(creation(address, name="extra", role=PAYMENTS, policy=one)) == [("access-gained", address)]


@pytest.mark.parametrize(
    "policy",
    [
        creation(
            "aws_sqs_queue_policy.extra",
            queue_url=QUEUE_URL,
            policy=document("sqs:PurgeQueue", QUEUE, EVENTS),
        ),
        creation(
            "aws_s3_bucket_policy.extra",
            bucket=BUCKET,
            policy=document("s3:Get*", f"arn:aws:s3:::{BUCKET}/*", EVENTS),
        ),
        creation("aws_sns_topic_policy.extra", arn=TOPIC, policy=document("sns:*", TOPIC, EVENTS)),
        creation(
            "aws_lambda_permission.extra",
            function_name=PAYMENTS,
            action="lambda:*",
            principal="events.amazonaws.com",
        ),
        creation(
            "aws_iam_role_policy_attachment.extra",
            role=PAYMENTS,
            policy_arn="arn:aws:iam::aws:policy/AdministratorAccess",
        ),
    ],
    ids=lambda each: each["type"],
)
def test_a_new_policy_on_what_exists_widens_it(policy: dict[str, Any]) -> None:
    assert found(policy) == [("access-widened", policy["address"])]


def test_the_policy_of_a_role_that_is_created_with_it_is_safe() -> None:
    one = document("secretsmanager:GetSecretValue", "*")
    trust = document("sts:AssumeRole", "", {"Service": "lambda.amazonaws.com"}).replace(
        ', "Resource": [""]', ""
    )
    role = creation("aws_iam_role.new", name="new", assume_role_policy=trust)
    by_name = creation("aws_iam_role_policy.new", name="new", role="new", policy=one)
    assert found(by_name, role) == []
    by_id = creation("aws_iam_role_policy.new", ("role",), name="new", policy=one)
    assert found(by_id, role, references=("aws_iam_role.new.id", "aws_iam_role.new")) == []


@pytest.mark.parametrize(
    "references",
    [
        (),
        ("aws_iam_role.payments_role.id", "aws_iam_role.payments_role"),
        ("aws_iam_role.new.id", "aws_iam_role.new", "var.role"),
        ("aws_iam_role.newer.id", "aws_iam_role.newer"),
    ],
)
def test_a_role_that_is_not_surely_the_new_one_may_be_another(references: tuple[str, ...]) -> None:
    address = "aws_iam_role_policy.new"
    policy = creation(address, ("role",), name="new", policy=document("s3:*", "*"))
    trust = document("sts:AssumeRole", "", {"Service": "lambda.amazonaws.com"}).replace(
        ', "Resource": [""]', ""
    )
    role = creation("aws_iam_role.new", name="new", assume_role_policy=trust)
    assert found(policy, role, references=references) == [("access-widened", address)]


def test_another_thing_of_the_same_name_is_not_the_owner() -> None:
    address = "aws_iam_role_policy.new"
    policy = creation(address, name="new", role=PAYMENTS, policy=document("s3:*", "*"))
    assert found(policy, creation("aws_s3_bucket.new", bucket=PAYMENTS)) == [("access-widened", address)]


@pytest.mark.parametrize(
    "type_",
    ["aws_iam_user", "aws_iam_policy", "aws_kms_grant", "aws_kms_key_policy", "aws_lambda_function_url"],
)
def test_what_gives_rights_in_a_way_that_no_rule_reads_is_for_review(type_: str) -> None:
    assert found(creation(f"{type_}.new", name="new")) == [(OTHERWISE, f"{type_}.new")]


def test_no_other_part_of_the_stack_counts_as_giving_rights() -> None:
    types = {each["type"] for each in files.load("unlocked")["resource_changes"]}
    assert {each for each in types if GRANTING.fullmatch(each)} == {
        "aws_cloudwatch_log_resource_policy",
        "aws_iam_role",
        "aws_iam_role_policy",
        "aws_lambda_permission",
        "aws_s3_bucket_policy",
        "aws_sqs_queue_policy",
    }
