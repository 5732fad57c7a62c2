"""A command that AWS denies says in one line which right it needs, on what, and where to read about it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from botocore.exceptions import ClientError

from ops import denials
from ops.local.services import REGION
from ops.rights import Place, of_commands
from tests.emulator.roles import ACCOUNT, operator, session
from tests.ops.command import run
from tests.ops.conftest import SOURCE
from tests.ops.dead_letters import World

CALLER = "arn:aws:sts::111122223333:assumed-role/operator/me"
QUEUE = "arn:aws:sqs:eu-west-1:111122223333:q"


def message(code: str, text: str, operation: str = "ListObjectsV2") -> str | None:
    denied = denials.denied("it", ClientError({"Error": {"Code": code, "Message": text}}, operation))
    return None if denied is None else denied.naming("`x`")


@pytest.mark.parametrize(
    ("code", "text", "needed"),
    [
        (
            "AccessDenied",
            f"User: {CALLER} is not authorized to perform: sqs:sendmessage on resource: {QUEUE} because no "
            "identity-based policy allows the sqs:sendmessage action",
            f"sqs:sendmessage on {QUEUE}",
        ),
        (
            "AccessDenied",
            f'User: {CALLER} is not authorized to perform: s3:GetObject on resource: "arn:aws:s3:::b/k" with '
            "an explicit deny in a resource-based policy",
            "s3:GetObject on arn:aws:s3:::b/k without an explicit deny in a resource-based policy",
        ),
        (
            "AccessDenied",
            f"User: {CALLER} is not authorized to perform: sqs:ReceiveMessage on resource: {QUEUE} "
            "because no permissions boundary allows the sqs:ReceiveMessage action",
            f"sqs:ReceiveMessage on {QUEUE} in a permissions boundary",
        ),
        (
            "UnauthorizedOperation",
            f"You are not authorized to perform this operation. User: {CALLER} is not authorized to perform: "
            "ec2:DescribeSubnets because no identity-based policy allows the ec2:DescribeSubnets action",
            "ec2:DescribeSubnets",
        ),
        (
            "KMS.AccessDeniedException",
            f"User: {CALLER} is not authorized to perform: kms:GenerateDataKey on resource: arn:aws:kms:k "
            "because no identity-based policy allows the kms:GenerateDataKey action",
            "kms:GenerateDataKey on arn:aws:kms:k",
        ),
        ("403", "Forbidden", "the permission for ListObjectsV2"),
        ("AccessDenied", "Access Denied", "the permission for ListObjectsV2"),
    ],
)
def test_message_names_what_aws_says(code: str, text: str, needed: str) -> None:
    assert message(code, text) == f"AWS denied it ({code}): `x` needs {needed}; see docs/permissions.md"


def test_another_answer_is_not_a_denial() -> None:
    assert message("ThrottlingException", f"{CALLER} is not authorized to perform: sqs:x") is None


@pytest.mark.parametrize(
    ("command", "arguments", "action", "what"),
    [
        ("dlq list", "", "sqs:ReceiveMessage", "the queue huntaze-stripe-"),
        ("dlq redrive", "--yes", "lambda:GetFunctionConfiguration", "the function huntaze-stripe-"),
        ("customer export", "cus_Jenny1", "sqs:GetQueueUrl", "the queue huntaze-stripe-"),
        ("replay status", "", "events:ListArchives", "the archive huntaze-stripe-archive-"),
        ("pause", "payments --yes", "events:DescribeRule", "the rule huntaze-stripe-payments-dev"),
        ("reconcile", "", "secretsmanager:GetSecretValue", "the secret huntaze/stripe-eventbridge/dev/"),
    ],
)
def test_line_names_command_action_and_resource(
    world: World,
    person: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    arguments: str,
    action: str,
    what: str,
) -> None:
    statements = [
        replace(each, actions=[one for one in each.actions if one != action])
        for each in of_commands(Place("dev", ACCOUNT, REGION, SOURCE))[command]
    ]
    without = [each for each in statements if each.actions]
    name = f"{command.replace(' ', '-')}-denied"
    operated = session(world.aws, operator(world.aws, name, without))
    for variable, value in operated.credentials.environment().items():
        person.setenv(variable, value)
    done = run([*command.split(), *arguments.split()], person, capsys)
    assert done.code == 1
    last = done.err.splitlines()[-1]
    assert last.startswith(f"error: AWS denied {what}"), done.err
    assert f"): `huntaze-stripe {command}` needs {action} on " in last
    assert last.endswith("; see docs/permissions.md")
