"""What a check's finding says where it has to be short."""

from __future__ import annotations

import pytest

from ops import ROOT
from ops.doctor import queues, run
from ops.doctor.check import SHOWN, Finding, Status, failed, passed, shortened, warned, worst
from ops.doctor.checks import CHECKS, FIRST


def test_the_worst_finding_comes_first_and_brings_its_next_step() -> None:
    found = worst([warned("a", "look"), failed("b", "act"), passed("c")], "all is well")
    assert found == Finding(Status.FAIL, "b; a; c", "act", ("b", "a", "c"))


def test_without_findings_all_is_well() -> None:
    assert worst([], "all is well") == passed("all is well")


def test_many_names_are_counted() -> None:
    names = [str(number) for number in range(SHOWN + 2)]
    assert shortened(names) == "0, 1, 2, 3 and 2 more"
    assert shortened(names[:SHOWN]) == "0, 1, 2, 3"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(60, "1 minute"), (150, "2 minutes"), (7200, "2.0 hours"), (11 * 86_400, "11.0 days")],
)
def test_an_age_has_the_unit_that_people_read(seconds: float, text: str) -> None:
    assert queues._age(seconds) == text


@pytest.mark.parametrize(
    ("message", "parts"),
    [
        ("the bus does not exist: deploy", ("the bus does not exist", "deploy")),
        ("http://127.0.0.1:1 does not answer: check it", ("http://127.0.0.1:1 does not answer", "check it")),
        ("nothing to do", ("nothing to do", "")),
        # What AWS says of it stays whole.
        ("AWS refused it (NotFound: no topic)", ("AWS refused it (NotFound: no topic)", "")),
        ("AWS refused it (Odd: a: b (c …)", ("AWS refused it (Odd: a: b (c …)", "")),
    ],
)
def test_an_error_is_split_into_what_is_wrong_and_what_to_do(message: str, parts: tuple[str, str]) -> None:
    assert run._split(message) == parts


def test_the_page_describes_each_check() -> None:
    page = (ROOT / "docs" / "doctor.md").read_text(encoding="utf-8")
    table = page.partition("## What each check looks at")[2]
    assert [check.name for check in (*FIRST, *CHECKS) if check.name not in table] == []
    assert [check.name for check in (*FIRST, *CHECKS) if f"│ {check.name} " not in page] == []
