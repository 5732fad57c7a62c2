"""Who gains and loses what between two policies, by the evaluation of requests."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.plan_report.policies import Right, compare
from ops.plan_report.policy_requests import ANYONE, UnreadableError
from ops.policy_evaluation import of_resource

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


NAMES = {
    "Action": ["sqs:SendMessage", "sqs:ReceiveMessage", "sqs:*", "sqs:Send*", "*"],
    "Resource": [QUEUE, f"{QUEUE}-2", f"{QUEUE}*", "*"],
}
PRINCIPALS: list[Any] = ["*", SERVICE, {"AWS": "111122223333"}, {"AWS": "arn:aws:iam::111122223333:role/a"}]
CONDITIONS: list[dict[str, Any]] = [
    {},
    FROM_RULE,
    {"ArnLike": {"aws:SourceArn": "arn:aws:events:eu-west-1:000000000000:rule/*"}},
    {"Bool": {"aws:SecureTransport": "false"}},
    {"StringEquals": {"aws:SourceAccount": ["000000000000", "111122223333"]}},
    {"StringNotEquals": {"aws:SourceAccount": "000000000000"}},
    {"StringEquals": {"aws:SourceAccount": "000000000000"}, "Bool": {"aws:SecureTransport": "true"}},
]
statements_of = st.builds(
    lambda effect, principal, action, resource, condition: {
        "Effect": effect,
        "Principal": principal,
        "Action": action,
        "Resource": resource,
        **({"Condition": condition} if condition else {}),
    },
    st.sampled_from(["Allow", "Allow", "Deny"]),
    st.sampled_from(PRINCIPALS),
    *(st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True) for names in NAMES.values()),
    st.sampled_from(CONDITIONS),
)
documents_of = st.lists(statements_of, max_size=3).map(lambda found: document(*found))
# Requests that know nothing of how the documents were taken apart.
CALLERS = [EVENTS, "sns.amazonaws.com", "arn:aws:iam::111122223333:root", "arn:aws:iam::999999999999:role/z"]
requests_of = st.tuples(
    st.sampled_from(CALLERS),
    st.sampled_from(["sqs:SendMessage", "sqs:ReceiveMessage", "sqs:SendMore", "sqs:PurgeQueue"]),
    st.sampled_from([QUEUE, f"{QUEUE}-2", f"{QUEUE}-3", "arn:aws:sqs:eu-west-1:000000000000:other"]),
    st.fixed_dictionaries(
        {},
        optional={
            "aws:sourcearn": st.sampled_from([RULE, f"{RULE}-2", "arn:aws:s3:::x"]),
            "aws:securetransport": st.sampled_from(["true", "false"]),
            "aws:sourceaccount": st.sampled_from(["000000000000", "111122223333", "222233334444"]),
        },
    ),
)


@settings(max_examples=300, deadline=None)
@given(documents_of, documents_of, requests_of)
def test_no_request_has_another_answer_unless_a_right_is_named(
    before: dict[str, Any], after: dict[str, Any], request: tuple[str, str, str, dict[str, str]]
) -> None:
    was, will_be = (of_resource(each)(*request) for each in (before, after))
    found = compare(before, after)
    assert bool(found.gained) or will_be <= was
    assert bool(found.lost) or will_be >= was


@settings(max_examples=100, deadline=None)
@given(documents_of)
def test_a_document_has_the_rights_of_itself_in_another_order(one: dict[str, Any]) -> None:
    found = compare(one, document(*reversed(one["Statement"]), *one["Statement"]))
    assert found.gained == found.lost == ()
