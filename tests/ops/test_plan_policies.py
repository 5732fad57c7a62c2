"""Who gains and loses what between two policies, by the evaluation of requests."""

from __future__ import annotations

from typing import Any

import pytest

from ops.plan_report.policies import ANYONE, Right, UnreadableError, compare

pytestmark = pytest.mark.unit

QUEUE = "arn:aws:sqs:eu-west-1:000000000000:events"
RULE = "arn:aws:events:eu-west-1:000000000000:rule/bus/payments"
EVENTS = "events.amazonaws.com"


def document(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(principal: Any, action: Any, resource: Any = QUEUE, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Principal": principal, "Action": action, "Resource": resource, **more}


def grant(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


SERVICE = {"Service": EVENTS}
FROM_RULE = {"ArnEquals": {"aws:SourceArn": RULE}}
NO_TLS = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "sqs:*",
    "Resource": QUEUE,
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}


def test_the_same_rights_written_otherwise_do_not_differ() -> None:
    before = document(allow(SERVICE, ["sqs:SendMessage"], [QUEUE], Condition=FROM_RULE, Sid="A"), NO_TLS)
    condition = {"ArnEquals": {"aws:SourceArn": [RULE]}}
    after = document({**NO_TLS, "Sid": "B"}, allow(SERVICE, "sqs:SendMessage", QUEUE, Condition=condition))
    found = compare(before, after)
    assert found.gained == found.lost == ()


def test_a_duplicate_statement_and_one_that_another_covers_gain_nothing() -> None:
    before = document(grant("sqs:*", QUEUE))
    after = document(grant("sqs:*", QUEUE), grant(["sqs:SendMessage", "sqs:ReceiveMessage"], QUEUE))
    assert compare(before, after, role="r").gained == ()


def test_a_new_action_resource_and_principal_are_gained() -> None:
    before = document(allow(SERVICE, "sqs:SendMessage"))
    action = compare(before, document(allow(SERVICE, ["sqs:SendMessage", "sqs:PurgeQueue"])))
    assert action.gained == (Right(EVENTS, "sqs:PurgeQueue", QUEUE),)
    other = compare(before, document(allow(SERVICE, "sqs:SendMessage", [QUEUE, f"{QUEUE}-2"])))
    assert other.gained == (Right(EVENTS, "sqs:SendMessage", f"{QUEUE}-2"),)
    who = compare(before, document(allow({"Service": [EVENTS], "AWS": "111122223333"}, "sqs:SendMessage")))
    assert who.gained == (Right("111122223333", "sqs:SendMessage", QUEUE),)


def test_a_wildcard_is_gained_as_such() -> None:
    before = document(grant(["sqs:SendMessage"], QUEUE))
    assert compare(before, document(grant("sqs:Send*", QUEUE)), role="r").gained == (
        Right("r", "sqs:Send*", QUEUE),
    )
    anywhere = compare(before, document(grant("sqs:SendMessage", "*")), role="r").gained
    assert anywhere == (Right("r", "sqs:SendMessage", "*"),)


def test_everybody_covers_each_one() -> None:
    before = document(allow(SERVICE, "sqs:SendMessage", Condition=FROM_RULE))
    found = compare(before, document(allow("*", "sqs:SendMessage")))
    assert found.gained == (Right(ANYONE, "sqs:SendMessage", QUEUE),)


def test_a_wider_and_a_narrower_condition_are_seen() -> None:
    wide = {"ArnLike": {"aws:SourceArn": "arn:aws:events:eu-west-1:000000000000:rule/*"}}
    narrow, wider = (
        document(allow(SERVICE, "sqs:SendMessage", Condition=each)) for each in (FROM_RULE, wide)
    )
    gained = compare(narrow, wider).gained
    assert [(each.principal, each.condition) for each in gained] == [
        (EVENTS, "ArnLike aws:SourceArn arn:aws:events:eu-west-1:000000000000:rule/*")
    ]
    assert compare(narrow, wider).lost == ()
    assert compare(wider, narrow).gained == ()
    assert compare(wider, narrow).lost != ()


def test_a_condition_that_is_removed_widens() -> None:
    before = document(allow(SERVICE, "sqs:SendMessage", Condition=FROM_RULE))
    after = document(allow(SERVICE, "sqs:SendMessage"))
    assert Right(EVENTS, "sqs:SendMessage", QUEUE) in compare(before, after).gained


def test_a_removed_refusal_is_a_gain_of_everybody() -> None:
    allowed = allow(SERVICE, "sqs:SendMessage", Condition=FROM_RULE)
    found = compare(document(allowed, NO_TLS), document(allowed)).gained
    assert found == (
        Right(ANYONE, "sqs:*", QUEUE, "Bool aws:SecureTransport false"),
        Right(ANYONE, "sqs:SendMessage", QUEUE, "Bool aws:SecureTransport false"),
    )


def test_a_refusal_that_is_added_takes_what_was_allowed() -> None:
    before = document(grant("sqs:*", QUEUE))
    refusal = {"Effect": "Deny", "Action": "sqs:PurgeQueue", "Resource": QUEUE}
    found = compare(before, document(grant("sqs:*", QUEUE), refusal), role="r")
    assert found.gained == ()
    assert found.lost == (Right("r", "sqs:PurgeQueue", QUEUE),)


def test_a_trust_policy_has_no_resource_and_may_name_a_federation() -> None:
    def trust(subject: str) -> dict[str, Any]:
        return document(
            {
                "Effect": "Allow",
                "Principal": {"Federated": "arn:aws:iam::000000000000:oidc-provider/token.example"},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {"StringLike": {"token.example:sub": subject}},
            }
        )

    (gained,) = compare(trust("repo:a/b:ref:refs/heads/main"), trust("repo:a/b:*")).gained
    assert gained.action == "sts:AssumeRoleWithWebIdentity"
    assert gained.condition == "StringLike token.example:sub repo:a/b:*"


@pytest.mark.parametrize("element", ["NotAction", "NotResource", "NotPrincipal"])
def test_what_cannot_be_tried_is_said_to_be_so(element: str) -> None:
    statement = allow(SERVICE, "sqs:SendMessage")
    with pytest.raises(UnreadableError):
        compare(document(statement), document({**statement, element: "x"}))


def test_a_condition_operator_that_is_not_tried_is_said_to_be_so() -> None:
    condition = {"DateLessThan": {"aws:CurrentTime": "2030-01-01T00:00:00Z"}}
    with pytest.raises(UnreadableError):
        compare(document(), document(allow(SERVICE, "sqs:SendMessage", Condition=condition)))


@pytest.mark.parametrize(
    ("condition", "met"),
    [
        ({"IpAddress": {"aws:SourceIp": "198.51.100.0/24"}}, True),
        ({"Null": {"aws:SourceArn": "true"}}, True),
        ({"StringNotEquals": {"aws:SourceAccount": "000000000000"}}, True),
        ({"NumericLessThanEquals": {"s3:max-keys": "10"}}, True),
        ({"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["a"]}}, True),
    ],
)
def test_each_operator_that_is_tried_can_be_met(condition: dict[str, Any], met: bool) -> None:
    gained = compare(
        document(), document(grant("sqs:SendMessage", QUEUE, Condition=condition)), role="r"
    ).gained
    assert bool(gained) is met
