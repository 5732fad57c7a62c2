"""The rights of each command are enough, and each action of them is needed.

Enough: all end-to-end tests before ran each command under a role with its rights alone.
"""

from __future__ import annotations

import pytest

from ops import environment as environments
from ops import preflight
from ops.dev.command_rights import NOT_EXERCISED
from ops.local.deployment import shell_exports
from ops.local.observer import decided_calls
from ops.rights import of_commands, without_options
from tests.e2e.operators import role_name
from tests.e2e.pipeline import Pipeline


@pytest.mark.parametrize("command", ["plan", "deploy"])
def test_checks_of_a_plan_look_at_everything(
    pipeline: Pipeline, closed_subnet: str, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    # From the deployment's own subnet a NAT gateway leads out, so that nobody asks for endpoints.
    settings = {"AUDIT_SUBNET_IDS": closed_subnet, "PAYMENTS_RESERVED_CONCURRENCY": "1"}
    exports = shell_exports(pipeline.deployment) | pipeline.operators.variables([command])
    for name, value in (exports | settings).items():
        monkeypatch.setenv(name, value)
    found = list(preflight.findings(environments.connect("dev"), makes_bus=False))
    assert [each.text for each in found if "was not checked" in each.text] == []
    assert [closed_subnet in each.text for each in found if each.fatal] == [True]


def test_no_command_is_refused_and_each_action_is_needed(pipeline: Pipeline) -> None:
    commands = of_commands(pipeline.operators.place)
    roles = {role_name(command): without_options(command) for command in commands}
    calls = [
        (roles[call["caller"].rpartition("/")[2]], call)
        for call in decided_calls(pipeline.deployment.services.aws)
        if call["caller"].rpartition("/")[2] in roles
    ]
    assert [(command, call["advice"]) for command, call in calls if not call["allowed"]] == []
    wanted = {
        (without_options(command), statement.sid, action)
        for command, statements in commands.items()
        for statement in statements
        for action in statement.actions
    }
    needed = {(command, sid, call["action"]) for command, call in calls for _, sid, _ in call["needs"]}
    superfluous = sorted(one for one in wanted - needed if one[1:] not in NOT_EXERCISED)
    assert not superfluous, "take the action out of ops/rights, or write down why it stays"
    stale = sorted(one for one in needed if one[1:] in NOT_EXERCISED)
    assert not stale, "a call needs it: take it out of NOT_EXERCISED"
