"""Each alarm has one runbook, each runbook an alarm, and the commands in the runbooks exist."""

from __future__ import annotations

import itertools
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.exceptions import TyperException

from infra import settings
from infra.app import synthesise
from infra.errors import SettingsError
from ops import ROOT
from tests.infra.conftest import SOURCE, make_bundle
from tests.infra.documented import check_aws, check_ours, commands
from tests.infra.terraform_json import Stack

FOLDER = ROOT / "docs" / "runbooks"
PAGES = {path.stem: path for path in sorted(FOLDER.glob("*.md")) if path.stem != "README"}
SECTIONS = ["What it means", "How to look", "How to fix", "How to confirm"]
# The settings that add alarms, off and on.
SWITCHES = {
    "AUTO_REDRIVE": ("false", "true"),
    "RECONCILE": ("off", "heal"),
    "LEDGER_COMPACTION": ("false", "true"),
    "CREATE_KMS_KEY": ("false", "true"),
    "BUS_LOGS": ("false", "true"),
    "HEARTBEAT_MINUTES": ("0", "60"),
}


def stack_of_dev(folder: Path, overrides: dict[str, str]) -> Stack:
    folder.mkdir()
    environ = {"STRIPE_EVENT_SOURCE_NAME": SOURCE, **overrides}
    bundle = make_bundle(folder)
    synthesise(
        folder / "out",
        state=settings.load_state(environ=environ),
        environments=[settings.load("dev", environ=environ)],
        bundles={"dev": {"handlers": bundle, "audit": bundle}},
    )
    return Stack.read(folder / "out", "huntaze-stripe-dev")


def alarms(stack: Stack) -> dict[str, str]:
    """Descriptions by the alarm's name without its environment."""
    found = [
        *stack.of_type("aws_cloudwatch_metric_alarm").values(),
        *stack.of_type("aws_cloudwatch_composite_alarm").values(),
    ]
    return {
        each["alarm_name"].removesuffix(f"-{stack.environment}"): each["alarm_description"] for each in found
    }


@pytest.fixture(scope="module")
def every_combination(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """The alarms of dev under all settings off, each one on, and all on: no setting undoes another's."""
    folder = tmp_path_factory.mktemp("combinations")
    off = {name: values[0] for name, values in SWITCHES.items()}
    on = {name: values[1] for name, values in SWITCHES.items()}
    variants = [off, on, *(off | {name: on[name]} for name in SWITCHES)]
    return [alarms(stack_of_dev(folder / str(number), each)) for number, each in enumerate(variants)]


def braces(text: str) -> Iterator[str]:
    """Expand a{b,c} as a shell does."""
    parts = re.split(r"\{([^{}]*,[^{}]*)\}", text)
    choices = [part.split(",") if index % 2 else [part] for index, part in enumerate(parts)]
    return map("".join, itertools.product(*choices))


def named_by(page: Path) -> set[str]:
    """The alarms in the list at the top of a page, without their environment."""
    head = page.read_text(encoding="utf-8").split("\n## ")[0]
    return {
        name.removesuffix("-{env}") for text in re.findall(r"`(huntaze[^`]*)`", head) for name in braces(text)
    }


def test_each_alarm_is_on_the_one_page_that_its_description_names(
    every_combination: list[dict[str, str]], stack: Stack, secured: Stack
) -> None:
    page_of = {name: page for page, path in PAGES.items() for name in named_by(path)}
    assert sum(len(named_by(path)) for path in PAGES.values()) == len(page_of), "an alarm is on two pages"
    seen = set()
    for found in (*every_combination, alarms(stack), alarms(secured)):
        for name, description in found.items():
            (page,) = re.findall(r" Runbook: docs/runbooks/([a-z-]+)\.md$", description)
            assert page in PAGES, f"{name} has no runbook: write docs/runbooks/{page}.md"
            assert page_of.get(name) == page, f"list {name} at the top of docs/runbooks/{page}.md"
            seen.add(name)
    assert set(page_of) == seen, "runbooks name alarms that no settings make"
    assert set(page_of.values()) == set(PAGES), "a runbook names no alarm"


def test_an_alarm_of_each_switch_is_among_the_combinations(every_combination: list[dict[str, str]]) -> None:
    off, on, *singles = every_combination
    assert all(set(single) > set(off) for single in singles)
    assert set(on) == {name for single in singles for name in single}


def test_with_a_repository_url_descriptions_link_and_nothing_else_changes(tmp_path: Path) -> None:
    url = "https://github.com/huntaze/huntaze-stripe-eventbridge"
    plain = stack_of_dev(tmp_path / "plain", {})
    linked = stack_of_dev(tmp_path / "linked", {"REPOSITORY_URL": url})
    for name, description in alarms(plain).items():
        expected = description.replace(" docs/runbooks/", f" {url}/blob/HEAD/docs/runbooks/")
        assert alarms(linked)[name] == expected != description
        assert len(expected) <= 1024
    text = json.dumps(linked.document)
    assert json.loads(text.replace(f"{url}/blob/HEAD/", "")) == plain.document


@pytest.mark.parametrize(
    "url", ["http://x.com/a", "https://x.com/a/", "https://u@x.com/a", "https://x.com/a?b"]
)
def test_a_repository_url_that_no_link_can_begin_with_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match=r"repository_url = .* has the wrong format"):
        settings.load("dev", environ={"STRIPE_EVENT_SOURCE_NAME": SOURCE, "REPOSITORY_URL": url})


@pytest.mark.parametrize("page", PAGES)
def test_a_runbook_has_its_sections_with_commands(page: str) -> None:
    text = PAGES[page].read_text(encoding="utf-8")
    assert text.startswith(f"# {page}: ")
    _head, *sections = re.split(r"^## ", text, flags=re.MULTILINE)
    assert [section.split("\n")[0] for section in sections] == SECTIONS
    for section in (sections[1], sections[3]):
        assert list(commands(section)), section


def test_the_index_lists_every_runbook_with_its_title() -> None:
    index = (FOLDER / "README.md").read_text(encoding="utf-8")
    for page, path in PAGES.items():
        title = path.read_text(encoding="utf-8").split("\n")[0].removeprefix(f"# {page}: ")
        assert f"| [{page}]({page}.md) | {title} |" in index


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_runbook_exist(page: str, secured: Stack) -> None:
    # What prod has with every switch on, and the functions that only run where events are live.
    names = json.dumps(secured.document) + " ".join(secured.queues())
    logged = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "functions").rglob("*.py"))
    for command in commands(PAGES[page].read_text(encoding="utf-8")):
        program, *words = shlex.split(command)
        if program == "huntaze-stripe":
            check_ours(words)
        elif program == "aws":
            check_aws(words)
            for name in re.findall(
                r"(?:/aws/lambda/)?huntaze-stripe-[a-z.-]+", command.replace("-inner", "-")
            ):
                assert name in names, f"{name} is not in the stack"
            for message in re.findall(r'\$\.message = "([^"]+)"', command):
                assert f'"{message}"' in logged, f"no function logs {message!r}"
        else:
            assert program == "export", command


@pytest.mark.parametrize("wrong", ["dlq lst", "dlq list --envv prod", "replay start --env prod"])
def test_a_command_of_ours_that_does_not_exist_is_found(wrong: str) -> None:
    with pytest.raises((AssertionError, TyperException)):
        check_ours(wrong.split())


@pytest.mark.parametrize("wrong", ["sqs get-queue", "sqs get-queue-url --name x", "sqs get-queue-url"])
def test_a_command_of_aws_that_does_not_exist_is_found(wrong: str) -> None:
    with pytest.raises(AssertionError):
        check_aws(wrong.split())
