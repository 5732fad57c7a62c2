"""The targets of the rules: where they send, what they send, how long they try, and what happens then."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from infra.patterns import RETRIES, RETRY_SECONDS
from ops.doctor.check import Finding, failed, warned, worst
from ops.doctor.context import Context
from ops.doctor.expected import ExpectedRule
from ops.environment import if_exists

# What replaces the event, in the answer of ListTargetsByRule.
REPLACES: Final = ("Input", "InputPath", "InputTransformer")
RETRY: Final = {"MaximumEventAgeInSeconds": RETRY_SECONDS, "MaximumRetryAttempts": RETRIES}


def targets(context: Context) -> Finding:
    """Check whether each rule sends the event to its target, and what it cannot send to its dead-letter
    queue.
    """
    return worst(_targets(context), f"{len(context.rules())} targets, each with its dead-letter queue")


def _targets(context: Context) -> Iterator[Finding]:
    environment, deploy = context.environment, context.deploy
    client = context.client("events")
    for rule in context.rules():
        answer = if_exists(client.list_targets_by_rule, Rule=rule.name, EventBusName=environment.bus)
        if answer is None:
            # The check of the rules reports it.
            continue
        found = answer["Targets"]
        target = next((each for each in found if _arn(each) == rule.target_arn), None)
        if target is None:
            yield failed(f"{rule.name} does not send to {rule.target_arn.split(':', 5)[5]}", deploy)
        else:
            dead_letter = context.place.arn("sqs", context.place.name(rule.dead_letter))
            for text in _differences(target, rule, dead_letter):
                yield failed(f"{rule.name} {text}", deploy)
        for each in found:
            if each is not target:
                # A deploy leaves what it did not make.
                step = (
                    f"aws events remove-targets --rule {rule.name} --event-bus-name {environment.bus} "
                    f"--ids {each['Id']} --region {environment.region}"
                )
                yield warned(f"{rule.name} also sends to {_arn(each)}", step)


def _differences(target: Mapping[str, Any], rule: ExpectedRule, dead_letter: str) -> Iterator[str]:
    """Yield how a target differs from what the stack sets."""
    if target.get("DeadLetterConfig", {}).get("Arn") != dead_letter:
        yield "sends what fails to no queue of ours: it is lost"
    if target.get("SqsParameters", {}).get("MessageGroupId", "") != rule.group:
        yield f"sends to another message group than {rule.group}"
    retry = {**RETRY, **target.get("RetryPolicy", {})}
    if retry != RETRY:
        seconds, retries = (retry[name] for name in RETRY)
        yield (f"gives up after {seconds} seconds and {retries} retries, not {RETRY_SECONDS} and {RETRIES}")
    for name in REPLACES:
        if target.get(name):
            yield f"sends another text than the event: {name} is set"


def _arn(target: Mapping[str, Any]) -> str:
    return str(target["Arn"]).removesuffix(":*")
