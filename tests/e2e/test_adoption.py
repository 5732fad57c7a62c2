"""Real Terraform adopts the queues of an earlier release with the messages in them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra.forgotten import FILE
from ops import adoption
from ops.local.deployment import shell_exports
from ops.terraform import Terraform, TerraformError
from tests.e2e.operators import Operators
from tests.e2e.pipeline import Pipeline

QUEUES = ("payments_dlq", "billing_dlq", "audit_dlq")
KIND = "aws_cloudcontrolapi_resource"
Stack = dict[str, Any]


@pytest.fixture(scope="module")
def now(pipeline: Pipeline) -> Stack:
    """The queues and their policies as the deployed stack makes them, under names of their own."""
    text = (pipeline.deployment.terraform.folder / "cdk.tf.json").read_text()
    whole: Stack = json.loads(text.replace("-dev", "-old"))
    made = whole["resource"]
    resources = {
        KIND: {name: made[KIND][name] for name in QUEUES},
        "aws_sqs_queue_policy": {
            f"{name}_policy": made["aws_sqs_queue_policy"][f"{name}_policy"] for name in QUEUES
        },
    }
    target = "${aws_sqs_queue_policy.billing_dlq_policy.queue_url}"
    kept = {name: whole[name] for name in ("data", "provider")}
    forgotten = (pipeline.deployment.terraform.folder / FILE).read_text()
    assert all(f"from = aws_sqs_queue.{name}\n" in forgotten for name in QUEUES)
    removed = [{"from": f"aws_sqs_queue.{name}", "lifecycle": {"destroy": False}} for name in QUEUES]
    return {**kept, "resource": with_target(resources, target), "removed": removed}


def with_target(resources: Stack, address: str) -> Stack:
    """Add a rule's target, which has its queue's address in its input."""
    rule = {"name": "adoption", "event_pattern": '{"source":["nothing"]}'}
    arn = "arn:aws:sqs:eu-west-1:000000000000:huntaze-stripe-payments-dlq-old"
    target = {"rule": "${aws_cloudwatch_event_rule.one.name}", "arn": arn, "input": json.dumps(address)}
    return {
        **resources,
        "aws_cloudwatch_event_rule": {"one": rule},
        "aws_cloudwatch_event_target": {"one": target},
    }


def before(now: Stack) -> Stack:
    """The same as the release before made it, with the provider's own resource."""
    queues = {}
    for name in QUEUES:
        properties = json.loads(now["resource"][KIND][name]["desired_state"])
        queues[name] = {
            "name": properties["QueueName"],
            "fifo_queue": properties.get("FifoQueue"),
            "content_based_deduplication": properties.get("ContentBasedDeduplication"),
            "message_retention_seconds": properties["MessageRetentionPeriod"],
            "sqs_managed_sse_enabled": True,
            "policy": now["resource"]["aws_sqs_queue_policy"][f"{name}_policy"]["policy"],
            "redrive_allow_policy": json.dumps(properties["RedriveAllowPolicy"]),
        }
    resources = with_target({"aws_sqs_queue": queues}, "${aws_sqs_queue.billing_dlq.url}")
    return {"data": now["data"], "provider": now["provider"], "resource": resources}


@pytest.fixture(scope="module")
def stack(pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Stack], Terraform]:
    """Return Terraform in a folder of this name, with that stack and a state beside it."""
    folder = tmp_path_factory.mktemp("adoption")

    def at(name: str, document: Stack) -> Terraform:
        place: Path = folder / name
        place.mkdir(exist_ok=True)
        (place / "cdk.tf.json").write_text(json.dumps(document))
        # Not as the deploy role, whose rights end at the environment's own names.
        terraform = Terraform.at(place, pipeline.deployment.workspace.environment, folder / "scratch")
        terraform.init()
        return terraform

    return at


@pytest.fixture(scope="module")
def waiting(
    pipeline: Pipeline, now: Stack, stack: Callable[[str, Stack], Terraform]
) -> Iterator[Callable[[str], Terraform]]:
    """Deploy the release before, with a message that waits; return Terraform with that state in a folder."""
    aws = pipeline.deployment.services.aws
    old = stack("old", before(now))
    old.apply()
    aws.client("sqs").send_message(QueueUrl=address(pipeline), MessageBody="waits")

    def in_folder(name: str) -> Terraform:
        shutil.copytree(old.folder, old.folder.parent / name)
        return stack(name, now)

    yield in_folder
    for url in aws.client("sqs").list_queues()["QueueUrls"]:
        if url.removesuffix(".fifo").endswith("-old"):
            aws.client("sqs").delete_queue(QueueUrl=url)
    old.destroy()


@pytest.fixture(scope="module")
def operators(pipeline: Pipeline) -> Operators:
    """Who may adopt the queues, which have names of their own."""
    return Operators(pipeline.operators.aws, replace(pipeline.operators.place, environment="old"))


@pytest.fixture(autouse=True)
def exports(pipeline: Pipeline, operators: Operators, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (shell_exports(pipeline.deployment) | operators.variables(("adopt",))).items():
        monkeypatch.setenv(name, value)


def test_a_deploy_without_it_fails_and_loses_nothing(
    pipeline: Pipeline, waiting: Callable[[str], Terraform]
) -> None:
    terraform = waiting("too-soon")
    assert terraform.plan().destroy == 0
    with pytest.raises(TerraformError, match="already exists"):
        terraform.apply()
    take_over(pipeline, terraform)


def test_queues_are_adopted_before_the_deploy(
    pipeline: Pipeline, waiting: Callable[[str], Terraform]
) -> None:
    take_over(pipeline, waiting("in-time"))


def take_over(pipeline: Pipeline, terraform: Terraform) -> None:
    """Take the queues into the state, and deploy: nothing is destroyed, and what waits is there."""
    sqs, url = pipeline.deployment.services.aws.client("sqs"), address(pipeline)
    limited = {"MaximumMessageSize": "262144", "VisibilityTimeout": "0"}
    sqs.set_queue_attributes(QueueUrl=url, Attributes=limited)
    found = adoption.find(terraform, "dev")
    assert len(found.names) == len(QUEUES)
    terraform.push_state(found.state)
    plan = terraform.folder / "plan"
    summary = terraform.plan(plan)
    assert (summary.add, summary.change, summary.destroy) == (len(QUEUES), len(QUEUES), 0)
    changes = {change["address"]: change for change in terraform.show(plan)["resource_changes"]}
    assert changes["aws_cloudwatch_event_target.one"]["change"]["actions"] == ["no-op"]
    terraform.apply(plan)
    assert terraform.plan().changes == 0
    assert adoption.find(terraform, "dev").names == []
    adopted = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert (adopted["MaximumMessageSize"], adopted["MessageRetentionPeriod"]) == ("1048576", "1209600")
    messages = sqs.receive_message(QueueUrl=url, VisibilityTimeout=0)["Messages"]
    assert [message["Body"] for message in messages] == ["waits"]


def address(pipeline: Pipeline) -> str:
    sqs = pipeline.deployment.services.aws.client("sqs")
    url: str = sqs.get_queue_url(QueueName="huntaze-stripe-payments-dlq-old")["QueueUrl"]
    return url
