"""Where an event goes that fails at a function or at the audit's queue: without this exit it would be "
"lost."""

from __future__ import annotations

import json
from collections.abc import Iterator

from functions.shared import names
from ops.dlq import queues
from ops.doctor.check import Finding, failed, worst
from ops.doctor.context import Context
from ops.doctor.expected import EVENTS_QUEUE
from ops.environment import if_exists


def exits(context: Context) -> Finding:
    """Check whether Lambda and SQS send what fails to the dead-letter queues."""
    return worst(_missing(context), "each failed event goes to its dead-letter queue")


def _missing(context: Context) -> Iterator[Finding]:
    deploy = context.deploy
    wanted = {
        **{handler: f"{handler}-dlq" for handler in names.HANDLERS},
        "audit": f"audit-{names.OTHER_MESSAGE_GROUP}-dlq",
    }
    for part, queue in wanted.items():
        found = _on_failure(context, part)
        if found != _arn(context, queue):
            where = f"to {found}" if found else "nowhere"
            name = context.environment.resource(part)
            yield failed(f"what fails in {name} goes {where}, not to {queue}", deploy)
    queue = f"audit-dlq{queues.FIFO}"
    if _gives_up_to(context) != _arn(context, queue):
        yield failed(f"what the audit can't store does not go to {queue}", deploy)


def _on_failure(context: Context, part: str) -> str:
    """Return the ARN to which Lambda sends the asynchronous events that failed; empty for none."""
    name = context.environment.resource(part)
    answer = if_exists(context.client("lambda").get_function_event_invoke_config, FunctionName=name) or {}
    return str(answer.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination", ""))


def _gives_up_to(context: Context) -> str:
    """Return the ARN of the queue that gets what the audit received too often; empty for none."""
    client = context.client("sqs")
    answer = if_exists(client.get_queue_url, QueueName=context.place.name(EVENTS_QUEUE))
    if answer is None:
        return ""
    url = answer["QueueUrl"]
    found = client.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"]).get("Attributes", {})
    return str(json.loads(found.get("RedrivePolicy", "{}")).get("deadLetterTargetArn", ""))


def _arn(context: Context, queue: str) -> str:
    return context.place.arn("sqs", context.place.name(queue))
