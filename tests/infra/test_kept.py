"""What real Terraform keeps when the key is turned off, the event source changes, or a release does."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ops import protection
from ops.errors import OperatorError
from ops.local import drive
from ops.local.clients import Aws
from ops.local.envelopes import SAMPLES
from ops.local.folder import run_folder
from ops.local.services import REGION, isolated_environment, running_emulator
from ops.terraform import KeptError, Terraform
from tests.infra.conftest import SOURCE, synthesise_into

DEV = "huntaze-stripe-dev"
PLAIN, KEY, OTHER, PROTECTED = "plain", "key", "other", "protected"
SETTINGS = {
    PLAIN: {},
    KEY: {"CREATE_KMS_KEY": "true"},
    OTHER: {"STRIPE_EVENT_SOURCE_NAME": f"{SOURCE}2"},
    PROTECTED: {"STRIPE_EVENT_SOURCE_NAME": f"{SOURCE}2", "DELETION_PROTECTION": "true"},
}
BUS, ARCHIVE = "aws_cloudwatch_event_bus.bus", "aws_cloudcontrolapi_resource.events_archive"
# Of a whole stack: what holds events at the bus, and the key.
KEPT = {
    "aws_cloudcontrolapi_resource": ("bus_dlq", "events_archive"),
    "aws_cloudwatch_event_bus": ("bus",),
    "aws_kms_alias": ("key_alias",),
    "aws_kms_key": ("key",),
}
Document = dict[str, Any]


class Account:
    """An embedded AWS with a partner event source, and a place where Terraform keeps its state."""

    def __init__(self, aws: Aws, stacks: Path, folder: Path) -> None:
        self.aws = aws
        self.stacks = stacks
        self._folder = folder
        self._place = folder / "stack"
        self._place.mkdir()

    def document(self, name: str) -> Document:
        """Return a stack that holds no more than KEPT."""
        text = (self._synthesised(name) / "cdk.tf.json").read_text()
        # The provider waits 25 s for a policy; the queue's address is its own, too.
        policy = "aws_sqs_queue_policy.bus_dlq_policy.queue_url"
        whole: Document = json.loads(text.replace(policy, "aws_cloudcontrolapi_resource.bus_dlq.id"))
        resources = {
            kind: {name: found for name, found in whole["resource"].get(kind, {}).items() if name in names}
            for kind, names in KEPT.items()
        }
        resources["aws_cloudwatch_event_bus"]["bus"].pop("depends_on")
        filled = {kind: found for kind, found in resources.items() if found}
        return {"data": whole["data"], "provider": whole["provider"], "resource": filled}

    def terraform(self, name: str, document: Document | None = None) -> Terraform:
        """Return Terraform in the place with its state, for one of the stacks or another document."""
        (self._place / "cdk.tf.json").write_text(json.dumps(document or self.document(name)))
        shutil.copy(self._synthesised(name) / "forgotten.tf", self._place)
        # A provider's socket lies in TMPDIR; the path of a socket is short.
        environment = isolated_environment(self._folder) | {
            "AWS_ENDPOINT_URL": self.aws.url,
            "TMPDIR": str(self._folder),
        }
        made = Terraform.at(self._place, environment, self._folder / "scratch")
        made.init()
        return made

    def send(self) -> None:
        """Put an event on the bus."""
        sample = json.loads((SAMPLES / "current" / "invoice.paid.json").read_text())
        drive.send(self.aws, SOURCE, [sample], lambda _: None)

    def archives(self) -> list[Document]:
        """Describe what archives there are, by name."""
        events = self.aws.client("events")
        listed = events.list_archives(NamePrefix="huntaze-stripe-archive-dev")["Archives"]
        names = sorted(archive["ArchiveName"] for archive in listed)
        return [events.describe_archive(ArchiveName=name) for name in names]

    def _synthesised(self, name: str) -> Path:
        return self.stacks / name / "cdktf.out" / "stacks" / DEV


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stacks")
    for name, settings in SETTINGS.items():
        (folder / name).mkdir()
        synthesise_into(folder / name, settings)
    return folder


@pytest.fixture
def account(stacks: Path) -> Iterator[Account]:
    # What is started in a run's folder ends with it, which the synth's Node.js must not: it is there before.
    with run_folder() as folder, running_emulator(folder) as url:
        aws = Aws(url, REGION)
        drive.register_source(aws, SOURCE)
        yield Account(aws, stacks, folder)


def planned(terraform: Terraform, folder: Path) -> tuple[Document, dict[str, list[str]]]:
    """Plan, and return the plan with what it does by address."""
    terraform.plan(folder / "plan")
    shown = terraform.show(folder / "plan")
    actions = {change["address"]: change["change"]["actions"] for change in shown["resource_changes"]}
    return shown, {address: done for address, done in actions.items() if done != ["no-op"]}


def test_a_key_that_is_turned_off_stays_and_the_archive_keeps_its_events(
    account: Account, tmp_path: Path
) -> None:
    account.terraform(KEY).apply()
    account.send()
    (before,) = account.archives()
    assert before["EventCount"] == 1
    without = account.terraform(PLAIN)
    _, actions = planned(without, tmp_path)
    assert actions == {
        "aws_kms_key.key": ["forget"],
        "aws_cloudcontrolapi_resource.bus_dlq": ["forget"],
        "aws_kms_alias.key_alias": ["delete"],
        BUS: ["update"],
        ARCHIVE: ["update"],
    }
    without.apply(tmp_path / "plan")
    (after,) = account.archives()
    assert (after["EventCount"], after["CreationTime"]) == (1, before["CreationTime"])
    assert before["KmsKeyIdentifier"]
    assert not after.get("KmsKeyIdentifier")
    key = account.aws.client("kms").describe_key(KeyId=before["KmsKeyIdentifier"])["KeyMetadata"]
    assert key["KeyState"] == "Enabled"
    account.aws.client("sqs").get_queue_url(QueueName="huntaze-stripe-bus-dlq-dev")


def test_a_new_event_source_fails_at_plan_or_is_seen_there(account: Account, tmp_path: Path) -> None:
    account.terraform(PLAIN).apply()
    with pytest.raises(KeptError) as kept:
        account.terraform(PROTECTED).plan()
    # What depends on a resource whose plan failed is not planned.
    assert kept.value.addresses == (BUS,)
    shown, actions = planned(account.terraform(OTHER), tmp_path)
    assert actions == {ARCHIVE: ["delete", "create"], BUS: ["delete", "create"]}
    with pytest.raises(OperatorError, match=f"would delete {re.escape(ARCHIVE)}"):
        protection.refuse_losses(shown, "dev", protected=False)


def test_a_new_event_source_gets_an_archive_beside_the_one_that_is_forgotten(account: Account) -> None:
    account.terraform(PLAIN).apply()
    account.send()
    drive.register_source(account.aws, f"{SOURCE}2")
    other = account.terraform(OTHER)
    command = [*other.engine.command, "state", "rm", BUS, ARCHIVE]
    subprocess.run(command, cwd=other.folder, env=dict(other.environment), check=True, capture_output=True)
    other.apply()
    assert sorted(archive["EventCount"] for archive in account.archives()) == [0, 1]
    assert other.plan().changes == 0


def test_an_earlier_releases_archive_keeps_its_events_beside_the_new_one(
    account: Account, tmp_path: Path
) -> None:
    document = account.document(PLAIN)
    del document["resource"]["aws_cloudcontrolapi_resource"]
    archive = {"name": "huntaze-stripe-archive-dev", "event_source_arn": f"${{{BUS}.arn}}"}
    document["resource"]["aws_cloudwatch_event_archive"] = {"archive": archive}
    earlier = account.terraform(PLAIN, document)
    (earlier.folder / "forgotten.tf").unlink()
    earlier.apply()
    account.send()
    upgraded = account.terraform(PLAIN)
    _, actions = planned(upgraded, tmp_path)
    assert actions == {"aws_cloudwatch_event_archive.archive": ["forget"], ARCHIVE: ["create"]}
    upgraded.apply(tmp_path / "plan")
    assert [each["EventCount"] for each in account.archives()] == [1, 0]
    # Not even with the environment.
    upgraded.destroy()
    assert [each["EventCount"] for each in account.archives()] == [1]
