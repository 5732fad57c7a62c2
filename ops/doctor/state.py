"""The Terraform state: its bucket, its lock, and what the last deploy wrote into it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Final

from infra import contents
from infra.names import stack_name
from ops.doctor.check import Finding, failed, passed, warned
from ops.doctor.context import Context
from ops.environment import Environment, aws_errors, if_exists
from ops.errors import OperatorError

BOOTSTRAP: Final = "make bootstrap"


# The types of alarms in a state.
ALARMS: Final = frozenset({"aws_cloudwatch_metric_alarm", "aws_cloudwatch_composite_alarm"})


@dataclass(frozen=True)
class Alarm:
    """An alarm as the last deploy left it: the ARNs that it notifies when it starts, and when it clears."""

    starts: frozenset[str]
    clears: frozenset[str]


@dataclass(frozen=True)
class State:
    """What the last deploy wrote.

    Parameters
    ----------
    outputs
        Values by name.
    code
        The SHA-256 of each function's zip in base64, as Lambda gives it, by the function's name.
    alarms
        By name.
    """

    outputs: Mapping[str, Any]
    code: Mapping[str, str]
    alarms: Mapping[str, Alarm]

    @property
    def contents(self) -> Mapping[str, str]:
        """Versions and digests of what the functions run; empty after a deploy by an earlier release."""
        found: Mapping[str, str] = self.outputs.get(contents.CODE, {})
        return found


def read(environment: Environment) -> State:
    """Read the state.

    Raises
    ------
    OperatorError
        There is none, or it can't be read.
    """
    bucket, key = environment.settings.state_bucket, f"{stack_name(environment.name)}/terraform.tfstate"
    with aws_errors(f"the Terraform state of {environment.name}"):
        answer = _object(environment, key)
        if answer is None:
            raise OperatorError(
                f"{environment.name} has no Terraform state in {bucket}: run `make deploy "
                f"ENV={environment.name}`"
            )
    try:
        return _parsed(answer)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        # Without its text, which may quote a value of the state.
        raise OperatorError(
            f"the Terraform state of {environment.name} in {bucket} is corrupt ({type(error).__name__}), "
            f"restore an earlier version: aws s3api list-object-versions --bucket {bucket} --prefix {key} "
            f"--region {environment.region}"
        ) from error


def _parsed(text: bytes) -> State:
    document = json.loads(text)
    outputs = {name: each["value"] for name, each in document["outputs"].items()}
    functions = _attributes(document, {"aws_lambda_function"})
    code = {each["function_name"]: each["source_code_hash"] for each in functions}
    alarms = {
        each["alarm_name"]: Alarm(_set(each["alarm_actions"]), _set(each["ok_actions"]))
        for each in _attributes(document, ALARMS)
    }
    return State(outputs, code, alarms)


def _attributes(document: Mapping[str, Any], types: Set[str]) -> Iterator[Mapping[str, Any]]:
    """Yield what a state has of each resource of these types."""
    for resource in document["resources"]:
        if resource["type"] in types:
            yield from (one["attributes"] for one in resource["instances"])


def _set(values: Sequence[str] | None) -> frozenset[str]:
    # Terraform writes null for what was never set.
    return frozenset(values or ())


def bucket(context: Context) -> Finding:
    """Check whether the bucket of the state exists."""
    name = context.environment.settings.state_bucket
    if if_exists(context.client("s3").head_bucket, Bucket=name) is None:
        return failed(f"state_bucket = {name!r} does not exist", BOOTSTRAP)
    return passed(name)


def versioning(context: Context) -> Finding:
    """Check whether an earlier state could be restored."""
    name = context.environment.settings.state_bucket
    status = context.client("s3").get_bucket_versioning(Bucket=name).get("Status", "Disabled")
    if status != "Enabled":
        return failed(f"{status.lower()}: no earlier state can be restored", BOOTSTRAP)
    return passed("enabled")


def lock(context: Context) -> Finding:
    """Check whether a run holds the state, or left its lock behind."""
    environment = context.environment
    text = _object(environment, f"{stack_name(environment.name)}/terraform.tfstate.tflock")
    if text is None:
        return passed("free")
    try:
        held: Mapping[str, Any] = json.loads(text)
    except ValueError:
        held = {}
    who = (
        f"{held.get('Operation', 'a run')} by {held.get('Who', 'somebody')} since {held.get('Created', '?')}"
    )
    return warned(
        f"held: {who}; to be unlocked only if that run is not alive",
        f"terraform -chdir=cdktf.out/stacks/{stack_name(environment.name)} force-unlock "
        f"{held.get('ID', 'ID')}",
    )


def region(context: Context) -> Finding:
    """Check whether the settings name the region of the deployed bus."""
    wanted, bus_arn = context.environment.region, str(context.state().outputs.get("bus_arn", ""))
    deployed = (bus_arn.split(":") + [""] * 4)[3]
    if deployed != wanted:
        return failed(
            f"aws_region = {wanted!r}, but the stack is in {deployed or 'no region'}",
            "correct aws_region, or unset AWS_REGION",
        )
    return passed(wanted)


def _object(environment: Environment, key: str) -> bytes | None:
    bucket = environment.settings.state_bucket
    answer = if_exists(environment.client("s3").get_object, Bucket=bucket, Key=key)
    return None if answer is None else bytes(answer["Body"].read())
