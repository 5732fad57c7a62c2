"""Queues come into the Terraform state in place of what an earlier release made them with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ops import adoption
from ops.adoption import Found, adopted, wanted
from ops.errors import OperatorError
from tests.ops.command import run

FIND = adoption.find
PROVIDER = 'provider["registry.terraform.io/hashicorp/aws"]'
URLS = {
    "payments-dlq": "https://sqs/1/payments-dlq",
    "events.fifo": "https://sqs/1/events.fifo",
}
QUEUES: dict[str, dict[str, Any]] = {
    "payments_dlq": {"QueueName": "payments-dlq"},
    "events_queue": {"QueueName": "events.fifo", "FifoQueue": True},
    "billing_dlq": {"QueueName": "billing-dlq"},
}


def resource(kind: str, name: str, **attributes: Any) -> dict[str, Any]:
    instance = {"schema_version": 0, "attributes": attributes, "dependencies": [f"aws_sqs_queue.{name}"]}
    return {"mode": "managed", "type": kind, "name": name, "provider": PROVIDER, "instances": [instance]}


def state(*resources: dict[str, Any]) -> dict[str, Any]:
    return {"version": 4, "lineage": "l", "serial": 7, "resources": list(resources)}


def test_a_former_queue_is_what_cloud_control_makes_now() -> None:
    before = state(resource("aws_sqs_queue", "payments_dlq", url=URLS["payments-dlq"]))
    found = adopted(before, QUEUES, URLS.get)
    assert found.names == ["events.fifo", "payments-dlq"]
    assert (found.state["serial"], found.state["lineage"]) == (8, "l")
    made = {each["name"]: each for each in found.state["resources"]}
    assert set(made) == {"payments_dlq", "events_queue"}
    assert {each["type"] for each in made.values()} == {"aws_cloudcontrolapi_resource"}
    attributes = made["events_queue"]["instances"][0]["attributes"]
    assert attributes["id"] == URLS["events.fifo"]
    assert attributes["type_name"] == "AWS::SQS::Queue"
    assert json.loads(attributes["desired_state"]) == QUEUES["events_queue"]
    assert before["serial"] == 7, "what was given stays as it is"


def test_what_depended_on_the_former_queue_depends_on_the_new_one() -> None:
    found = adopted(state(resource("aws_cloudwatch_event_target", "payments_dlq")), QUEUES, URLS.get)
    target = next(each for each in found.state["resources"] if each["type"] == "aws_cloudwatch_event_target")
    assert target["instances"][0]["dependencies"] == ["aws_cloudcontrolapi_resource.payments_dlq"]


def test_a_queue_in_the_state_stays_as_it_is() -> None:
    known = [resource("aws_cloudcontrolapi_resource", name, id="kept") for name in QUEUES]
    found = adopted(state(*known), QUEUES, URLS.get)
    assert found.names == []
    ids = [each["instances"][0]["attributes"]["id"] for each in found.state["resources"]]
    assert ids == ["kept"] * 3


def test_a_former_queue_that_aws_does_not_have_is_left_to_terraform() -> None:
    former = resource("aws_sqs_queue", "billing_dlq")
    found = adopted(state(former), QUEUES, URLS.get)
    assert "aws_sqs_queue" in [each["type"] for each in found.state["resources"]]
    assert "billing-dlq" not in found.names


def test_the_stack_says_which_queues_it_makes(tmp_path: Path) -> None:
    stack = {
        "resource": {
            "aws_cloudcontrolapi_resource": {
                "archive": {"type_name": "AWS::Events::Archive", "desired_state": "{}"},
                "events_queue": {
                    "type_name": "AWS::SQS::Queue",
                    "desired_state": json.dumps({**QUEUES["events_queue"], "KmsMasterKeyId": "${key.arn}"}),
                },
            }
        }
    }
    (tmp_path / "cdk.tf.json").write_text(json.dumps(stack))
    assert wanted(tmp_path) == {"events_queue": QUEUES["events_queue"]}


class FakeTerraform:
    """Terraform with a state; what is pushed is kept."""

    def __init__(self) -> None:
        self.pushed: list[Any] = []
        self.state: dict[str, Any] = {}

    def pull_state(self) -> dict[str, Any]:
        return self.state

    def push_state(self, state: Any) -> None:
        self.pushed.append(state)


@pytest.fixture
def terraform(monkeypatch: pytest.MonkeyPatch) -> FakeTerraform:
    """Two queues are found; the checkout and the stack are replaced."""
    made = FakeTerraform()

    @contextmanager
    def workspace(environment: str) -> Iterator[None]:
        assert environment in ("dev", "prod")
        yield None

    monkeypatch.setattr("ops.deploy.operator_workspace", workspace)
    monkeypatch.setattr("ops.deploy.stack_of", lambda *_: made)
    monkeypatch.setattr(adoption, "find", lambda *_: Found({"serial": 8}, ["a-dlq", "b-dlq"]))
    return made


@pytest.mark.parametrize(("option", "adopts"), [("--yes", True), ("--dry-run", False)])
def test_the_command_names_the_queues_and_adopts_them(
    terraform: FakeTerraform,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    option: str,
    *,
    adopts: bool,
) -> None:
    done = run(["adopt", "--env", "prod", option], monkeypatch, capsys)
    assert (done.code, terraform.pushed) == (0, [{"serial": 8}] if adopts else [])
    assert "a-dlq\nb-dlq\n" in done.out
    assert ("deploy --env prod" in done.out, "nothing was changed" in done.out) == (adopts, not adopts)
    document = json.loads(run(["adopt", "--env", "prod", option, "--json"], monkeypatch, capsys).out)
    assert document == {
        "environment": "prod",
        "queues": ["a-dlq", "b-dlq"],
        "adopted": adopts,
        "dry_run": not adopts,
    }


def test_the_command_does_nothing_where_nothing_is_left_to_adopt(
    terraform: FakeTerraform, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(adoption, "find", lambda *_: Found({}, []))
    done = run(["adopt", "--yes"], monkeypatch, capsys)
    assert (done.code, terraform.pushed, "nothing to do" in done.out) == (0, [], True)


def test_the_command_asks(
    terraform: FakeTerraform, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done = run(["adopt"], monkeypatch, capsys)
    assert (done.code, terraform.pushed, "pass --yes" in done.err) == (2, [], True)


def test_an_environment_that_was_never_deployed_has_nothing_to_adopt(terraform: FakeTerraform) -> None:
    stateless: Any = terraform
    with pytest.raises(OperatorError, match="run `huntaze-stripe deploy --env dev` first"):
        FIND(stateless, "dev")
