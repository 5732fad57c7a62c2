"""The plan report against plans that are too long, or hold what would format, link or mention."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from ops import plan_report

pytestmark = pytest.mark.unit

PLANTED = "planted-Sensitive-7e1f"
HOSTILE = (
    "`` @huntaze/everyone ``` https://evil.example #1 <img src=x onerror=y> --> | [a](b) ![c](d) "
    "\n\n# heading\r\n- item\u2028\u202etxt\x00\ud800"
)
leaves = st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.just(HOSTILE)
trees = st.recursive(
    leaves,
    lambda below: (
        st.lists(below, max_size=4)
        | st.dictionaries(st.text(max_size=6) | st.just(HOSTILE), below, max_size=4)
    ),
    max_leaves=12,
)
actions = st.sampled_from(
    [["create"], ["update"], ["delete"], ["delete", "create"], ["create", "delete"], ["forget"], ["new"]]
)


def resource(address: str, change: dict[str, Any]) -> dict[str, Any]:
    return {"address": address, "mode": "managed", "change": change}


def update(index: int, length: int = 20) -> dict[str, Any]:
    before = {f"attribute_{number}": "x" * length for number in range(5)}
    after = dict.fromkeys(before, "y" * length)
    return resource(f"aws_thing.number_{index}", {"actions": ["update"], "before": before, "after": after})


def hide(value: Any, draw: st.DrawFn) -> tuple[Any, Any]:
    """Return the value with something planted, and the mask that marks it."""
    if isinstance(value, dict) and value and draw(st.booleans()):
        key = draw(st.sampled_from(sorted(value)))
        below, mask = hide(value[key], draw)
        return {**value, key: below}, {key: mask}
    if isinstance(value, list) and value and draw(st.booleans()):
        index = draw(st.integers(0, len(value) - 1))
        below, mask = hide(value[index], draw)
        return [*value[:index], below, *value[index + 1 :]], [False] * index + [mask]
    planted = draw(
        st.sampled_from([PLANTED, f"x {PLANTED}", {PLANTED: 1}, [PLANTED], json.dumps({"k": PLANTED})])
    )
    return planted, True


@st.composite
def planted_changes(draw: st.DrawFn) -> dict[str, Any]:
    """A change in which some place of either side, or of both, is sensitive."""
    before, after = draw(trees), draw(trees)
    change: dict[str, Any] = {"actions": draw(actions), "before": before, "after": after}
    sides = draw(st.sampled_from([("before",), ("after",), ("before", "after")]))
    for side in sides:
        change[side], change[f"{side}_sensitive"] = hide(change[side], draw)
    change["replace_paths"] = [[*marked_path(change[f"{sides[0]}_sensitive"]), PLANTED]]
    return change


def marked_path(mask: Any) -> list[Any]:
    if isinstance(mask, dict):
        return next([key, *marked_path(below)] for key, below in mask.items())
    return [len(mask) - 1, *marked_path(mask[-1])] if isinstance(mask, list) else []


@given(st.lists(planted_changes(), max_size=4))
def test_planted_sensitive_values_are_never_written(changes: list[dict[str, Any]]) -> None:
    plan = {
        "resource_changes": [resource(f"a.b{index}", change) for index, change in enumerate(changes)],
        "output_changes": {f"o{index}": change for index, change in enumerate(changes)},
    }
    assert PLANTED not in plan_report.render(plan, "dev")


@given(planted_changes(), trees)
def test_a_sensitive_text_is_hidden_where_its_mark_was_lost(marked: dict[str, Any], tree: Any) -> None:
    plan = {
        "resource_changes": [
            resource("a.marked", {"actions": ["update"], "after": PLANTED, "after_sensitive": True}),
            resource("a.unmarked", {"actions": ["update"], "before": tree, "after": [tree, PLANTED]}),
            resource("a.text", {"actions": ["update"], "after": f'{{"k": "{PLANTED}"}}'}),
        ]
    }
    assert PLANTED not in plan_report.render(plan, "dev")


@given(st.lists(st.tuples(actions, trees, trees), max_size=5), st.text(max_size=20) | st.just(HOSTILE))
def test_nothing_in_a_plan_formats_links_or_mentions(
    changes: list[tuple[list[str], Any, Any]], address: str
) -> None:
    plan = {
        "resource_changes": [
            resource(address, {"actions": kind, "before": before, "after": after})
            for kind, before, after in changes
        ],
        "output_changes": {address: {"actions": ["create"], "after": HOSTILE}},
    }
    report = plan_report.render(plan, "dev")
    report.encode()
    tokens = MarkdownIt("gfm-like", {"linkify": False}).enable("table").parse(report)
    headings = [
        tokens[index + 1].content for index, token in enumerate(tokens) if token.type == "heading_open"
    ]
    assert all(heading.startswith("Terraform plan") or heading.isalpha() for heading in map(plain, headings))
    html = {token.content.strip() for token in tokens if token.type == "html_block"}
    markers = {f"<!-- huntaze-verdict:{level} -->" for level in ("safe", "review", "danger")}
    assert html <= {"<!-- huntaze-plan:dev -->", *markers, "<details><summary>show</summary>", "</details>"}
    for token in tokens:
        for child in token.children or ():
            assert child.type in {"text", "code_inline", "strong_open", "strong_close", "em_open", "em_close"}
            if child.type == "text":
                assert not set("@#<[`|") & set(child.content)


def plain(heading: str) -> str:
    return heading.replace(" otherwise", "").replace("To review", "Review")


def test_two_thousand_resources_stay_under_the_limit_and_the_rest_is_counted() -> None:
    plan = {"resource_changes": [update(index) for index in range(2_000)]}
    for item in plan["resource_changes"]:
        item["address"] = item["address"].replace("number", "long_" * 10)
    report = plan_report.render(plan, "dev")
    assert 60_000 < len(report) <= len(report.encode()) < 65_536
    shown = report.count("- `aws_thing.")
    assert 0 < shown < 2_000
    assert f"*{2_000 - shown} more changes are left out here" in report
    assert "**2000 to update.**" in report


def test_details_are_cut_before_changes() -> None:
    plan = {"resource_changes": [update(index) for index in range(400)]}
    report = plan_report.render(plan, "dev")
    assert len(report.encode()) < 65_536
    assert report.count("- `aws_thing.") == 400
    detailed = report.count("  - `attribute_0`")
    assert 0 < detailed < 400
    assert f"*The details of {400 - detailed} changes are left out" in report


def test_a_destroy_is_shown_however_much_else_changes() -> None:
    changes = [update(index) for index in range(2_000)]
    changes.append(resource("aws_dynamodb_table.last", {"actions": ["delete"], "before": {}, "after": None}))
    report = plan_report.render({"resource_changes": changes}, "dev")
    assert "- **destroy** `aws_dynamodb_table.last`" in report


@settings(max_examples=15)
@given(st.integers(1, 120), st.integers(1, 400), st.sampled_from("xé€\U0001f600\x00`"))
def test_no_size_passes_the_limit(count: int, length: int, char: str) -> None:
    value = {char * length + str(index): char * length for index in range(60)}
    change = {"actions": ["update"], "before": {}, "after": value}
    plan = {
        "resource_changes": [resource(char * length, change) for _ in range(count)],
        "output_changes": {char * length + str(index): change for index in range(count)},
    }
    assert len(plan_report.render(plan, "dev").encode()) < 65_536


def test_a_long_value_is_cut_where_the_two_sides_part() -> None:
    change = {
        "actions": ["update"],
        "before": {"a": "same" * 100 + "old"},
        "after": {"a": "same" * 100 + "new"},
    }
    report = plan_report.render({"resource_changes": [resource("a.b", change)]}, "dev")
    line = next(line for line in report.splitlines() if line.startswith("  - `a`"))
    assert 'old"` → ' in line
    assert line.endswith('new"`')
    assert len(line) < 120


def test_a_plan_by_the_state_only_says_so_below_its_counts() -> None:
    assert "Compared with the state only" not in plan_report.render({}, "dev")
    lines = plan_report.render({}, "dev", refreshed=False).splitlines()
    assert lines[6:9] == ["**nothing to change.**", "", plan_report.STATE_ONLY]


def test_outline_names_each_resource_with_what_changes_or_why() -> None:
    def resource(address: str, actions: list[str], before: Any, after: Any, **more: Any) -> dict[str, Any]:
        change = {"actions": actions, "before": before, "after": after, "after_unknown": {}}
        paths = {"replace_paths": more.pop("replace_paths")} if "replace_paths" in more else {}
        return {"address": address, "change": change | paths, **more}

    plan = {
        "resource_changes": [
            resource("aws_sqs_queue.a", ["update"], {"name": "x", "delay": 1}, {"name": "x", "delay": 2}),
            resource("aws_x.b", ["create"], None, {"name": "n"}),
            resource(
                "aws_y.c", ["delete"], {"n": 1}, None, action_reason="delete_because_no_resource_config"
            ),
            resource("aws_z.d", ["delete", "create"], {"n": 1}, {"n": 2}, replace_paths=[["n"]]),
        ]
    }
    assert plan_report.outline(plan) == [
        "1 to destroy, 1 to replace, 1 to update, 1 to create.",
        "  destroy  aws_y.c  (no longer in the configuration)",
        "  replace  aws_z.d  (forced by n)",
        "  update   aws_sqs_queue.a  (delay)",
        "  create   aws_x.b",
    ]
