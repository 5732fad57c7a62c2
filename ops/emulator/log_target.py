"""A log group as the target of a rule.

Source: EventBridge user guide, "Using resource-based policies for Amazon EventBridge", "CloudWatch Logs
permissions": EventBridge names the rule when it writes, but not when it creates the stream
(aws-samples/serverless-patterns, pull request 618).
"""

from __future__ import annotations

import json
import time
from typing import Any, Final

from ministack.services import cloudwatch_logs

from ops.emulator.delivery import DeliveryFailure
from ops.emulator.permissions import Policy
from ops.emulator.principals import EVENTS, by_service

MILLISECONDS: Final = 1000


def failure(arn: str, rule_arn: str) -> DeliveryFailure | None:
    """Return why a log group refuses events of a rule, or None if it accepts them."""
    name = _group(arn)
    if name not in cloudwatch_logs._log_groups:
        return DeliveryFailure("NO_RESOURCE", f"The specified log group does not exist: {name}")
    stream, policy = f"{arn.removesuffix(':*')}:log-stream:{_stream(rule_arn)}", _account_policies()
    asked = (("logs:CreateLogStream", None), ("logs:PutLogEvents", rule_arn))
    refused = [action for action, source in asked if not by_service(EVENTS, action, stream, policy, source)]
    if not refused:
        return None
    return DeliveryFailure(
        "NO_PERMISSIONS", f"{EVENTS} is not authorized to perform {refused[0]} on resource {stream}"
    )


def deliver(arn: str, event: str) -> None:
    """Write an event to a log group, in one stream."""
    group, stream = _group(arn), _stream(arn)
    if stream not in cloudwatch_logs._log_groups[group]["streams"]:
        cloudwatch_logs._create_log_stream({"logGroupName": group, "logStreamName": stream})
    now = int(time.time() * MILLISECONDS)
    cloudwatch_logs._put_log_events(
        {"logGroupName": group, "logStreamName": stream, "logEvents": [{"timestamp": now, "message": event}]}
    )


def _group(arn: str) -> str:
    return arn.partition(":log-group:")[2].removesuffix(":*")


def _stream(arn: str) -> str:
    """Return a name without the characters that a stream's name can't have."""
    return arn.rpartition("/")[2].replace(":", "-").replace("*", "")


def _account_policies() -> Policy:
    """Return all resource policies of the account as one."""
    statements: list[Any] = []
    names = []
    for name, policy in cloudwatch_logs._resource_policies.items():
        names.append(name)
        statements += Policy("", policy.get("policyDocument", "")).statements()
    return Policy(f"log group policy {', '.join(names)}", json.dumps({"Statement": statements}))
