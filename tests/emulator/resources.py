"""Create what a scenario needs; every name is unique, so that scenarios share an emulator."""

from __future__ import annotations

import io
import itertools
import json
import zipfile
from dataclasses import dataclass
from typing import Any

from ops.bundles import host_target
from ops.local.clients import Aws
from tests.emulator.process import wait_until
from tests.emulator.roles import ACCOUNT, ADMINISTRATOR

RUNTIME = host_target().runtime
_numbers = itertools.count(1)


def unique(prefix: str) -> str:
    """Return a unique name."""
    return f"{prefix}-{next(_numbers)}"


@dataclass(frozen=True)
class Queue:
    """A queue to which AWS services can send, and its client."""

    sqs: Any
    url: str
    arn: str

    def messages(self) -> list[dict[str, Any]]:
        """Receive and delete the messages that are visible now."""
        found: list[dict[str, Any]] = []
        while batch := self._receive():
            for message in batch:
                self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
            found += batch
        return found

    def wait(self, count: int = 1) -> list[dict[str, Any]]:
        """Receive and delete messages until there were `count`."""
        found: list[dict[str, Any]] = []

        def complete() -> bool:
            found.extend(self.messages())
            return len(found) >= count

        wait_until(complete, f"{count} messages were expected in {self.arn}")
        return found

    def _receive(self) -> list[dict[str, Any]]:
        answer = self.sqs.receive_message(
            QueueUrl=self.url,
            MaxNumberOfMessages=10,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["All"],
        )
        messages: list[dict[str, Any]] = answer.get("Messages", [])
        return messages


def queue(aws: Aws, *, fifo: bool = False, **attributes: str) -> Queue:
    """Create a queue to which any AWS service can send."""
    sqs = aws.client("sqs")
    name = unique("queue") + (".fifo" if fifo else "")
    arn = f"arn:aws:sqs:{aws.region}:{ACCOUNT}:{name}"
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
    }
    policy = {"Version": "2012-10-17", "Statement": [statement | {"Resource": arn}]}
    if fifo:
        attributes = {"FifoQueue": "true", "ContentBasedDeduplication": "true"} | attributes
    attributes = {"Policy": json.dumps(policy)} | attributes
    return Queue(sqs, sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"], arn)


def bus(aws: Aws) -> str:
    """Create an event bus, with slashes in its name as a partner's has."""
    name = f"bus/{unique('of')}/tests"
    aws.client("events").create_event_bus(Name=name)
    return name


def rule(aws: Aws, bus_name: str, target_arn: str, **target: Any) -> str:
    """Create a rule that sends every event of the bus to the target; return its ARN."""
    events = aws.client("events")
    name = unique("rule")
    pattern = json.dumps({"account": [ACCOUNT]})
    arn: str = events.put_rule(Name=name, EventBusName=bus_name, EventPattern=pattern)["RuleArn"]
    if ":lambda:" in target_arn:
        permit(aws, target_arn, arn)
    events.put_targets(Rule=name, EventBusName=bus_name, Targets=[{"Id": "it", "Arn": target_arn, **target}])
    return arn


def permit(aws: Aws, function_arn: str, rule_arn: str) -> None:
    """Permit a rule to invoke a function, if the function exists."""
    functions = aws.client("lambda")
    if function_arn in (one["FunctionArn"] for one in functions.list_functions()["Functions"]):
        functions.add_permission(
            FunctionName=function_arn,
            StatementId=unique("statement"),
            Action="lambda:InvokeFunction",
            Principal="events.amazonaws.com",
            SourceArn=rule_arn,
        )


def send(aws: Aws, bus_name: str, *details: Any) -> None:
    """Put events with these details onto a bus."""
    entries = [
        {"EventBusName": bus_name, "Source": "tests", "DetailType": "test", "Detail": json.dumps(detail)}
        for detail in details
    ]
    assert aws.client("events").put_events(Entries=entries)["FailedEntryCount"] == 0


def function(aws: Aws, code: str, name: str | None = None, **settings: Any) -> str:
    """Create a function from code that defines `handler`; return its ARN. The default name is unique."""
    functions = aws.client("lambda")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("code_of_test.py", code)
    arn: str = functions.create_function(
        FunctionName=name or unique("function"),
        Runtime=RUNTIME,
        Handler="code_of_test.handler",
        Code={"ZipFile": buffer.getvalue()},
        **{"Role": ADMINISTRATOR, **settings},
    )["FunctionArn"]
    return arn


def invoke(aws: Aws, arn: str, event: Any) -> dict[str, Any]:
    """Invoke a function and return its answer, or the error as Lambda reports it."""
    answer = aws.client("lambda").invoke(FunctionName=arn, Payload=json.dumps(event))
    body: dict[str, Any] = json.loads(answer["Payload"].read())
    return body
