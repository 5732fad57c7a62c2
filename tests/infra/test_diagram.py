"""The architecture diagram shows the stack with every scheduled function as it is synthesised now."""

from __future__ import annotations

import re
from xml.etree import ElementTree as Xml

import pytest

from ops.dev import diagram
from tests.infra.terraform_json import Stack

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def drawn() -> str:
    return diagram.svg()


def test_the_diagram_in_the_repository_is_what_the_stack_draws_now(drawn: str) -> None:
    assert diagram.FILE.read_text(encoding="utf-8") == drawn, "the diagram is stale: run `make diagram`"


def test_the_process_environment_changes_nothing(drawn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTO_REDRIVE", "false")
    monkeypatch.setenv("STRIPE_EVENT_SOURCE_NAME", "aws.partner/stripe.com/ed_other")
    assert diagram.svg() == drawn


def test_each_part_that_an_event_can_pass_is_drawn_whatever_the_settings(
    stack: Stack, secured: Stack
) -> None:
    check_drawn(stack)
    check_drawn(secured)


def check_drawn(stack: Stack) -> None:
    drawn = diagram.draw(stack.document, stack.environment)
    shown = {text.text for text in Xml.fromstring(drawn).iter(f"{SVG}text")}  # noqa: S314 (our own file)
    names = [
        *stack.queues(),
        *(each["name"] for each in stack.of_type("aws_cloudwatch_event_rule").values()),
        *(each["function_name"] for each in stack.of_type("aws_lambda_function").values()),
        *(each["name"] for each in stack.of_type("aws_dynamodb_table").values()),
        *(each["name"] for each in stack.of_type("aws_sns_topic").values()),
    ]
    short = {re.sub(rf"^huntaze-stripe-|-{stack.environment}(\.fifo)?$", "", name) for name in names}
    # The rule and queue of the log of the bus: it handles no event.
    short -= {"log", "log-dlq"}
    assert len(short) > 12
    assert short <= shown


def test_nothing_overlaps_and_nothing_leaves_the_picture(drawn: str) -> None:
    root = Xml.fromstring(drawn)  # noqa: S314 (our own file)
    width, height = (float(root.attrib[side]) for side in ("width", "height"))
    boxes = []
    for each in root.iter(f"{SVG}rect"):
        if each.attrib["class"].startswith("box"):
            x, y, w, h = (float(each.attrib[key]) for key in ("x", "y", "width", "height"))
            assert 0 < x < x + w < width
            assert 0 < y < y + h < height
            boxes.append((x, y, x + w, y + h))
    for one in boxes:
        others = [other for other in boxes if other is not one]
        assert not any(one[0] < o[2] and o[0] < one[2] and one[1] < o[3] and o[1] < one[3] for o in others), (
            one
        )


def test_the_diagram_has_words_for_those_who_do_not_see_it(drawn: str) -> None:
    root = Xml.fromstring(drawn)  # noqa: S314 (our own file)
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-labelledby"].split() == [
        root.find(f"{SVG}{tag}").attrib["id"]  # type: ignore[union-attr]
        for tag in ("title", "desc")
    ]
    described = root.findtext(f"{SVG}desc") or ""
    assert "Rules payments send them to the function payments, which writes to Huntaze API" in described
    assert "@media (prefers-color-scheme: dark)" in drawn
