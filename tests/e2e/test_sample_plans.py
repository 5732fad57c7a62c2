"""The stored plans of `tests/plans` are what Terraform prints today: two of them, made again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from ops import plan_report
from tests.e2e.pipeline import Pipeline
from tests.plans import files
from tests.plans.maker import Maker
from tests.plans.variants import VARIANTS


@pytest.fixture(scope="module")
def maker(pipeline: Pipeline) -> Maker:
    return Maker(pipeline.deployment, pipeline.deployment.settings)


def found(plan: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {(each.rule, each.hit.address, each.hit.what) for each in plan_report.assess(plan).findings}


def changed(plan: Mapping[str, Any]) -> dict[str, Any]:
    """The changes of a plan by address."""
    return {
        each["address"]: each for each in plan["resource_changes"] if each["change"]["actions"] != ["no-op"]
    }


@pytest.mark.parametrize("name", ["unrouted-and-archive", "disabled"])
def test_a_stored_plan_is_what_terraform_prints(name: str, maker: Maker) -> None:
    (variant,) = [each for each in VARIANTS if each.name == name]
    made, stored = maker.stored(maker.plan(variant)), files.load(name)
    assert made.keys() == stored.keys()
    assert made["format_version"].split(".")[0] == stored["format_version"].split(".")[0]
    assert found(made) == found(stored)
    now, then = changed(made), changed(stored)
    assert now.keys() == then.keys()
    for address, each in now.items():
        assert each.keys() == then[address].keys()
        assert each["change"].keys() == then[address]["change"].keys()
        assert each["change"]["after"].keys() == then[address]["change"]["after"].keys()
