"""The policies of synthesised stacks and of docs/deployment-roles.md, with their ARNs in an account."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

from ops import ROOT
from tests.infra.terraform_json import Stack

ACCOUNT: Final = "123456789012"
REGION: Final = "eu-west-1"
KEY_ARN: Final = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
# `${type.address.attribute}`, and a function around it.
REFERENCE: Final = re.compile(r"\$\{(?:(?P<function>\w+)\()?(?P<path>[\w.]+)\)?\}")
_IN: Final = f"{REGION}:{ACCOUNT}"
# The ARN of a resource, by its type in Terraform and of its attributes.
ARNS: Final = {
    "aws_cloudwatch_event_rule": f"arn:aws:events:{_IN}:rule/{{event_bus_name}}/{{name}}",
    "aws_cloudwatch_log_group": f"arn:aws:logs:{_IN}:log-group:{{name}}",
    "aws_dynamodb_table": f"arn:aws:dynamodb:{_IN}:table/{{name}}",
    "aws_kms_key": KEY_ARN,
    "aws_lambda_function": f"arn:aws:lambda:{_IN}:function:{{function_name}}",
    "aws_s3_bucket": "arn:aws:s3:::{bucket}",
    "aws_secretsmanager_secret": f"arn:aws:secretsmanager:{_IN}:secret:{{name}}-AbCdEf",
}
PLACEHOLDERS: Final = {
    "ACCOUNT": ACCOUNT,
    "REGION": REGION,
    "STATE_BUCKET": "huntaze-stripe-terraform-state",
    "OWNER": "huntaze",
    "REPO": "stripe-eventbridge",
    "ENV": "prod",
}

Kind = Literal["identity", "resource", "key", "trust"]


# What the policy of a resource in Terraform is, and its attribute.
POLICIES: Final[dict[str, tuple[Kind, str]]] = {
    "aws_cloudwatch_log_resource_policy": ("resource", "policy_document"),
    "aws_iam_role": ("trust", "assume_role_policy"),
    "aws_iam_role_policy": ("identity", "policy"),
    "aws_kms_key": ("key", "policy"),
    "aws_s3_bucket_policy": ("resource", "policy"),
    "aws_sns_topic": ("resource", "policy"),
    "aws_sqs_queue_policy": ("resource", "policy"),
}


@dataclass(frozen=True)
class Policy:
    """One policy: what it is attached to, and its document as JSON."""

    kind: Kind
    name: str
    text: str

    @property
    def statements(self) -> list[dict[str, Any]]:
        """A copy of the statements, free to change."""
        found: list[dict[str, Any]] = json.loads(self.text)["Statement"]
        return found


def policies_of(stack: Stack) -> Iterator[Policy]:
    """Every policy of a stack."""
    for attached, (kind, attribute) in POLICIES.items():
        for address, resource in stack.of_type(attached).items():
            yield Policy(kind, f"{stack.name}/{address}", _resolved(stack, resource[attribute]))
    for address, permission in stack.of_type("aws_lambda_permission").items():
        yield Policy("resource", f"{stack.name}/{address}", _resolved(stack, _permission(permission)))


def documented_policies() -> Iterator[Policy]:
    """Every policy of docs/deployment-roles.md, for the environment prod."""
    text = (ROOT / "docs" / "deployment-roles.md").read_text()
    for number, block in enumerate(re.findall(r"^```json\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)):
        for placeholder, value in PLACEHOLDERS.items():
            # Also after the underscore of a database's name.
            block = re.sub(rf"(?<![A-Za-z]){placeholder}\b", value, block)
        kind: Kind = "trust" if '"Principal"' in block else "identity"
        yield Policy(kind, f"docs/deployment-roles.md/{number}", json.dumps(json.loads(block)))


def statements_declared(stack: Stack) -> int:
    """How many statements the text of a stack has, found without knowing the types of its resources."""
    return sum(text.count('"Effect"') for text in stack.texts()) + len(stack.of_type("aws_lambda_permission"))


def _permission(permission: dict[str, Any]) -> str:
    """The statement that Lambda writes for a permission ("Viewing resource-based IAM policies in Lambda")."""
    address = permission["function_name"].removeprefix("${").split(".")[1]
    statement = {
        "Sid": permission["statement_id"],
        "Effect": "Allow",
        "Principal": {"Service": permission["principal"]},
        "Action": permission["action"],
        "Resource": f"${{aws_lambda_function.{address}.arn}}",
        "Condition": {"ArnLike": {"AWS:SourceArn": permission["source_arn"]}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _resolved(stack: Stack, text: str) -> str:
    """Replace each reference to a resource by what it is in an account."""
    resolved = REFERENCE.sub(lambda match: _value(stack, match), text)
    assert "${" not in resolved, f"policy variable or unknown reference in {resolved}"
    return resolved


def _value(stack: Stack, match: re.Match[str]) -> str:
    kind, address, attribute = match["path"].removeprefix("data.").split(".")
    if kind in ("aws_caller_identity", "aws_partition"):
        return {"account_id": ACCOUNT, "partition": "aws"}[attribute]
    if match["function"] == "basename":
        # A queue's name is the end of its address, which its policy knows.
        queue = stack.of_type("aws_cloudcontrolapi_resource")[address.removesuffix("_policy")]
        name: str = json.loads(queue["desired_state"])["QueueName"]
        return name
    resource = stack.of_type(kind)[address]
    text: str = ARNS[kind].format_map(resource) if attribute == "arn" else resource[attribute]
    return _resolved(stack, text)
