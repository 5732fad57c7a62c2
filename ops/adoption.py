"""Import existing queues into the Terraform state, as the resources that the stack creates them with.

Provider 5.100 can't import what Cloud Control creates, so the state is written here. It holds only what can't
be changed of a queue, its name and its kind: the next apply sets the rest in place, and the messages stay.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from infra.resources import cloud_control
from ops import environment as environments
from ops.environment import aws_errors, if_exists
from ops.errors import OperatorError
from ops.protection import FORMER_QUEUE
from ops.terraform import Terraform

MADE_BY: Final = "aws_cloudcontrolapi_resource"
_PROVIDER: Final = 'provider["registry.terraform.io/hashicorp/aws"]'
_NOT_CHANGED: Final = ("QueueName", "FifoQueue")

Properties = Mapping[str, Any]


@dataclass(frozen=True)
class Found:
    """The state with the imported queues, and their names."""

    state: dict[str, Any]
    names: list[str]


def find(terraform: Terraform, environment: str) -> Found:
    """Find the queues of a synthesised stack that exist in AWS and not in the state; change neither.

    Raises
    ------
    OperatorError
        AWS or Terraform failed, or there is no state yet.
    """
    state = terraform.pull_state()
    if "lineage" not in state:
        raise OperatorError(
            f"{environment} has no Terraform state yet: run `huntaze-stripe deploy --env {environment}` first"
        )
    sqs = environments.connect(environment, bus=False).client("sqs")
    return adopted(state, wanted(terraform.folder), lambda name: _address(sqs, name))


def wanted(folder: Path) -> dict[str, Properties]:
    """Return the immutable properties of a synthesised stack's queues, by resource name."""
    stack = json.loads((folder / "cdk.tf.json").read_text())
    properties = {
        name: json.loads(resource["desired_state"])
        for name, resource in stack["resource"].get(MADE_BY, {}).items()
        if resource["type_name"] == cloud_control.QUEUE["typeName"]
    }
    return {name: {key: of[key] for key in _NOT_CHANGED if key in of} for name, of in properties.items()}


def adopted(
    state: Mapping[str, Any], queues: Mapping[str, Properties], address_of: Callable[[str], str | None]
) -> Found:
    """Add the queues that exist and are not in the state, in place of their former resources.

    Parameters
    ----------
    queues
        As `wanted` returns them.
    address_of
        Returns the URL of a queue by its name, or None if it does not exist.
    """
    known = {each["name"] for each in state["resources"] if each["type"] == MADE_BY and each["instances"]}
    found = {
        name: address
        for name, queue in queues.items()
        if name not in known and (address := address_of(queue["QueueName"])) is not None
    }
    kept = [each for each in state["resources"] if each["type"] != FORMER_QUEUE or each["name"] not in found]
    resources = [*map(_depending, kept), *(_resource(name, queues[name], url) for name, url in found.items())]
    names = [queues[name]["QueueName"] for name in sorted(found)]
    return Found({**state, "serial": state["serial"] + 1, "resources": resources}, names)


def _depending(resource: dict[str, Any]) -> dict[str, Any]:
    """Replace former queues in the dependencies of a resource."""
    former, made_by = f"{FORMER_QUEUE}.", f"{MADE_BY}."
    instances = [
        {
            **instance,
            "dependencies": [each.replace(former, made_by, 1) for each in instance.get("dependencies", [])],
        }
        for instance in resource["instances"]
    ]
    return {**resource, "instances": instances}


def _resource(name: str, queue: Properties, address: str) -> dict[str, Any]:
    """Write a resource as Terraform stores it (state format 4)."""
    attributes = {
        "id": address,
        "desired_state": json.dumps(queue),
        "properties": "{}",
        "role_arn": None,
        "schema": None,
        "timeouts": None,
        "type_name": cloud_control.QUEUE["typeName"],
        "type_version_id": None,
    }
    return {
        "mode": "managed",
        "type": MADE_BY,
        "name": name,
        "provider": _PROVIDER,
        "instances": [{"schema_version": 0, "attributes": attributes, "sensitive_attributes": []}],
    }


def _address(sqs: Any, name: str) -> str | None:
    with aws_errors(f"the queue {name}"):
        answer = if_exists(sqs.get_queue_url, QueueName=name)
        return None if answer is None else str(answer["QueueUrl"])
