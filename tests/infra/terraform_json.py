"""Read a synthesised stack."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# What the role of every function may do with its log group.
LOG_ACTIONS = {"logs:CreateLogStream", "logs:PutLogEvents"}


@dataclass(frozen=True)
class Stack:
    name: str
    document: dict[str, Any]
    # The addresses that Terraform drops from its state without deleting what is there.
    forgotten: frozenset[str] = frozenset()

    @classmethod
    def read(cls, outdir: Path, name: str) -> Stack:
        folder = outdir / "stacks" / name
        file = folder / "forgotten.tf"
        blocks = re.findall(
            r"removed \{\n  from = (\S+)\n  lifecycle \{\n    destroy = false\n  \}\n\}\n",
            file.read_text() if file.exists() else "",
        )
        return cls(name, json.loads((folder / "cdk.tf.json").read_text()), frozenset(blocks))

    @property
    def environment(self) -> str:
        return self.name.rsplit("-", 1)[1]

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        """The resources of one type by address."""
        resources: dict[str, dict[str, Any]] = self.document["resource"].get(kind, {})
        return resources

    def only(self, kind: str) -> dict[str, Any]:
        resources = list(self.of_type(kind).values())
        assert len(resources) == 1, f"{len(resources)} resources of {kind}"
        return resources[0]

    def named(self, kind: str, name: str) -> dict[str, Any]:
        """The resource of a type with that name in AWS."""
        keys = ("name", "function_name", "alarm_name", "bucket")
        found = [r for r in self.of_type(kind).values() if name in [r.get(key) for key in keys]]
        assert len(found) == 1, f"{len(found)} resources of {kind} are named {name}"
        return found[0]

    def address(self, kind: str, name: str) -> str:
        """`type.address` of the resource with that name in AWS, as references spell it."""
        wanted = self.named(kind, name)
        return next(f"{kind}.{address}" for address, found in self.of_type(kind).items() if found is wanted)

    def queues(self) -> dict[str, dict[str, Any]]:
        """The properties of every queue by its name in AWS."""
        return {queue["QueueName"]: queue for queue in self._queues().values()}

    def queue_url(self, name: str) -> str:
        """How a queue's address is referred to: by its policy, so that both are there."""
        (address,) = [address for address, queue in self._queues().items() if queue["QueueName"] == name]
        return f"${{aws_sqs_queue_policy.{address}_policy.queue_url}}"

    def queue_arn(self, name: str) -> str:
        """How a queue's ARN is referred to."""
        account = "${data.aws_caller_identity.account_identity.account_id}"
        queue = self.queue_url(name).removeprefix("${").removesuffix("}")
        return (
            f"arn:${{data.aws_partition.account_partition.partition}}:sqs:eu-west-1:{account}"
            f":${{basename({queue})}}"
        )

    def queue_policy(self, name: str) -> str:
        """The policy of a queue."""
        address = self.queue_url(name).split(".")[1]
        policy: str = self.of_type("aws_sqs_queue_policy")[address]["policy"]
        return policy

    def queue_addresses(self) -> list[str]:
        """The names of the queues in their Terraform addresses."""
        return list(self._queues())

    def _queues(self) -> dict[str, dict[str, Any]]:
        return {
            address: json.loads(resource["desired_state"])
            for address, resource in self.of_type("aws_cloudcontrolapi_resource").items()
            if resource["type_name"] == "AWS::SQS::Queue"
        }

    def archive(self) -> dict[str, Any]:
        """The properties of the archive."""
        resource = self.of_type("aws_cloudcontrolapi_resource")["events_archive"]
        assert resource["type_name"] == "AWS::Events::Archive"
        properties: dict[str, Any] = json.loads(resource["desired_state"])
        return properties

    def target(self, rule: str) -> dict[str, Any]:
        """The one target of the rule with that name."""
        reference = f"${{{self.address('aws_cloudwatch_event_rule', rule)}.name}}"
        found = [t for t in self.of_type("aws_cloudwatch_event_target").values() if t["rule"] == reference]
        assert len(found) == 1, f"rule {rule} has {len(found)} targets"
        return found[0]

    def role_statements(self, function: str) -> list[dict[str, Any]]:
        """What the role of a function may do."""
        role = self.named("aws_lambda_function", function)["role"].removesuffix(".arn}") + ".id}"
        policies = [p for p in self.of_type("aws_iam_role_policy").values() if p["role"] == role]
        assert len(policies) == 1
        return statements(policies[0]["policy"])

    def alarms(self, metric: str) -> list[dict[str, Any]]:
        """The alarms on a metric, alone or in a sum."""
        alarms = self.of_type("aws_cloudwatch_metric_alarm").values()
        return [alarm for alarm in alarms if metric in [one["metric_name"] for one in metrics_of(alarm)]]

    def texts(self) -> Iterator[str]:
        """Every string of the stack."""
        yield from _texts(self.document)


def metrics_of(alarm: dict[str, Any]) -> list[dict[str, Any]]:
    """The metrics that an alarm watches: its own one, or those of its sum."""
    queries = alarm.get("metric_query", [])
    return [query["metric"] for query in queries if "metric" in query] if queries else [alarm]


def statements(policy: str) -> list[dict[str, Any]]:
    document = json.loads(policy)
    assert document["Version"] == "2012-10-17"
    found: list[dict[str, Any]] = document["Statement"]
    return found


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
