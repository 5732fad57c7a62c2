"""The secret is never emptied by an apply that nobody meant to empty it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from ops.deploy import SavedPlan, Workspace, apply, plan
from ops.errors import OperatorError
from ops.progress import Steps
from ops.secret_changes import rewrites_secret
from ops.terraform import PlanSummary, Terraform, operator_environment

KEYS = {"HUNTAZE_API_KEY": "hk", "STRIPE_SECRET_KEY": "sk", "DATABASE_URL": "postgresql://"}


class Recorded(Terraform):
    """Terraform that only notes that it was asked to apply."""

    def apply(self, *_: Any, **__: Any) -> PlanSummary:
        raise NotImplementedError("applied")


def planned(folder: Path, exported: dict[str, str], *, rewrites: bool = True) -> SavedPlan:
    (folder / "cdk.tf.json").write_text("{}")
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **exported}
    terraform = Recorded.at(folder, operator_environment(environment), folder)
    return SavedPlan(terraform, folder / "plan", PlanSummary(change=1), folder / "plan.md", rewrites)


@pytest.mark.parametrize("absent", KEYS)
def test_value_that_is_not_exported_stops_an_apply_that_rewrites_the_secret(
    tmp_path: Path, absent: str
) -> None:
    exported = {name: value for name, value in KEYS.items() if name != absent}
    with pytest.raises(OperatorError, match=f"{absent} would be empty.*TF_VAR_{absent}= to empty it"):
        apply(planned(tmp_path, exported), Steps(Console()))


@pytest.mark.parametrize(
    ("exported", "rewrites"),
    [(KEYS, True), ({**KEYS, "DATABASE_URL": "", "TF_VAR_DATABASE_URL": ""}, True), ({}, False)],
    ids=["all exported", "emptied on purpose", "another plan"],
)
def test_other_applies_go_on(tmp_path: Path, exported: dict[str, str], rewrites: bool) -> None:
    with pytest.raises(NotImplementedError, match="applied"):
        apply(planned(tmp_path, exported, rewrites=rewrites), Steps(Console()))


def test_secrets_are_rewritten_where_one_is_added_to_existing_ones() -> None:
    """An upgrade that splits a secret creates some of them, and must not create them empty."""
    changes = [
        {"type": "aws_secretsmanager_secret_version", "change": {"actions": actions}}
        for actions in (["no-op"], ["create"], ["create"])
    ]
    assert rewrites_secret({"resource_changes": changes})
    assert not rewrites_secret({"resource_changes": changes[1:]})


@pytest.mark.parametrize(
    ("actions", "rewrites"),
    [
        (["update"], True),
        (["delete", "create"], True),
        (["create", "delete"], True),
        (["create"], False),
        (["delete"], False),
        (["no-op"], False),
    ],
)
def test_only_an_existing_secret_is_rewritten(actions: list[str], rewrites: bool) -> None:
    change = {"type": "aws_secretsmanager_secret_version", "change": {"actions": actions}}
    other = {"type": "aws_secretsmanager_secret", "change": {"actions": ["update"]}}
    assert rewrites_secret({"resource_changes": [other, change]}) is rewrites
    assert rewrites_secret({}) is False


@pytest.fixture
def planning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """prod's workspace, in which a synth and a plan find nothing to do."""
    nothing = planned(tmp_path, {})
    monkeypatch.setattr("ops.deploy.synthesise", lambda *_: None)
    monkeypatch.setattr("ops.deploy.plan_stack", lambda *_, **__: nothing)
    environment = {"STRIPE_EVENT_SOURCE_NAME": "aws.partner/stripe.com/ed_1", "ALERT_EMAILS": "none"}
    return Workspace(tmp_path, tmp_path, tmp_path, environment)


def test_live_events_are_deployed_to_a_named_account_only(planning: Workspace) -> None:
    with pytest.raises(OperatorError, match="aws_account_id is empty: set it to the 12 digits") as raised:
        plan(planning, "prod", Steps(Console()), applied=True)
    assert raised.value.usage
    assert "environments/prod.toml" in str(raised.value)
    named = replace(planning, environment={**planning.environment, "AWS_ACCOUNT_ID": "123456789012"})
    plan(named, "prod", Steps(Console()), applied=True)


def test_a_plan_alone_and_test_events_need_no_named_account(planning: Workspace) -> None:
    plan(planning, "prod", Steps(Console()))
    plan(planning, "staging", Steps(Console()), applied=True)
