"""README's table of alarms names those that the stacks hold, all of them and no other."""

from __future__ import annotations

import re
from pathlib import Path

from tests.infra.terraform_json import Stack

README = Path(__file__).resolve().parents[2] / "README.md"


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
