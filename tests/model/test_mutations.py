"""The checker finds what breaks where one of the pipeline's safeguards is taken out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.model.explorer import search
from tests.model.models import MODELS
from tests.model.mutations import MUTATIONS, Mutation

CASES = [
    pytest.param(mutation, model, kind, id=f"{mutation.name} [{model}]")
    for mutation in MUTATIONS
    for model, kind in mutation.models.items()
]


@pytest.mark.parametrize(("mutation", "model", "kind"), CASES)
def test_what_a_safeguard_prevents_is_found_without_it(mutation: Mutation, model: str, kind: str) -> None:
    with mutation.installed():
        scenario = MODELS[model]
        faults = scenario.faults if mutation.faults is None else mutation.faults
        report = search(replace(scenario, faults=faults), first=kind)

    assert kind in report.found


def test_the_readme_lists_every_safeguard_with_what_breaks_without_it() -> None:
    rows = [
        f"| {mutation.name} | `{model}` | {kind} |"
        for mutation in MUTATIONS
        for model, kind in mutation.models.items()
    ]

    lines = Path(__file__).with_name("README.md").read_text(encoding="utf-8").splitlines()

    assert [line for line in lines if line.startswith("| ") and line.count("|") == 4][1:] == rows
