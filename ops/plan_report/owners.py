"""Whether a policy comes into being with what it belongs to, or is put on what exists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ops.plan_report.changes import ChangeKind
from ops.plan_report.plan import Plan, Resource

# By the type of a policy: the argument that names the owner, the owner's type and the argument of its name.
OWNERS: Final[Mapping[str, tuple[str, str, str]]] = {
    "aws_cloudwatch_event_bus_policy": ("event_bus_name", "aws_cloudwatch_event_bus", "name"),
    "aws_iam_role_policy": ("role", "aws_iam_role", "name"),
    "aws_lambda_permission": ("function_name", "aws_lambda_function", "function_name"),
    "aws_s3_bucket_policy": ("bucket", "aws_s3_bucket", "bucket"),
    "aws_secretsmanager_secret_policy": ("secret_arn", "aws_secretsmanager_secret", "name"),
    "aws_sns_topic_policy": ("arn", "aws_sns_topic", "name"),
    "aws_sqs_queue_policy": ("queue_url", "AWS::SQS::Queue", "QueueName"),
}
# They have their policy themselves.
OWN: Final = ("aws_iam_role", "aws_kms_key", "aws_sns_topic")


def is_new_with_owner(plan: Plan, policy: Resource) -> bool:
    """Return whether the plan creates a policy together with its role, queue, bucket, topic or function.

    An owner that only the apply knows is looked up in the configuration, which says what the argument refers
    to (Terraform, "JSON Output Format", expression representation). What is not sure is not new.
    """
    if policy.change is not ChangeKind.CREATE:
        return False
    if policy.type in OWN:
        return True
    if policy.type not in OWNERS:
        return False
    argument, type_, name = OWNERS[policy.type]
    created = [each for each in plan.of_type(type_) if each.change is ChangeKind.CREATE]
    owner = policy.will_be(argument)
    if isinstance(owner, str):
        return owner in [each.will_be(name) for each in created]
    addresses = {_without_key(each.address) for each in created}
    references = plan.references(_without_key(policy.address), argument)
    return bool(references) and all(_is_of(each, addresses) for each in references)


def _is_of(reference: str, addresses: set[str]) -> bool:
    return any(reference == each or reference.startswith((f"{each}.", f"{each}[")) for each in addresses)


def _without_key(address: str) -> str:
    """Return an address as the configuration has it: without the key of `count` or `for_each`."""
    return address.partition("[")[0]
