"""What events pass, read from the synthesised Terraform of an environment."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from functions.shared import names
from infra.names import PROJECT

# Where events come from and go to outside of AWS, by what a function has for it.
_STRIPE, _API, _DATABASE = "Stripe", "Huntaze API", "PostgreSQL"

# What AWS calls a rule, a function and a queue; a FIFO queue's kind begins so, too.
RULE, FUNCTION, QUEUE = "EventBridge rule", "Lambda function", "SQS"


@dataclass(frozen=True)
class Box:
    """One resource, or several of a kind at the same place.

    Parameters
    ----------
    names
        Their names without project and environment.
    kind
        What AWS calls them.
    """

    names: tuple[str, ...]
    kind: str

    def __add__(self, other: Box) -> Box:
        return Box(tuple(sorted(self.names + other.names)), f"{self.kind.removesuffix('s')}s")


@dataclass
class Lane:
    """Rules with one target, and what their events pass: a queue or none, a function, its sinks.

    Parameters
    ----------
    failures
        Dead-letter queues, each with the parts of the lane that send to it: rules, queue, function.
    """

    rules: Box
    queue: Box | None
    function: Box
    sinks: tuple[Box, ...]
    failures: list[tuple[Box, set[str]]]


@dataclass(frozen=True)
class Run:
    """A scheduled function, with what it reads and where it sends to."""

    function: Box
    reads: Box
    sends: Box


@dataclass(frozen=True)
class Topology:
    """The whole environment."""

    source: Box
    bus: Box
    bus_failures: Box | None
    archive: Box
    lanes: list[Lane]
    runs: list[Run]
    alarms: Box
    topic: Box
    subscribers: Box


def read(document: dict[str, Any], environment: str) -> Topology:
    """Read a `cdk.tf.json`."""
    return _Reader(document, environment).topology()


class _Reader:
    def __init__(self, document: dict[str, Any], environment: str) -> None:
        self._resources: dict[str, dict[str, Any]] = document["resource"]
        self._environment = environment
        made = self._of("aws_cloudcontrolapi_resource")
        self._state = {
            address: (each["type_name"], json.loads(each["desired_state"])) for address, each in made.items()
        }
        self._queues = {
            address: self._queue(state) for address, (kind, state) in self._state.items() if "SQS" in kind
        }
        self._functions = {
            address: Box((self._short(each["function_name"]),), FUNCTION)
            for address, each in self._of("aws_lambda_function").items()
        }

    def topology(self) -> Topology:
        ((_, archive),) = [found for found in self._state.values() if found[0] == "AWS::Events::Archive"]
        (topic,) = self._of("aws_sns_topic").values()
        (bus,) = self._of("aws_cloudwatch_event_bus").values()
        subscriptions = self._of("aws_sns_topic_subscription")
        return Topology(
            source=Box((_STRIPE,), "event source"),
            bus=Box(("partner bus",), "EventBridge"),
            bus_failures=self._queues[dead[0]]
            if (dead := _addresses(bus.get("dead_letter_config")))
            else None,
            archive=Box(("archive",), f"kept {archive['RetentionDays']} days"),
            lanes=sorted(self._lanes(), key=lambda lane: _order(lane.function.names[0])),
            runs=list(self._runs()),
            alarms=Box(("alarms",), "CloudWatch"),
            topic=Box((self._short(topic["name"]),), "SNS topic"),
            subscribers=Box(
                ("on call",), ", ".join(sorted({each["protocol"] for each in subscriptions.values()}))
            ),
        )

    def _lanes(self) -> Iterator[Lane]:
        rules: dict[str, Box] = {}
        parked: dict[str, Box] = {}
        for each in self._of("aws_cloudwatch_event_target").values():
            (target,), (dead,) = _addresses(each["arn"]), _addresses(each["dead_letter_config"])
            if target not in self._queues and target not in self._functions:
                continue  # the log of the bus, which handles no event
            (rule,) = _addresses(each["rule"])
            box = Box((self._short(self._of("aws_cloudwatch_event_rule")[rule]["name"]),), RULE)
            rules[target] = rules[target] + box if target in rules else box
            parked[target] = parked[target] + self._queues[dead] if target in parked else self._queues[dead]
        for target, box in rules.items():
            queue = self._queues.get(target)
            address = self._consumer(target) if queue else target
            failures = [(parked[target], {"rules"})]
            if queue:
                (redriven,) = _addresses(self._state[target][1]["RedrivePolicy"])
                failures.insert(0, (self._queues[redriven], {"queue"}))
            for dead in self._sent_to(address):
                for known, senders in failures:
                    if set(self._queues[dead].names) <= set(known.names):
                        senders.add("function")
            yield Lane(box, queue, self._functions[address], tuple(self._sinks(address)), failures)

    def _consumer(self, queue: str) -> str:
        for each in self._of("aws_lambda_event_source_mapping").values():
            if _addresses(each["event_source_arn"]) == [queue]:
                return _addresses(each["function_name"])[0]
        raise LookupError(f"no function reads the queue {queue}")

    def _sinks(self, function: str) -> Iterator[Box]:
        if "HUNTAZE_API_URL" in self._variables(function):
            yield Box((_API,), "outside of AWS")
        yield from self._granted(function, "s3:PutObject", "dynamodb:UpdateItem")
        if "secret_database" in self._variables(function)["SECRET_IDS"]:
            yield Box((_DATABASE,), "outside of AWS")

    def _runs(self) -> Iterator[Run]:
        for each in self._of("aws_scheduler_schedule").values():
            (address,) = _addresses(each["target"]["arn"])
            reads = self._granted(address, "sqs:ReceiveMessage", "s3:GetObject", "dynamodb:BatchGetItem")
            if "secret_stripe" in self._variables(address).get("SECRET_IDS", ""):
                reads.insert(0, Box((_STRIPE,), ""))
            every = re.sub(r"rate\((\d+) (min|hour).*\)", r"every \1 \2", each["schedule_expression"])
            yield Run(
                Box(self._functions[address].names, every),
                _together(reads),
                _together(self._granted(address, "lambda:InvokeFunction", "sqs:SendMessage")),
            )

    def _sent_to(self, function: str) -> list[str]:
        """The queues to which a function, or Lambda on its behalf, sends what failed."""
        return [found for found in self._allowed(function, "sqs:SendMessage") if found in self._queues]

    def _granted(self, function: str, *actions: str) -> list[Box]:
        return [box for each in self._allowed(function, *actions) if (box := self._box(each))]

    def _allowed(self, function: str, *actions: str) -> list[str]:
        """The addresses of the resources on which the function's role may do one of the actions."""
        (role,) = _addresses(self._of("aws_lambda_function")[function]["role"])
        found: list[str] = []
        for policy in self._of("aws_iam_role_policy").values():
            if _addresses(policy["role"]) == [role]:
                for statement in json.loads(policy["policy"])["Statement"]:
                    if set(actions) & set(statement["Action"]):
                        found += _addresses(statement["Resource"])
        return list(dict.fromkeys(found))

    def _box(self, address: str) -> Box | None:
        if address in self._of("aws_s3_bucket"):
            return Box(("ledger",), "S3 bucket")
        if address in self._of("aws_dynamodb_table"):
            return Box((self._short(self._of("aws_dynamodb_table")[address]["name"]),), "DynamoDB table")
        return self._queues.get(address) or self._functions.get(address)

    def _variables(self, function: str) -> dict[str, str]:
        variables: dict[str, str] = self._of("aws_lambda_function")[function]["environment"]["variables"]
        return variables

    def _queue(self, state: dict[str, Any]) -> Box:
        kind = "SQS FIFO queue" if state.get("FifoQueue") else "SQS queue"
        return Box((self._short(state["QueueName"]),), kind)

    def _of(self, kind: str) -> dict[str, Any]:
        return self._resources.get(kind, {})

    def _short(self, name: str) -> str:
        return name.removeprefix(f"{PROJECT}-").removesuffix(".fifo").removesuffix(f"-{self._environment}")


def _addresses(value: object) -> list[str]:
    """The addresses that a value refers to; a queue's policy stands for the queue."""
    found = re.findall(r"(?<!data\.)\baws_(\w+)\.(\w+)", json.dumps(value))
    return list(
        dict.fromkeys(
            address.removesuffix("_policy") if kind == "sqs_queue_policy" else address
            for kind, address in found
        )
    )


def _order(family: str) -> int:
    """Handlers first, in their order."""
    return names.HANDLERS.index(family) if family in names.HANDLERS else len(names.HANDLERS)


def _together(boxes: list[Box]) -> Box:
    """All of them as one box without a kind."""
    return Box(tuple(sorted({name for box in boxes for name in box.names})), "")
