"""The errors of wrong `dlq` calls and of missing resources."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops import ROOT
from ops.local.loopback import free_port
from tests.ops.command import run
from tests.ops.dead_letters import REQUIRED, World
from tests.ops.refusing import refusing

COMMANDS = ("list", "show", "redrive --yes", "purge --yes")


@pytest.fixture(scope="module")
def queues_of_prod(dead_letter_world: World) -> Iterator[None]:
    """prod has its dead-letter queues, and neither functions nor the audit's queue; staging has nothing."""
    sqs = dead_letter_world.sqs
    urls = []
    for name in REQUIRED:
        fifo = name.endswith(".fifo")
        full = f"huntaze-stripe-{name.removesuffix('.fifo')}-prod" + (".fifo" if fifo else "")
        attributes = {"FifoQueue": "true"} if fifo else {}
        urls.append(sqs.create_queue(QueueName=full, Attributes=attributes)["QueueUrl"])
    yield
    for url in urls:
        sqs.delete_queue(QueueUrl=url)


@pytest.fixture(scope="module")
def refusals() -> Iterator[dict[str, str]]:
    """URLs of AWS endpoints that refuse."""
    with refusing("ExpiredTokenException") as expired, refusing("AccessDeniedException") as denied:
        yield {"expired": expired, "denied": denied, "tls": denied.replace("http:", "https:")}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("arguments", "changes", "code", "expected"),
    [
        ("--env nowhere", {}, 2, 'no environment "nowhere"; use one of dev, prod, staging'),
        ("", {"STRIPE_EVENT_SOURCE_NAME": "ed_1"}, 2, "_source_name = 'ed_1' has the wrong format"),
        ("--queue mail-dlq", {}, 2, "invalid --queue 'mail-dlq': use one of payments-dlq"),
        (
            "--queue huntaze-stripe-payments-dlq-prod",
            {},
            2,
            "it belongs to another environment; correct --env",
        ),
        ("--kind transitory", {}, 2, "invalid --kind 'transitory': did you mean transient?"),
        ("--kind x", {}, 2, "invalid --kind 'x': expected one of transient, permanent"),
        ("--type Invoice!", {}, 2, "invalid --type 'Invoice!': expected an event type such as invoice.paid"),
        ("--event-id évt", {}, 2, "invalid --event-id 'évt'"),
        ("--older-than 2", {}, 2, "invalid --older-than '2': expected a time such as 48h"),
        ("--older-than yesterday", {}, 2, "expected a time"),
        ("--older-than 2026-13-01", {}, 2, "expected a time"),
        ("", {"AWS_ENDPOINT_URL": "http://127.0.0.1:{free}"}, 1, "does not answer: check the network"),
        (
            "",
            {"AWS_ENDPOINT_URL": "{expired}"},
            1,
            "AWS refused the credentials (ExpiredTokenException): log in",
        ),
        (
            "",
            {"AWS_ENDPOINT_URL": "{denied}"},
            1,
            "needs the permission for GetQueueUrl; see docs/permissions.md",
        ),
        ("", {"AWS_ENDPOINT_URL": "foo"}, 2, "AWS_ENDPOINT_URL='foo': expected a URL such as"),
        ("", {"AWS_ENDPOINT_URL": "http://127.0.0.1:99999"}, 2, "127.0.0.1:99999': expected a URL"),
        ("", {"AWS_ENDPOINT_URL": "http://[::1"}, 2, "AWS_ENDPOINT_URL='http://[::1': expected a URL"),
        ("", {"AWS_ENDPOINT_URL_SQS": "bar"}, 2, "AWS_ENDPOINT_URL_SQS='bar': expected a URL"),
        ("", {"HTTPS_PROXY": "http://[::1"}, 2, "HTTPS_PROXY='http://[::1': expected the URL of a proxy"),
        ("", {"HTTP_PROXY": "127.0.0.1:{free}", "no_proxy": "none"}, 1, "the proxy does not answer: check"),
        ("", {"AWS_REGION": "eu west"}, 2, "AWS_REGION: aws_region = 'eu west' has the wrong format"),
        ("", {"AWS_PROFILE": "nobody"}, 1, "check AWS_PROFILE"),
        ("", {"AWS_PROFILE": " "}, 1, "unset AWS_PROFILE, or set it to a profile"),
        ("", {"AWS_ENDPOINT_URL": "{tls}", "AWS_CA_BUNDLE": "/nowhere"}, 1, "check AWS_CA_BUNDLE"),
        ("", {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, 1, "no AWS credentials"),
        ("--env staging", {}, 1, "the queue huntaze-stripe-payments-dlq-staging does not exist"),
        ("--queue log-dlq", {}, 1, "the queue huntaze-stripe-log-dlq-dev does not exist"),
    ],
)
def test_mistake_is_one_line_that_says_what_to_do(
    person: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    refusals: dict[str, str],
    command: str,
    arguments: str,
    changes: dict[str, str],
    code: int,
    expected: str,
) -> None:
    for name, value in changes.items():
        person.setenv(name, value.format(free=free_port(), **refusals))
        if not value:
            person.delenv(name)
    _is_one_line([*command.split(), *arguments.split()], code, expected, person, capsys)


@pytest.mark.parametrize(
    ("text", "code", "expected"),
    [
        ("[default\n", 1, "invalid AWS configuration {file}: correct the file, or check AWS_CONFIG_FILE"),
        (
            "[default]\nendpoint_url = foo\n",
            2,
            "invalid endpoint_url of sqs in the AWS configuration",
        ),
        ("[default]\nendpoint_url = http://127.0.0.1:99999\n", 2, "invalid endpoint_url of sqs"),
    ],
)
def test_wrong_aws_configuration_is_reported(
    person: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    text: str,
    code: int,
    expected: str,
) -> None:
    file = tmp_path / "config"
    file.write_text(text)
    person.setenv("AWS_CONFIG_FILE", str(file))
    person.delenv("AWS_ENDPOINT_URL")
    _is_one_line(["list"], code, expected.format(file=file), person, capsys)


def test_page_of_something_else_than_aws_is_cut_short(
    person: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with refusing("Strange", message="a long page " * 100) as url:
        person.setenv("AWS_ENDPOINT_URL", url)
        done = run(["dlq", "list"], person, capsys)
    assert "AWS refused the queue huntaze-stripe-payments-dlq-dev (Strange: a long page" in done.err
    assert len(done.err) < 450


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        ("redrive --yes --rate fast", 2, "invalid --rate 'fast': expected events per second, 0.01 to 100"),
        ("redrive --yes --rate 0", 2, "invalid --rate"),
        ("redrive --yes --rate -1", 2, "invalid --rate"),
        ("redrive --yes --rate 101", 2, "invalid --rate"),
        ("redrive --yes --rate nan", 2, "invalid --rate"),
        ("redrive --yes --rate inf", 2, "invalid --rate"),
        ("redrive", 2, "not a terminal: pass --yes to skip the confirmation"),
        ("redrive --json", 2, "not a terminal: pass --yes to skip the confirmation"),
        ("purge", 2, "not a terminal: pass --yes to skip the confirmation"),
        ("redrive --yes --env prod", 1, "the function huntaze-stripe-billing-prod does not exist"),
        (
            "redrive --yes --env prod --queue payments-dlq",
            1,
            "the function huntaze-stripe-payments-prod does not exist",
        ),
        (
            "redrive --yes --env prod --queue audit-dlq.fifo",
            1,
            "the queue huntaze-stripe-events-prod.fifo does not exist",
        ),
        ("purge --yes --file {folder}/there", 2, "it exists; use a new name"),
        ("purge --yes --file {folder}", 2, "it exists; use a new name"),
        ("purge --yes --file {folder}/none/new", 2, "its folder does not exist; create"),
        ("purge --yes --file {folder}/link", 2, "it exists"),
        ("purge --yes --file {folder}/\udcff", 2, "the name is not UTF-8"),
        (
            "redrive --yes --rate 1e-12",
            2,
            "expected events per second, 0.01 to 100",
        ),
    ],
)
def test_mistake_of_one_command_is_one_line_too(
    person: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    world: World,
    queues_of_prod: None,
    tmp_path: Path,
    arguments: str,
    code: int,
    expected: str,
) -> None:
    event_id = world.failed()
    (tmp_path / "there").touch()
    (tmp_path / "link").symlink_to("nowhere")
    _is_one_line([part.format(folder=tmp_path) for part in arguments.split()], code, expected, person, capsys)
    assert (world.counts(), world.invoked()) == ((1, 0), []), event_id


def test_folder_that_cannot_be_created_is_reported(
    person: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], world: World, tmp_path: Path
) -> None:
    person.chdir(tmp_path)
    (tmp_path / "build").touch()
    _is_one_line(["purge", "--yes", "--include-unsettled"], 1, "can't write", person, capsys)


@pytest.mark.parametrize("command", ["redrive --yes", "purge --yes"])
def test_other_account_than_the_environments_is_left_alone(
    person: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], world: World, command: str
) -> None:
    world.failed()
    person.setenv("AWS_ACCOUNT_ID", "999999999999")
    _is_one_line(
        command.split(), 1, "but dev is in 999999999999: use credentials of that account", person, capsys
    )
    assert (world.counts(), world.invoked()) == ((1, 0), [])


@pytest.mark.parametrize("arguments", [["list", "--colour", "red"], ["redrive", "now"], ["empty"]])
def test_unknown_options_are_wrong_usage(
    person: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    done = run(["dlq", *arguments], person, capsys)
    assert done.code == 2
    assert "Traceback" not in done.err


def _is_one_line(
    arguments: list[str],
    code: int,
    expected: str,
    person: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    done = run(["dlq", *arguments], person, capsys)
    assert (done.code, done.out, len(done.err.splitlines())) == (code, "", 1), done
    assert expected in done.err
    assert done.err.startswith("error: ")
    assert "Traceback" not in done.err


@pytest.mark.usefixtures("world")
def test_name_of_stripes_event_source_need_not_be_set(
    person: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    person.delenv("STRIPE_EVENT_SOURCE_NAME")
    done = run(["dlq", "list", "--json"], person, capsys)
    assert (done.code, json.loads(done.out)["letters"]) == (0, 0)


@pytest.mark.usefixtures("world")
def test_closed_pipe_ends_a_command_quietly(variables: dict[str, str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.Popen(
        [sys.executable, "-m", "ops", "dlq", "list", "--json"],
        cwd=ROOT,
        env={**os.environ, **variables},
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writing)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Traceback" not in said
    assert "error" not in said
