"""`destination`: the event destination of an environment, at the reference Stripe API and an embedded AWS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from functions.pipeline.routing_table import ROUTES
from infra.event_types import subscribed
from infra.patterns import stripe_event_types
from ops.destination import event_source, settings_file
from ops.errors import OperatorError
from ops.local.clients import Aws
from ops.local.services import isolated_environment, running_emulator
from ops.reference.stripe import Fault, ReferenceStripe
from ops.reference.stripe.partner import EmbeddedPartner
from tests.ops.command import Done, run

KEY = "sk_test_destinations"
REGION = "eu-west-1"
FILE = '# dev\n\n# Required.\n# stripe_event_source_name = "aws.partner/stripe.com/ed_…"\nlivemode = false\n'
BY_HAND = {
    "name": "by hand",
    "type": "amazon_eventbridge",
    "event_payload": "snapshot",
    "snapshot_api_version": "2026-10-28.endive",
    "enabled_events": ["invoice.paid"],
}


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    with running_emulator(tmp_path_factory.mktemp("destination-aws")) as url:
        yield Aws(url, REGION)


@pytest.fixture(scope="module")
def running(aws: Aws) -> Iterator[ReferenceStripe]:
    with ReferenceStripe(KEY, partner=EmbeddedPartner(aws)) as server:
        yield server


@pytest.fixture
def stripe(running: ReferenceStripe) -> ReferenceStripe:
    running.clear()
    return running


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The environment's file, as it is shipped."""
    path = tmp_path / "dev.toml"
    path.write_text(FILE)
    monkeypatch.setattr(settings_file, "path_of", lambda _environment: path)
    return path


@pytest.fixture
def person(
    aws: Aws, stripe: ReferenceStripe, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> pytest.MonkeyPatch:
    del file
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    for name, value in isolated_environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.url)
    monkeypatch.setenv("STRIPE_API_URL", stripe.url)
    monkeypatch.setenv("STRIPE_SECRET_KEY", KEY)
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr(event_source, "POLL_SECONDS", 0.05)
    return monkeypatch


class Ops:
    """The command line, as a person of the account has it."""

    def __init__(self, person: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._person, self._capsys = person, capsys

    def __call__(self, *arguments: str) -> Done:
        return run(["destination", *arguments], self._person, self._capsys)

    def json(self, *arguments: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self(*arguments, "--json").out)
        return answer


@pytest.fixture
def ops(person: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ops:
    return Ops(person, capsys)


def name_in(file: Path) -> str:
    return settings_file.written(file)


def test_create_makes_the_destination_and_writes_its_source(ops: Ops, file: Path, aws: Aws) -> None:
    made = ops.json("create", "--yes")
    assert (made["name"], made["status"], made["aws_region"]) == ("huntaze-stripe-dev", "enabled", REGION)
    assert made["event_types"] == sorted(stripe_event_types())
    assert (made["missing"], made["superfluous"]) == ([], [])
    assert made["aws_event_source_state"] == "PENDING"
    assert made["event_source_name"] == f"aws.partner/stripe.com/{made['id']}" == name_in(file)
    assert file.read_text() == FILE.replace(
        '# stripe_event_source_name = "aws.partner/stripe.com/ed_…"',
        f'stripe_event_source_name = "{name_in(file)}"',
    )
    source = aws.client("events").describe_event_source(Name=made["event_source_name"])
    assert source["State"] == "PENDING"


def test_create_run_again_makes_no_second_one(ops: Ops, file: Path) -> None:
    first = ops.json("create", "--yes")
    file.write_text(FILE)
    again = ops.json("create", "--yes")
    assert again["id"] == first["id"]
    assert name_in(file) == first["event_source_name"]


def test_a_dry_run_creates_nothing(ops: Ops, file: Path) -> None:
    done = ops("create", "--dry-run")
    assert done.code == 0
    assert "would be created" in done.out
    assert "has no event destination" in ops("status").err
    assert file.read_text() == FILE


def test_create_asks_first(ops: Ops, file: Path) -> None:
    done = ops("create")
    assert (done.code, file.read_text()) == (2, FILE)
    assert "--yes" in done.err


def test_create_says_how_long_there_is_to_deploy(ops: Ops) -> None:
    done = ops("create", "--yes")
    assert "make deploy ENV=dev" in done.out
    assert "7 days" in done.out


def test_create_warns_of_an_exported_name(ops: Ops, person: pytest.MonkeyPatch) -> None:
    person.setenv("STRIPE_EVENT_SOURCE_NAME", "aws.partner/stripe.com/ed_other")
    assert "wins over the file" in ops("create", "--yes").err


def test_a_destination_in_another_region_gets_no_second_one_beside_it(
    ops: Ops, stripe: ReferenceStripe
) -> None:
    stripe.add_destination(
        {
            "name": "huntaze-stripe-dev",
            "type": "amazon_eventbridge",
            "event_payload": "snapshot",
            "snapshot_api_version": "2026-10-28.endive",
            "enabled_events": ["invoice.paid"],
            "amazon_eventbridge": {"aws_account_id": "123456789012", "aws_region": "us-east-1"},
        }
    )
    done = ops("create", "--yes")
    assert done.code == 1
    assert "us-east-1" in done.err


def test_two_destinations_of_one_environment_are_named(ops: Ops, stripe: ReferenceStripe) -> None:
    made = ops.json("create", "--yes")
    other = stripe.add_destination(
        {
            "name": "copy",
            "type": "amazon_eventbridge",
            "event_payload": "snapshot",
            "snapshot_api_version": "2026-10-28.endive",
            "enabled_events": ["invoice.paid"],
            "metadata": {"huntaze_environment": "dev"},
            "amazon_eventbridge": {"aws_account_id": made["aws_account_id"], "aws_region": REGION},
        }
    )
    done = ops("status")
    assert (done.code, made["id"] in done.err, other["id"] in done.err) == (1, True, True)


def test_status_and_update_name_what_differs(ops: Ops, stripe: ReferenceStripe) -> None:
    types = [each for each in subscribed(["*"]) if each not in ("invoice.paid", "balance.available")]
    stripe.add_destination(
        {
            "name": "by hand",
            "type": "amazon_eventbridge",
            "event_payload": "snapshot",
            "snapshot_api_version": "2026-10-28.endive",
            "enabled_events": types,
            "metadata": {"huntaze_environment": "dev"},
            "amazon_eventbridge": {"aws_account_id": account(ops), "aws_region": REGION},
        }
    )
    shown = ops("status")
    assert shown.code == 1
    assert "missing, routed (1): invoice.paid" in shown.out
    assert "missing, for the ledger (1): balance.available" in shown.out
    assert "next: `huntaze-stripe destination update --env dev`" in shown.out
    dry = ops("update", "--dry-run")
    assert (dry.code, "was not changed" in dry.out) == (0, True)
    assert "name: by hand, wanted huntaze-stripe-dev" in dry.out
    assert ops("status").code == 1
    updated = ops.json("update", "--yes")
    assert (updated["name"], updated["missing"]) == ("huntaze-stripe-dev", [])
    assert ops("status").code == 0
    assert "needs no change" in ops("update", "--yes").out


def test_a_name_and_metadata_that_update_sets_are_shown_first(
    ops: Ops, stripe: ReferenceStripe, person: pytest.MonkeyPatch
) -> None:
    place = {"aws_account_id": account(ops), "aws_region": REGION}
    made = stripe.add_destination({**BY_HAND, "amazon_eventbridge": place})
    person.setenv("STRIPE_EVENT_SOURCE_NAME", f"aws.partner/stripe.com/{made['id']}")
    dry = ops("update", "--dry-run")
    assert "metadata huntaze_environment: none, wanted dev" in dry.out
    assert "name: by hand, wanted huntaze-stripe-dev" in dry.out
    assert ops("update", "--yes").code == 0
    assert "wanted" not in ops("update", "--yes").out


def test_the_destination_of_another_environment_is_refused(
    ops: Ops, stripe: ReferenceStripe, person: pytest.MonkeyPatch
) -> None:
    place = {"aws_account_id": account(ops), "aws_region": REGION}
    metadata = {"huntaze_environment": "prod"}
    made = stripe.add_destination({**BY_HAND, "metadata": metadata, "amazon_eventbridge": place})
    person.setenv("STRIPE_EVENT_SOURCE_NAME", f"aws.partner/stripe.com/{made['id']}")
    for command in ("create --yes", "status", "update --yes", "enable", "disable --yes", "delete --yes"):
        done = ops(*command.split())
        assert (done.code, f"{made['id']} belongs to prod" in done.err) == (1, True), command
        assert "correct stripe_event_source_name of dev, or use --env prod" in done.err


def account(ops: Ops) -> str:
    made = ops.json("create", "--yes")
    ops("delete", "--yes")
    return str(made["aws_account_id"])


def test_fewer_types_of_the_ledger_are_superfluous(ops: Ops, person: pytest.MonkeyPatch) -> None:
    ops("create", "--yes")
    person.setenv("LEDGER_EVENT_TYPES", "invoice.*,!invoice.upcoming")
    shown = ops.json("status")
    assert "balance.available" in shown["superfluous"]
    assert "invoice.upcoming" in shown["superfluous"]
    assert not set(ROUTES) & set(shown["superfluous"])
    assert ops.json("update", "--yes")["superfluous"] == []


def test_thin_events_are_those_of_the_twins(ops: Ops, person: pytest.MonkeyPatch) -> None:
    person.setenv("THIN_EVENTS", "true")
    made = ops.json("create", "--yes")
    assert (made["event_payload"], made["snapshot_api_version"], made["missing"]) == ("thin", None, [])
    assert {f"v1.{each}" for each in ROUTES} <= set(made["event_types"])


def test_events_of_connected_accounts_are_asked_for_when_the_destination_is_created(
    ops: Ops, person: pytest.MonkeyPatch
) -> None:
    assert ops.json("create", "--yes")["events_from"] == ["@self"]
    person.setenv("RECONCILE_ACCOUNTS", "all")
    line = "events_from is @self, but reconcile_accounts needs @accounts: Stripe can't change it"
    shown = ops("status")
    assert (shown.code, line in shown.out) == (1, True)
    updated = ops("update", "--yes")
    assert (updated.code, line in updated.out) == (0, True)
    assert "has nothing that an update can change" in updated.out
    ops("delete", "--yes")
    made = ops.json("create", "--yes")
    assert (made["events_from"], made["unchangeable"]) == (["@self", "@accounts"], [])
    assert ops("status").code == 0


def test_a_payload_that_no_update_changes_is_named(ops: Ops, person: pytest.MonkeyPatch) -> None:
    ops("create", "--yes")
    person.setenv("THIN_EVENTS", "true")
    line = "payload is snapshot, which works with thin_events = true, too: Stripe can't change it, so thin "
    shown, updated = ops("status"), ops("update", "--yes")
    assert (shown.code, line in shown.out, updated.code, line in updated.out) == (0, True, 0, True)
    assert "needs no change" not in updated.out
    ops("delete", "--yes")
    ops("create", "--yes")
    assert "payload is" not in ops("status").out
    person.setenv("THIN_EVENTS", "false")
    assert "payload is thin, but thin_events = false: set it to true, and deploy" in ops("status").out


def test_disable_says_that_events_are_dropped_and_ping_then_refuses(ops: Ops) -> None:
    ops("create", "--yes")
    asked = ops("disable")
    assert asked.code == 2
    assert ops.json("disable", "--yes")["disabled_reason"] == "user"
    assert ops("status").code == 1
    refused = ops("ping")
    assert (refused.code, "is disabled (somebody disabled it)" in refused.err) == (1, True)
    enabled = ops("enable")
    assert (enabled.code, "reconcile" in enabled.out) == (0, True)
    assert ops.json("ping")["event_id"].startswith("evt_")


def test_a_ping_reaches_the_bus(ops: Ops, aws: Aws) -> None:
    made = ops.json("create", "--yes")
    events, sqs = aws.client("events"), aws.client("sqs")
    bus = made["event_source_name"]
    events.create_event_bus(Name=bus, EventSourceName=bus)
    url = sqs.create_queue(QueueName="pings")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    rule = events.put_rule(Name="all", EventBusName=bus, EventPattern=json.dumps({"source": [bus]}))
    allow = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": rule["RuleArn"]}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    events.put_targets(Rule="all", EventBusName=bus, Targets=[{"Id": "queue", "Arn": arn}])
    assert ops.json("status")["event_source_status"] == "active"
    event_id = ops.json("ping")["event_id"]
    [message] = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=10)["Messages"]
    envelope = json.loads(message["Body"])
    assert (envelope["source"], envelope["detail"]["id"]) == (bus, event_id)
    assert envelope["detail-type"] == "v2.core.event_destination.ping"


def test_delete_says_what_is_lost_and_removes_the_source(ops: Ops, aws: Aws) -> None:
    made = ops.json("create", "--yes")
    assert ops("delete").code == 2
    done = ops("delete", "--yes")
    assert (done.code, "new archive" in done.out) == (0, True)
    found = aws.client("events").list_event_sources(NamePrefix=made["event_source_name"])["EventSources"]
    assert found == []
    assert "has no event destination" in ops("status").err


def test_a_source_that_amazon_deleted_disables_the_destination(ops: Ops, aws: Aws) -> None:
    made = ops.json("create", "--yes")
    aws.client("events").delete_partner_event_source(
        Name=made["event_source_name"], Account=made["aws_account_id"]
    )
    shown = ops.json("status")
    assert (shown["status"], shown["disabled_reason"]) == ("disabled", "no_aws_event_source_exists")
    again = ops("create", "--yes")
    assert (again.code, "destination delete" in again.err) == (1, True)


@pytest.mark.parametrize("command", ["status", "update", "enable", "disable", "ping", "delete"])
def test_without_a_destination_the_next_step_is_named(ops: Ops, command: str) -> None:
    yes = ["--yes"] if command in ("update", "disable", "delete") else []
    done = ops(command, *yes)
    assert (done.code, "destination create --env dev" in done.err) == (1, True)


def test_a_wrong_key_and_one_of_the_other_mode_are_refused(ops: Ops, person: pytest.MonkeyPatch) -> None:
    person.setenv("STRIPE_SECRET_KEY", "sk_test_wrong")
    done = ops("create", "--yes")
    assert (done.code, "check the key" in done.err) == (1, True)
    person.setenv("STRIPE_SECRET_KEY", "sk_live_real")
    done = ops("create", "--yes")
    assert (done.code, "is a live key" in done.err) == (2, True)


def test_a_missing_right_of_the_key_is_named(ops: Ops, stripe: ReferenceStripe) -> None:
    stripe.fail(Fault(status=403, path="/v2/core/event_destinations"))
    done = ops("create", "--yes")
    stripe.clear_faults()
    assert (done.code, "write event destinations" in done.err) == (1, True)


@pytest.mark.parametrize(
    "before",
    [
        'stripe_event_source_name = "aws.partner/stripe.com/ed_old"  # why\nlivemode = true\n',
        "# a comment\nlivemode = true\n[payments]\nmemory_mb = 512 # enough\n",
    ],
)
def test_comments_and_tables_of_the_file_stay(tmp_path: Path, before: str) -> None:
    path = tmp_path / "prod.toml"
    path.write_text(before)
    settings_file.write(path, "aws.partner/stripe.com/ed_new")
    assert settings_file.written(path) == "aws.partner/stripe.com/ed_new"
    kept = path.read_text().replace("ed_new", "ed_old")
    assert all(line in kept for line in before.splitlines())
    assert [each.name for each in tmp_path.iterdir()] == ["prod.toml"]


def test_a_broken_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "dev.toml"
    path.write_text("livemode = \n")
    with pytest.raises(OperatorError, match="not valid TOML"):
        settings_file.write(path, "aws.partner/stripe.com/ed_new")
    assert path.read_text() == "livemode = \n"
