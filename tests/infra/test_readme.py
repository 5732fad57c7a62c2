"""What the documents say of alarms is what the stacks hold: their names, all of them, and what they cost."""

from __future__ import annotations

import re

from infra.names import ENVIRONMENTS
from ops import ROOT
from tests.infra.terraform_json import Stack, metrics_of

README = ROOT / "README.md"
COSTS = ROOT / "docs" / "costs.md"


def suffixes() -> set[str]:
    """The names in the first column of the table, without their ellipsis."""
    table = README.read_text(encoding="utf-8").split("| Alarm | Look at |\n")[1].split("\n\n")[0]
    columns = [line.split("|")[1] for line in table.splitlines()[1:]]
    return {name for column in columns for name in re.findall(r"`…(-[a-z-]+)`", column)}


def test_every_alarm_is_in_the_readme_and_the_readme_names_no_other(stack: Stack, secured: Stack) -> None:
    told = suffixes()
    used = set()
    for each in (stack, secured):
        for found in (
            *each.of_type("aws_cloudwatch_metric_alarm").values(),
            *each.of_type("aws_cloudwatch_composite_alarm").values(),
        ):
            name = found["alarm_name"].removesuffix(f"-{each.environment}")
            if name == "huntaze-stripe-unhealthy":
                continue
            matching = {suffix for suffix in told if name.endswith(suffix)}
            assert matching, f"README's table of alarms lacks {name}"
            used |= matching
    assert used == told


def costs(row: str) -> dict[str, float]:
    """The numbers of a row of the first table of costs, its price first."""
    table = COSTS.read_text(encoding="utf-8").split("\n\n")[2:4]
    (line,) = [line for each in table for line in each.splitlines() if line.startswith(f"| {row}")]
    price, *numbers = (float(cell.strip(" *") or 0) for cell in line.split("|")[2:-1])
    return {"price": price, **dict(zip(ENVIRONMENTS, numbers, strict=True))}


def test_costs_are_reckoned_from_the_alarms_that_there_are(stack: Stack) -> None:
    alarms = stack.of_type("aws_cloudwatch_metric_alarm").values()
    watched = costs("metrics that alarms watch")
    composites = costs("composite alarms")
    assert watched[stack.environment] == sum(len(metrics_of(alarm)) for alarm in alarms)
    assert composites[stack.environment] == len(stack.of_type("aws_cloudwatch_composite_alarm"))
    rows = [watched, composites, costs("dashboard"), costs("secret")]
    together = sum(row["price"] * row[stack.environment] for row in rows)
    assert costs("**together**")[stack.environment] == round(together, 2)
