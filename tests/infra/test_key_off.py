"""The key is turned off by real Terraform: it stays, and so does all that it encrypted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ops.local import drive
from ops.local.clients import Aws
from ops.local.envelopes import SAMPLES
from ops.local.folder import run_folder
from ops.local.services import REGION, isolated_environment, running_emulator
from ops.terraform import Terraform
from tests.infra.conftest import SOURCE, synthesise_into

DEV = "huntaze-stripe-dev"
# Of a whole stack: what holds events at the bus, and the key.
KEPT = {
    "aws_cloudcontrolapi_resource": ("bus_dlq", "events_archive"),
    "aws_cloudwatch_event_bus": ("bus",),
    "aws_kms_alias": ("key_alias",),
    "aws_kms_key": ("key",),
}


@pytest.fixture
def stacks(tmp_path: Path) -> dict[bool, Path]:
    """dev's stack with a key, and without one."""
    folders = {True: tmp_path / "with", False: tmp_path / "without"}
    for key, folder in folders.items():
        folder.mkdir()
        folders[key] = synthesise_into(folder, {"CREATE_KMS_KEY": str(key).lower()}) / "stacks" / DEV
    return folders


@pytest.fixture
def short(stacks: dict[bool, Path]) -> Iterator[Path]:
    """A run's folder: what is started from here on ends with it, which the synth's Node.js must not."""
    del stacks
    with run_folder() as folder:
        yield folder


@pytest.fixture
def aws(short: Path) -> Iterator[Aws]:
    with running_emulator(short) as url:
        aws = Aws(url, REGION)
        drive.register_source(aws, SOURCE)
        yield aws


def terraform(aws: Aws, synthesised: Path, place: Path, short: Path) -> Terraform:
    """Return Terraform in a place with its state, for a stack that holds no more than KEPT."""
    text = (synthesised / "cdk.tf.json").read_text()
    # The provider waits 25 s for a policy; the queue's address is its own, too.
    policy, queue = "aws_sqs_queue_policy.bus_dlq_policy.queue_url", "aws_cloudcontrolapi_resource.bus_dlq.id"
    whole: dict[str, Any] = json.loads(text.replace(policy, queue))
    resources = {
        kind: {
            name: whole["resource"][kind][name] for name in names if name in whole["resource"].get(kind, {})
        }
        for kind, names in KEPT.items()
    }
    resources["aws_cloudwatch_event_bus"]["bus"].pop("depends_on")
    stack = {name: whole[name] for name in ("data", "provider")}
    place.mkdir(exist_ok=True)
    (place / "cdk.tf.json").write_text(
        json.dumps(stack | {"resource": {kind: found for kind, found in resources.items() if found}})
    )
    shutil.copy(synthesised / "forgotten.tf", place)
    # A provider's socket lies there; the path of a socket is short.
    environment = isolated_environment(short) | {"AWS_ENDPOINT_URL": aws.url, "TMPDIR": str(short)}
    made = Terraform.at(place, environment, short / "scratch")
    made.init()
    return made


def archive(aws: Aws) -> dict[str, Any]:
    events = aws.client("events")
    (listed,) = events.list_archives(NamePrefix="huntaze-stripe-archive-dev")["Archives"]
    described: dict[str, Any] = events.describe_archive(ArchiveName=listed["ArchiveName"])
    return described


def test_a_key_that_is_turned_off_stays_and_the_archive_keeps_its_events(
    aws: Aws, stacks: dict[bool, Path], short: Path, tmp_path: Path
) -> None:
    terraform(aws, stacks[True], tmp_path / "stack", short).apply()
    sample = json.loads((SAMPLES / "current" / "invoice.paid.json").read_text())
    drive.send(aws, SOURCE, [sample], lambda _: None)
    before = archive(aws)
    assert before["EventCount"] == 1
    without = terraform(aws, stacks[False], tmp_path / "stack", short)
    planned = without.plan(tmp_path / "plan")
    # The alias.
    assert planned.destroy == 1
    forgotten = {
        change["address"]
        for change in without.show(tmp_path / "plan")["resource_changes"]
        if change["change"]["actions"] == ["forget"]
    }
    assert forgotten == {"aws_kms_key.key", "aws_cloudcontrolapi_resource.bus_dlq"}
    without.apply(tmp_path / "plan")
    after = archive(aws)
    assert (after["EventCount"], after["CreationTime"]) == (1, before["CreationTime"])
    assert before["KmsKeyIdentifier"]
    assert not after.get("KmsKeyIdentifier")
    key = aws.client("kms").describe_key(KeyId=before["KmsKeyIdentifier"])["KeyMetadata"]
    assert key["KeyState"] == "Enabled"
    aws.client("sqs").get_queue_url(QueueName="huntaze-stripe-bus-dlq-dev")
