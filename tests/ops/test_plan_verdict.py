"""The report of plans that Terraform made: what stands first, what is accepted, and what must never show."""

from __future__ import annotations

import json
from typing import Any

import pytest
from markdown_it import MarkdownIt

from ops import plan_report
from ops.cost import measured, prices
from ops.plan_report.report import DANGER_ROOM
from tests.plans import files
from tests.plans.pages import PAGE, filled
from tests.plans.variants import HOSTILE, VARIANTS

pytestmark = pytest.mark.unit

LIMIT = 65_536
RULE = "aws_cloudwatch_event_rule.payments_rule"
ACCEPTED = f"""Drop failed charges.

accept-danger: delivery-lost {RULE} finance reads them in `Stripe` <b>itself</b>
 accept-danger:  retention-reduced   aws_cloudcontrolapi_resource.events_archive   agreed with audit\r
accept-danger: delivery-lost {RULE}
accept-danger: object-lock a.b never there
"""
SIZES = MarkdownIt("gfm-like", {"linkify": False}).enable("table")


def rendered(name: str, **options: Any) -> str:
    return plan_report.render(files.load(name), "dev", **options)


def multiplied(name: str, address: str, times: int) -> dict[str, Any]:
    """A plan with a resource of it many times, under other addresses."""
    plan = files.load(name)
    [one] = [each for each in plan["resource_changes"] if each["address"] == address]
    plan["resource_changes"] += [
        {**one, "address": f"{address}_{'long_' * 8}{number}"} for number in range(times)
    ]
    return plan


def test_the_verdict_stands_first_with_one_line_for_each_danger() -> None:
    lines = rendered("unrouted-and-archive").splitlines()
    assert lines[:5] == [
        "<!-- huntaze-plan:dev -->",
        "<!-- huntaze-verdict:danger -->",
        "## Terraform plan: `dev`",
        "",
        "Verdict: **danger**: 2 dangers.",
    ]
    start = lines.index("### Dangers")
    first, second = lines[start + 2 : start + 4]
    assert first == (
        f"- `delivery-lost` `{RULE}`: **its pattern is narrower: no function gets `charge.failed` any more**"
        "; the API never learns of these events: a payment or a cancellation is missing in the business. Do: "
        "restore the route, or warn those who rely on these types; `huntaze-stripe reconcile` lists what is "
        "missing afterwards."
    )
    assert second.startswith(
        "- `retention-reduced` `aws_cloudcontrolapi_resource.events_archive`: **`RetentionDays`: 3"
    )


def test_the_routing_table_shows_what_is_removed_added_and_moved() -> None:
    row = "| **removed** | `charge.failed` | `huntaze-stripe-payments-dev` | `each` | `/api/billing/payment-f"
    assert row in rendered("unrouted-and-archive")
    assert "*16 event types reach a function after it.*" in rendered("unrouted-and-archive")
    added = "| added | `charge.refunded` | `huntaze-stripe-billing-dev` | `once` | `/api/billing/new` |"
    assert added in rendered("disabled")
    moved = rendered("moved")
    assert (
        "| moved | `charge.succeeded` | `huntaze-stripe-payments-dev` → `huntaze-stripe-billing-dev` |"
        in moved
    )
    assert "### Routing" not in rendered("memory-and-logs")


def test_a_dashboard_is_a_count_of_widgets_and_unfolds() -> None:
    report = rendered("links")
    assert "  - `dashboard_body`: 1 of 17 widgets change\n" in report
    _, _, folded = report.partition("`dashboard_body`")
    assert folded.index("<details><summary>show</summary>") < folded.index('+    "title": "another title"')


def test_what_changes_in_a_list_of_names_is_named() -> None:
    assert "  - `event_pattern.detail-type`: without `charge.failed`\n" in rendered("unrouted-and-archive")
    assert "  - `event_pattern.detail-type`: with `charge.refunded`\n" in rendered("disabled")


def test_no_change_is_short() -> None:
    assert len(rendered("nothing").splitlines()) <= 12
    assert "Verdict: **safe**: nothing here loses events or money." in rendered("nothing")


def test_fixed_costs_that_change_are_estimated() -> None:
    # Two alarms of one metric each, and a composite alarm; docs/costs.md says what heartbeat_minutes costs.
    assert "+0.70 US dollars a month before the first event" in rendered("more-alarms")
    assert "### Cost" not in rendered("disabled")


def test_cost_of_more_memory_is_estimated_by_measured_durations() -> None:
    # payments from 256 to 512 MiB: half of a million events, 55 ms each, 0.25 GiB more.
    (function,) = [
        each["change"]["after"]
        for each in files.load("memory-and-logs")["resource_changes"]
        if each["address"] == "aws_lambda_function.payments_function"
    ]
    (architecture,) = function["architectures"]
    found, price = measured.read(), prices.prices().of("lambda", f"million_gb_seconds_{architecture}")
    payments, billing = (found.functions[family] for family in ("payments", "billing"))
    share = round(payments.invocations / (payments.invocations + billing.invocations), 2)
    more = share * payments.median_ms / 1000 * 0.25 * price
    assert 0.05 < more < 0.2
    assert f"{more:+.2f} US dollars for a million events" in rendered("memory-and-logs")


def test_dangers_are_accepted_with_a_reason_that_is_quoted() -> None:
    accepted = plan_report.acceptances(ACCEPTED)
    assert [(each.rule, each.reason) for each in accepted] == [
        ("delivery-lost", "finance reads them in `Stripe` <b>itself</b>"),
        ("retention-reduced", "agreed with audit"),
        ("object-lock", "never there"),
    ]
    verdict = plan_report.assess(files.load("unrouted-and-archive"), accepted)
    assert verdict.level is plan_report.Level.DANGER
    assert verdict.open_dangers == ()
    assert [each.rule for each in verdict.unused] == ["object-lock"]
    report = rendered("unrouted-and-archive", accepted=accepted)
    assert "Verdict: **danger**: 2 dangers (2 accepted)." in report
    assert "**Accepted**: ``finance reads them in `Stripe` <b>itself</b>``." in report
    assert "- *accepts nothing*: `accept-danger: object-lock a.b`" in report


def test_an_acceptance_is_for_one_rule_and_one_resource() -> None:
    text = f"accept-danger: delivery-lost {RULE}x all\naccept-danger: data-lost {RULE} all"
    verdict = plan_report.assess(files.load("unrouted-and-archive"), plan_report.acceptances(text))
    assert len(verdict.open_dangers) == 2
    assert len(verdict.unused) == 2


@pytest.mark.parametrize("name", [each.name for each in VARIANTS])
def test_each_report_is_short_enough_and_names_each_danger(name: str) -> None:
    report = rendered(name)
    assert len(report) <= len(report.encode()) < LIMIT
    for each in plan_report.assess(files.load(name)).dangers:
        assert f"`{each.hit.address}`" in report.partition("### To review")[0]


def test_no_danger_is_cut_however_much_else_changes() -> None:
    plan = multiplied("platform", "aws_lambda_function.audit_function", 0)
    plan["resource_changes"] = [
        {
            "address": f"aws_thing.number_{number}",
            "type": "aws_thing",
            "change": {
                "actions": ["update"],
                "before": {f"a{number}": "x"},
                "after": {f"a{number}": "y" * 400},
            },
        }
        for number in range(3_000)
    ] + plan["resource_changes"]
    report = plan_report.render(plan, "dev", link="https://github.example/runs/1")
    assert len(report.encode()) < LIMIT
    assert '**runtime: `"python3.12"`, was `"python3.13"`**' in report
    assert "more to review*" in report
    assert "more changes are left out here" in report
    assert "[the whole report](https://github.example/runs/1) has them" in report


def test_many_dangers_are_written_shorter_and_counted() -> None:
    address = "aws_lambda_function.billing_function"
    some = plan_report.render(multiplied("platform", address, 300), "dev")
    assert some.count(f"`{address}") >= 300
    assert len(some.encode()) < LIMIT
    many = plan_report.render(multiplied("platform", address, 4_000), "dev")
    assert len(many.encode()) < LIMIT
    assert "- `platform-changed` (8002): " in many
    assert len(many.partition("### Updated")[0].encode()) < DANGER_ROOM + 2_000


def test_a_whole_report_leaves_nothing_out() -> None:
    plan = multiplied("platform", "aws_lambda_function.billing_function", 2_000)
    whole = plan_report.render(plan, "dev", whole=True)
    assert "left out" not in whole
    assert whole.count("- `aws_lambda_function.billing_function") >= 2_000


@pytest.mark.parametrize("name", ["hostile", "rewritten"])
def test_hostile_values_format_link_and_mention_nothing(name: str) -> None:
    report = rendered(
        name, accepted=plan_report.acceptances(f"accept-danger: a {HOSTILE.split()[0]} {HOSTILE}")
    )
    assert HOSTILE.split(" ", 3)[3] in report
    for token in SIZES.parse(report):
        if token.type == "html_block":
            assert set(token.content.split("\n")) <= {
                "<!-- huntaze-plan:dev -->",
                "<!-- huntaze-verdict:danger -->",
                "<!-- huntaze-verdict:safe -->",
                "<details><summary>show</summary>",
                "</details>",
                "",
            }
        for child in token.children or ():
            assert child.type in {
                "text",
                "code_inline",
                "strong_open",
                "strong_close",
                "em_open",
                "em_close",
                "softbreak",
            }
            if child.type == "text":
                assert "evil" not in child.content
                assert "@" not in child.content


def test_sensitive_and_unknown_values_stay_hidden_from_the_rules() -> None:
    plan = files.load("live-elsewhere")
    secret = "api.huntaze.example"
    for each in plan["resource_changes"]:
        if each["type"] == "aws_lambda_function":
            mask = {"environment": [{"variables": {"HUNTAZE_API_URL": True}}]}
            each["change"] |= {"before_sensitive": {}, "after_sensitive": mask}
    assert secret in json.dumps(plan)
    report = plan_report.render(plan, "dev")
    assert secret not in report
    assert "api.dev.huntaze.com" not in report
    assert "livemode" in report
    assert secret not in "".join(plan_report.plain_lines(plan_report.assess(plan)))


def test_a_failed_plan_is_never_safe() -> None:
    verdict = plan_report.assess({"errored": True, "resource_changes": []})
    assert verdict.level is plan_report.Level.REVIEW
    assert "the plan is incomplete" in plan_report.render({"errored": True}, "dev")


def test_a_stack_that_does_not_list_its_code_yet_is_reported_all_the_same() -> None:
    plan = files.load("code")
    for name in ("code", "routing"):
        plan["output_changes"][name] = {"actions": ["create"], "before": None, "after": {}}
    report = plan_report.render(plan, "dev")
    assert "does not list what it runs yet" in report
    assert "### Routing" not in report


def test_lines_for_a_terminal_have_the_verdict_and_each_danger() -> None:
    lines = plan_report.plain_lines(plan_report.assess(files.load("unrouted-and-archive")))
    assert lines[0] == "Verdict: danger: 2 dangers."
    assert lines[1].startswith(f"  danger  `delivery-lost` `{RULE}`: its pattern is narrower")


def test_the_page_has_the_reports_and_the_comparison_of_today() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert filled(page) == page, "run python -m tests.plans.pages"
