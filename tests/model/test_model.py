"""Every promise holds in every world within the models' bounds; `make model` goes far beyond them."""

from __future__ import annotations

import pytest

from tests.model.__main__ import again, main
from tests.model.code import Code
from tests.model.explorer import Report, draw, search
from tests.model.models import MODELS
from tests.model.narrate import schedule
from tests.model.world import Rules


@pytest.mark.parametrize("name", MODELS)
def test_every_promise_holds_within_the_bounds(name: str) -> None:
    report = search(MODELS[name])

    assert report.whole
    assert not report.found, _describe(report)


def test_equal_searches_see_the_same() -> None:
    first, second = (search(MODELS["OnceReused"]) for _ in range(2))

    assert (first.worlds, first.endings, first.runs) == (second.worlds, second.endings, second.runs)


def test_equal_seeds_draw_the_same_schedules() -> None:
    first, second = (draw(MODELS["End"], 7, most=50) for _ in range(2))

    assert (first.worlds, first.endings, first.runs) == (second.worlds, second.endings, second.runs)


def test_a_schedule_is_printed_and_can_be_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["Once", "--switches", "0", "--faults", "1", "--schedule", "0,0,1"]) == 0

    printed = capsys.readouterr().out
    assert "E1: calls the API <-- answered, and the answer is lost" in printed
    assert "the API applies /api/billing/payment-succeeded of evt_1" in printed
    assert "E1 after 2 deliveries: applied" in printed
    assert "Again: make model MODEL=Once SWITCHES=0 FAULTS=1 SCHEDULE=0,0,1" in printed


def test_an_unknown_model_is_refused_with_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["Twice"]) == 2

    assert "unknown model 'Twice'; models: Each, Once," in capsys.readouterr().err


def _describe(report: Report) -> str:
    shipped = Code()
    lines: list[str] = []
    with shipped.installed():
        for flaw, path in report.found.values():
            lines += [flaw, *schedule(Rules(report.scenario, shipped), path)]
            lines.append(again(report.scenario, path))
    return "\n".join(lines)
