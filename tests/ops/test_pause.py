"""Pausing and resuming on the embedded AWS: what is off, where events wait, and how they come back."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ops import switches
from ops.local import drive
from ops.local.clients import Aws
from ops.local.services import REGION, isolated_environment, running_emulator
from ops.switches import SWITCHES, TAG
from tests.emulator import resources, roles
from tests.emulator.process import wait_until
from tests.emulator.resources import Queue
from tests.ops.command import Done, run
from tests.unit import snapshots

SOURCE = "aws.partner/stripe.com/ed_test_pause"
WRITES_DOWN = """
import boto3, json, os
def handler(event, context):
    url = "%s"
    boto3.client("sqs").send_message(QueueUrl=url, MessageBody=json.dumps(event))
"""


@dataclass(frozen=True)
class Deployed:
    """The parts of dev that can be paused: two rules, the audit's queue and function, and one schedule."""

    aws: Aws
    handled: dict[str, Queue]
    audit: Queue
    audited: Queue

    def send(self, *event_types: str) -> None:
        """Put an event of each type on the bus, as Stripe does."""
        envelopes = [snapshots.envelope(each, {"id": "in_1", "object": "invoice"}) for each in event_types]
        drive.send(self.aws, SOURCE, envelopes, lambda _: None)

    def rule(self, family: str) -> dict[str, Any]:
        events = self.aws.client("events")
        rule: dict[str, Any] = events.describe_rule(Name=f"huntaze-stripe-{family}-dev", EventBusName=SOURCE)
        tags = events.list_tags_for_resource(ResourceARN=rule["Arn"])["Tags"]
        kept = {name: rule[name] for name in ("Arn", "State", "EventPattern")}
        return kept | {"tags": {tag["Key"]: tag["Value"] for tag in tags}}

    def schedule(self) -> dict[str, Any]:
        answer = self.aws.client("scheduler").get_schedule(Name="huntaze-stripe-redrive-schedule-dev")
        kept: dict[str, Any] = {
            name: value
            for name, value in answer.items()
            if name not in ("ResponseMetadata", "CreationDate", "LastModificationDate")
        }
        return kept

    def mapping(self) -> str:
        (found,) = self.aws.client("lambda").list_event_source_mappings(
            FunctionName="huntaze-stripe-audit-dev"
        )["EventSourceMappings"]
        return str(found["State"])


def deploy(aws: Aws) -> Deployed:
    events = aws.client("events")
    drive.register_source(aws, SOURCE)
    events.create_event_bus(Name=SOURCE, EventSourceName=SOURCE)
    handled = {family: resources.queue(aws) for family in ("payments", "billing")}
    audit, audited = resources.queue(aws), resources.queue(aws)
    for name, target in {**handled, "audit": audit}.items():
        events.put_rule(
            Name=f"huntaze-stripe-{name}-dev",
            EventBusName=SOURCE,
            EventPattern=json.dumps({"account": [roles.ACCOUNT]}),
            Tags=[{"Key": "Project", "Value": "huntaze"}],
        )
        events.put_targets(
            Rule=f"huntaze-stripe-{name}-dev",
            EventBusName=SOURCE,
            Targets=[{"Id": "it", "Arn": target.arn}],
        )
    resources.function(aws, WRITES_DOWN % audited.url, "huntaze-stripe-audit-dev")
    aws.client("lambda").create_event_source_mapping(
        FunctionName="huntaze-stripe-audit-dev", EventSourceArn=audit.arn, BatchSize=10
    )
    aws.client("scheduler").create_schedule(
        Name="huntaze-stripe-redrive-schedule-dev",
        Description="Runs the redrive function",
        ScheduleExpression="rate(1440 minutes)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={
            "Arn": f"arn:aws:lambda:{aws.region}:{roles.ACCOUNT}:function:huntaze-stripe-redrive-dev",
            "RoleArn": roles.ADMINISTRATOR,
            "Input": "{}",
            "RetryPolicy": {"MaximumEventAgeInSeconds": 300, "MaximumRetryAttempts": 2},
        },
    )
    return Deployed(aws, handled, audit, audited)


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    with running_emulator(tmp_path_factory.mktemp("pause-aws")) as url:
        aws = Aws(url, REGION)
        roles.administrator(aws)
        yield deploy(aws)


@pytest.fixture
def person(dev: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    for name, value in isolated_environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", dev.aws.url)
    monkeypatch.setenv("STRIPE_EVENT_SOURCE_NAME", SOURCE)
    monkeypatch.delenv("COLUMNS", raising=False)
    return monkeypatch


@pytest.fixture
def ops(person: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ops:
    return Ops(person, capsys)


@dataclass(frozen=True)
class Ops:
    """The command line, as a person of the account has it."""

    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str) -> Done:
        return run(list(arguments), self.monkeypatch, self.capsys)

    def states(self) -> dict[str, dict[str, Any]]:
        parts = json.loads(self("pause", "--status", "--json").out)
        return {each["part"]: each for each in parts}


def test_a_paused_handler_gets_nothing_and_its_replay_covers_the_pause(dev: Deployed, ops: Ops) -> None:
    begun = datetime.now(UTC).replace(microsecond=0)
    done = ops("pause", "payments", "--yes")
    assert (done.code, done.err) == (0, "")
    assert "payments: disables its rule; events reach the archive and the audit only." in done.out
    assert "The next deploy of dev resumes every paused part." in done.out
    assert ops.states()["payments"]["paused"] is True
    dev.send("invoice.paid")
    assert len(dev.handled["billing"].wait()) == 1
    assert dev.handled["payments"].messages() == []

    done = ops("resume", "payments", "--yes", "--json")
    assert done.code == 0
    (resumed,) = json.loads(done.out)
    assert (resumed["part"], resumed["paused"]) == ("payments", False)
    command = shlex.split(resumed["replay"])
    assert command[:7] == ["huntaze-stripe", "replay", "start", "--env", "dev", "--rule", "payments"]
    since, until = (
        datetime.fromisoformat(command[command.index(each) + 1]) for each in ("--since", "--until")
    )
    assert since <= begun - timedelta(minutes=4)
    assert until >= datetime.now(UTC) + timedelta(minutes=4)
    assert "From " in done.err
    dev.send("invoice.paid")
    assert len(dev.handled["payments"].wait()) == 1
    assert dev.rule("payments")["tags"] == {"Project": "huntaze"}


def test_a_second_pause_keeps_the_time_of_the_first(dev: Deployed, ops: Ops) -> None:
    assert ops("pause", "billing", "--yes").code == 0
    first = dev.rule("billing")["tags"][TAG]
    earlier = (datetime.fromisoformat(first) - timedelta(hours=3)).isoformat()
    dev.aws.client("events").tag_resource(
        ResourceARN=dev.rule("billing")["Arn"], Tags=[{"Key": TAG, "Value": earlier}]
    )
    assert ops("pause", "billing", "--yes").code == 0
    assert dev.rule("billing")["tags"][TAG] == earlier
    assert ops("resume", "billing", "--yes").code == 0


def test_a_resume_that_was_interrupted_prints_the_replay_again(
    dev: Deployed, ops: Ops, person: pytest.MonkeyPatch
) -> None:
    ops("pause", "payments", "--yes")
    with person.context() as broken:
        broken.setattr(switches.HandlerRule, "forget", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert ops("resume", "payments", "--yes").code == 130
    assert dev.rule("payments")["State"] == "ENABLED"
    assert "not yet replayed since" in ops("pause", "--status").out
    assert "replay start --env dev --rule payments" in ops("resume", "payments", "--yes").out
    assert "replay start" not in ops("resume", "payments", "--yes").out


def test_events_wait_in_the_queue_while_the_audit_is_paused(dev: Deployed, ops: Ops) -> None:
    dev.audited.messages()
    assert ops("pause", "audit", "--yes").code == 0
    assert dev.mapping() in ("Disabled", "Disabling")
    assert ops.states()["audit"]["paused"] is True

    # A poll that was under way when the mapping was turned off may still take one event.
    def waits() -> bool:
        dev.send("invoice.paid")
        attributes = dev.audit.sqs.get_queue_attributes(QueueUrl=dev.audit.url, AttributeNames=["All"])
        return int(attributes["Attributes"]["ApproximateNumberOfMessages"]) > 0

    wait_until(waits, "no event waits in the audit's queue")
    assert ops("resume", "audit", "--yes").code == 0
    assert dev.audited.wait()
    for queue in dev.handled.values():
        queue.messages()


def test_a_schedule_is_paused_and_resumed_as_it_was(dev: Deployed, ops: Ops) -> None:
    before = dev.schedule()
    assert ops("pause", "redrive", "--yes").code == 0
    assert dev.schedule() == before | {"State": "DISABLED"}
    assert ops.states()["redrive"]["paused"] is True
    assert ops("resume", "redrive", "--yes").code == 0
    assert dev.schedule() == before


def test_a_dry_run_and_the_status_change_nothing(dev: Deployed, ops: Ops) -> None:
    parts = ("payments", "billing", "audit", "redrive")
    before = (dev.rule("payments"), dev.rule("billing"), dev.mapping(), dev.schedule())
    for arguments in (
        ("pause", *parts, "--dry-run"),
        ("resume", *parts, "--dry-run"),
        ("resume", "--status"),
    ):
        assert ops(*arguments).code == 0
    assert (dev.rule("payments"), dev.rule("billing"), dev.mapping(), dev.schedule()) == before


def test_status_lists_every_part(dev: Deployed, ops: Ops) -> None:
    states = ops.states()
    assert list(states) == list(SWITCHES)
    assert [name for name, state in states.items() if not state["deployed"]] == ["reconcile", "compact"]
    assert not any(state["paused"] for state in states.values())


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (
            ["pause"],
            2,
            "missing PART: expected one or several of payments, billing, audit, redrive, reconcile, compact",
        ),
        (["resume"], 2, "missing PART"),
        (
            ["pause", "ledger"],
            2,
            "invalid PART 'ledger': expected one or several of payments, billing",
        ),
        (["pause", "reconcile", "--yes"], 1, "reconcile is not deployed in dev: leave it out"),
        (["pause", "payments"], 2, "not a terminal: pass --yes to skip the confirmation"),
        (["resume", "payments", "--json"], 2, "not a terminal: pass --yes to skip the confirmation"),
    ],
)
def test_a_mistake_is_one_line(
    dev: Deployed, ops: Ops, arguments: list[str], code: int, expected: str
) -> None:
    done = ops(*arguments)
    assert (done.code, done.err.splitlines()[-1][:7]) == (code, "error: ")
    assert expected in done.err


def test_a_tag_without_a_valid_time_is_reported(dev: Deployed, ops: Ops) -> None:
    rule = dev.rule("billing")["Arn"]
    events = dev.aws.client("events")
    events.tag_resource(ResourceARN=rule, Tags=[{"Key": TAG, "Value": "yesterday"}])
    try:
        assert (
            "invalid tag huntaze-stripe-paused-since='yesterday' of the rule" in ops("pause", "--status").err
        )
    finally:
        events.untag_resource(ResourceARN=rule, TagKeys=[TAG])
