"""Each command that calls AWS has its rights in `ops.rights`, and no page lists them a second time."""

from __future__ import annotations

import re
from typing import Any

import pytest

from infra.policy import Statement, document
from ops import ROOT
from ops.cli import PANELS, command_line
from ops.dev.command_rights import NOT_EXERCISED
from ops.rights import WHY, Place, of_commands, without_options

PLACE = Place("prod", "111122223333", "eu-west-1", "aws.partner/stripe.com/ed_1", "arn:aws:kms:key")
COMMANDS = of_commands(PLACE)
STATEMENTS = [statement for statements in COMMANDS.values() for statement in statements]
# They run Terraform, an embedded AWS, or neither, and make no call to AWS of their own.
OWN_CALLS_NONE = {
    "bootstrap",
    "plan-report",
    "cost",
    "destroy",
    "bundles",
    "chaos",
    "simulate",
    "api check",
    "send",
    "local",
    "local status",
    "local down",
}
ACTION = re.compile(r"`[a-z0-9]+:[A-Z]\w+`")


def leaves(command: Any, name: str = "") -> list[str]:
    below = getattr(command, "commands", {})
    own = [name] if not below or command.invoke_without_command else []
    return own + [leaf for word, each in below.items() for leaf in leaves(each, f"{name} {word}".strip())]


def test_every_command_is_listed() -> None:
    listed = {without_options(command) for command in COMMANDS}
    assert listed | OWN_CALLS_NONE == {leaf for leaf in leaves(command_line()) if leaf}
    assert not listed & OWN_CALLS_NONE
    assert {command.partition(" ")[0] for command in listed} <= {
        name for each in PANELS.values() for name in each
    }


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_of_a_command_exists(command: str) -> None:
    found: Any = command_line()
    for word in without_options(command).split():
        found = found.commands[word]
    _, separator, option = command.partition(" --")
    assert not separator or f"--{option}" in [name for each in found.params for name in each.opts]


def test_a_statement_has_one_meaning_and_a_reason() -> None:
    meanings: dict[str, set[str]] = {}
    for statement in STATEMENTS:
        meanings.setdefault(statement.sid, set()).add(document(statement))
    assert {sid: len(found) for sid, found in meanings.items()} == dict.fromkeys(WHY, 1)
    assert {sid for sid, _ in NOT_EXERCISED} <= set(WHY)


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda each: each.sid)
def test_a_statement_names_actions_and_resources_of_the_environment(statement: Statement) -> None:
    assert not any("*" in action for action in statement.actions)
    for resource in statement.resources:
        named = "prod" in resource or PLACE.bus in resource or resource in ("*", PLACE.key, PLACE.state)
        assert named or statement.condition, resource


def test_without_a_key_nothing_needs_one() -> None:
    without = of_commands(Place("prod", "111122223333", "eu-west-1", "bus"))
    actions = {action for statements in without.values() for each in statements for action in each.actions}
    assert not [action for action in actions if action.startswith("kms:")]


@pytest.mark.parametrize("page", ["operations", "replay-and-reconcile", "personal-data", "deploy"])
def test_no_other_page_lists_rights_of_commands(page: str) -> None:
    assert ACTION.findall((ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")) == []
