"""Each rule of the plan report, on plans that Terraform made against the embedded AWS (`tests/plans`)."""

from __future__ import annotations

from functools import cache

import pytest

from ops import plan_report
from ops.plan_report.deliveries import without_twins
from ops.plan_report.rules import RULES
from ops.plan_report.verdict import OTHERWISE, Verdict
from tests.plans import files
from tests.plans.variants import DANGEROUS, SAFE, VARIANTS

pytestmark = pytest.mark.unit

QUEUE = "aws_cloudcontrolapi_resource.events_queue"
ARCHIVE = "aws_cloudcontrolapi_resource.events_archive"
PAYMENTS = "aws_cloudwatch_event_rule.payments_rule"
BILLING = "aws_cloudwatch_event_rule.billing_rule"
TABLE = "aws_dynamodb_table.idempotency"
BUCKET = "aws_s3_bucket.ledger_bucket"
ACCOUNT = "000000000000"
PARTNER = "`arn:aws:iam::999999999999:root`"
LEDGER = "arn:aws:s3:::huntaze-stripe-ledger-dev-000000000000"
EVENTS = "arn:aws:sqs:eu-west-1:000000000000:huntaze-stripe-events-dev.fifo"


@cache
def verdict(name: str) -> Verdict:
    return plan_report.assess(files.load(name))


def found(name: str, rule: str) -> dict[str, list[str]]:
    """What a rule finds in a plan, by resource."""
    result: dict[str, list[str]] = {}
    for each in verdict(name).findings:
        if each.rule == rule:
            result.setdefault(each.hit.address, []).append(each.hit.what)
    return result


def rules(name: str) -> set[str]:
    return {each.rule for each in verdict(name).findings}


def test_each_variant_has_its_plan_and_each_plan_its_variant() -> None:
    plans = {f"{each.name}.json.gz" for each in VARIANTS}
    texts = {f"{each.name}.txt.gz" for each in (*SAFE, *DANGEROUS)}
    assert {path.name for path in files.FOLDER.iterdir()} == plans | texts


def test_each_rule_has_a_plan_that_it_finds_something_in() -> None:
    everywhere = {rule for each in VARIANTS for rule in rules(each.name)}
    assert everywhere == {rule.name for rule in RULES} | {OTHERWISE}


@pytest.mark.parametrize("name", [each.name for each in SAFE])
def test_what_is_harmless_is_safe(name: str) -> None:
    assert verdict(name).level is plan_report.Level.SAFE
    assert verdict(name).findings == ()


@pytest.mark.parametrize("name", [each.name for each in DANGEROUS])
def test_what_loses_events_or_money_is_a_danger(name: str) -> None:
    assert verdict(name).level is plan_report.Level.DANGER


@pytest.mark.parametrize("name", [each.name for each in VARIANTS])
def test_each_danger_says_why_and_what_to_do(name: str) -> None:
    for each in verdict(name).dangers:
        assert each.hit.what
        assert each.hit.why
        assert each.hit.do


def test_bus_lost() -> None:
    (what,) = found("another-source", "bus-lost")["aws_cloudwatch_event_bus.bus"]
    assert what.startswith("the event bus is replaced, for `")
    assert found("destroyed", "bus-lost") == {"aws_cloudwatch_event_bus.bus": ["the event bus is destroyed"]}


def test_rules_replaced_with_their_bus_deliver_as_before() -> None:
    assert rules("another-source") == {"bus-lost", "data-lost", "access-unknown", OTHERWISE}
    report = plan_report.render(files.load("another-source"), "dev")
    assert "ENABLED" not in report
    assert "`null`" not in report


def test_delivery_lost_by_a_narrower_pattern_names_the_type() -> None:
    assert found("unrouted-and-archive", "delivery-lost") == {
        PAYMENTS: ["its pattern is narrower: no function gets `charge.failed` any more"]
    }
    (what,) = found("filtered", "delivery-lost")[BILLING]
    assert "`customer.created`, `customer.deleted`" in what
    assert "invoice" not in what


def test_a_thin_twin_is_left_out_where_its_snapshot_event_is_named() -> None:
    types = ["charge.failed", "invoice.paid", "v1.charge.failed", "v1.customer.created"]
    assert without_twins(types) == ["charge.failed", "invoice.paid", "v1.customer.created"]


def test_delivery_lost_by_a_disabled_rule_and_a_removed_target() -> None:
    for name, cause in (("disabled", "the rule is disabled"), ("removed", "its target is removed")):
        (what,) = found(name, "delivery-lost")[PAYMENTS]
        assert what.startswith(f"{cause}: no function gets `charge.failed`, `charge.succeeded`, ")


def test_delivery_lost_by_removed_rules() -> None:
    lost = found("destroyed", "delivery-lost")
    assert len(lost) == 5
    assert all(what.startswith("the rule is removed: no ") for (what,) in lost.values())
    assert " more any more" in lost["aws_cloudwatch_event_rule.audit_other_rule"][0]


def test_delivery_gained_and_moved() -> None:
    assert found("disabled", "delivery-gained") == {BILLING: ["newly takes `charge.refunded`"]}
    assert found("moved", "delivery-gained") == {
        BILLING: ["takes `charge.succeeded` from `huntaze-stripe-payments-dev`"]
    }
    assert plan_report.Level.REVIEW is verdict("moved").level


def test_delivered_twice() -> None:
    assert found("twice", "delivered-twice") == {BILLING: ["a second function gets `charge.succeeded`"]}


def test_pattern_unread() -> None:
    assert found("filtered", "pattern-unread") == {
        PAYMENTS: ["the pattern changes in `detail`, beside event types"],
        "aws_cloudwatch_event_rule.audit_payments_rule": [
            "the pattern changes, and this report can't say which event types it matches"
        ],
    }


def test_consumer_and_schedule_stopped() -> None:
    mapping = "aws_lambda_event_source_mapping.audit_function_source"
    assert found("concurrency", "consumer-stopped")[mapping][0].endswith("the mapping is disabled")
    assert found("removed", "consumer-stopped")[mapping][0].endswith("the mapping is removed")
    assert set(found("destroyed", "schedule-stopped")) == {"aws_scheduler_schedule.redrive_schedule"}


def test_data_lost() -> None:
    assert found("renamed", "data-lost") == {
        address: ["it is replaced by an empty one"] for address in (QUEUE, TABLE, BUCKET)
    }
    destroyed = found("destroyed", "data-lost")
    assert len([address for address in destroyed if "cloudcontrolapi" in address]) == 8
    assert {TABLE, BUCKET, "aws_secretsmanager_secret.secret"} < set(destroyed)
    assert "aws_kms_key.key" in found("key-deleted", "data-lost")


def test_retention_reduced() -> None:
    reduced = found("retentions", "retention-reduced")
    assert reduced[QUEUE] == ["`MessageRetentionPeriod`: 3600 seconds, was 1209600 seconds"]
    assert reduced["aws_cloudwatch_log_group.audit_function_logs"] == [
        "`retention_in_days`: 7 days, was 30 days"
    ]
    assert reduced["aws_secretsmanager_secret.secret_database"] == [
        "`recovery_window_in_days`: 0 days, was 30 days"
    ]
    assert reduced["aws_s3_bucket_lifecycle_configuration.ledger_bucket_lifecycle"] == [
        "rule `expire` deletes objects after 365 days, was 2557 days"
    ]
    assert reduced[TABLE] == ["point-in-time recovery is turned off"]
    assert reduced["aws_s3_bucket_versioning.ledger_bucket_versioning"] == ["versioning is turned off"]
    assert found("unrouted-and-archive", "retention-reduced") == {
        ARCHIVE: ["`RetentionDays`: 3 days, was 30 days"]
    }
    assert found("key-removed", "retention-reduced") == {
        "aws_kms_key.key": ["`deletion_window_in_days`: 7 days, was 30 days"]
    }


def test_archive_narrowed_and_raised() -> None:
    (what,) = found("retentions", "archive-narrowed")[ARCHIVE]
    assert what == 'it keeps only what matches `{"detail-type": ["invoice.paid"]}`; before: *(absent)*'
    assert found("forgetful", "archive-raised") == {ARCHIVE: ["the archive keeps events 90 days, was 30"]}


def test_object_lock_is_irreversible_even_when_it_is_created() -> None:
    (what,) = found("object-lock", "object-lock").values()
    assert what == ['irreversible: new objects are locked, `"COMPLIANCE"` for `365` days']
    (what,) = found("unlocked", "object-lock").values()
    assert what == [
        'the lock of new objects: `"COMPLIANCE"` for `10` days in place of `"COMPLIANCE"` for `30` days'
    ]


def test_expiry_too_short() -> None:
    assert found("forgetful", "expiry-too-short") == {
        "aws_lambda_function.payments_function": ["it remembers an event for 1 days, the archive keeps it 90"]
    }


def test_retries_reduced() -> None:
    reduced = found("retries", "retries-reduced")
    assert reduced["aws_cloudwatch_event_target.payments_rule_target"] == [
        "`maximum_retry_attempts`: 0, was 185",
        "`maximum_event_age_in_seconds`: 60, was 86400",
    ]
    assert reduced["aws_lambda_function_event_invoke_config.billing_function_async"] == [
        "`maximum_retry_attempts`: 0, was 2",
        "`maximum_event_age_in_seconds`: 900, was 21600",
    ]
    assert reduced[QUEUE][0].startswith("`maxReceiveCount`: 1, was ")
    assert reduced[QUEUE][1] == "`VisibilityTimeout`: 30, was 360"
    assert reduced["aws_lambda_function.audit_function"] == ["`timeout`: 10, was 60"]


def test_dead_letter_lost() -> None:
    assert found("receives", "dead-letter-lost") == {
        QUEUE: ["failed events no longer go to `huntaze-stripe-audit-dlq-dev.fifo`"]
    }
    assert found("removed", "dead-letter-lost") == {
        "aws_cloudwatch_event_target.billing_rule_target": [
            "failed events no longer go to `huntaze-stripe-billing-dlq-dev`"
        ],
        "aws_lambda_function_event_invoke_config.billing_function_async": [
            "failed events no longer go to `huntaze-stripe-billing-dlq-dev`"
        ],
    }


def test_concurrency_cut() -> None:
    assert found("concurrency", "concurrency-cut") == {
        "aws_lambda_function.billing_function": ["`reserved_concurrent_executions`: 9, was 20"],
        "aws_lambda_function.payments_function": [
            "it may not run at all: `reserved_concurrent_executions` is 0"
        ],
    }


@pytest.mark.parametrize(("after", "cut"), [(1, True), (0, True), (-1, False)])
def test_a_first_limit_on_a_function_without_one_cuts_its_concurrency(after: int, cut: bool) -> None:
    plan = files.load("concurrency")
    plan["resource_changes"] = [
        each for each in plan["resource_changes"] if each["address"] == "aws_lambda_function.billing_function"
    ]
    (function,) = plan["resource_changes"]
    function["change"]["before"]["reserved_concurrent_executions"] = -1
    function["change"]["after"]["reserved_concurrent_executions"] = after
    findings = {each.rule for each in plan_report.assess(plan).findings}
    assert ("concurrency-cut" in findings) is cut
    assert OTHERWISE not in findings


def test_alarm_lost() -> None:
    lost = found("removed", "alarm-lost")
    alarm = "aws_cloudwatch_metric_alarm.alarm"
    assert lost[f"{alarm}_redrive_left"] == ["the alarm is removed"]
    assert lost[f"{alarm}_payments_errors"] == ["its actions are turned off"]
    assert lost[f"{alarm}_billing_errors"] == ["it notifies nobody"]
    assert lost["aws_sns_topic_subscription.alerts_email_lead_huntaze_com_4f8086d8"] == [
        "a subscription to alarms is removed"
    ]
    assert lost["aws_cloudwatch_composite_alarm.alarm_unhealthy"] == [
        "it no longer listens to `huntaze-stripe-payments-failed-invocations-dev`"
    ]
    assert "the topic of the alarms is removed" in found("destroyed", "alarm-lost")["aws_sns_topic.alerts"]


def test_what_watched_and_served_something_goes_with_it() -> None:
    assert set(found("unlocked", "data-lost")) == {
        "aws_cloudcontrolapi_resource.log_dlq",
        "aws_cloudwatch_log_group.bus_log_logs",
    }
    assert rules("unlocked") == {"data-lost", "object-lock", OTHERWISE}


def test_a_key_that_is_forgotten_keeps_its_policy() -> None:
    assert found("key-off", OTHERWISE)["aws_kms_key.key"] == ["it stays, and Terraform no longer manages it"]
    assert "aws_kms_key.key" not in found("key-off", "access-refused")


def test_access_widened_names_who_gains_what() -> None:
    widened = found("open-policies", "access-widened")
    assert widened["aws_sqs_queue_policy.events_queue_policy"] == [
        f"anyone may newly use `sqs:ReceiveMessage` and `sqs:SendMessage` on `{EVENTS}`"
    ]
    assert widened["aws_s3_bucket_policy.ledger_bucket_policy"] == [
        f"{PARTNER} may newly use `s3:GetObject` on `{LEDGER}/*`"
    ]
    assert any(
        "may newly use `logs:*`" in what and what.startswith("`huntaze-stripe-billing-dev`")
        for what in widened["aws_iam_role_policy.billing_role_policy"]
    )


def test_access_widened_by_trust_permission_key_and_a_lost_refusal() -> None:
    widened = found("rights", "access-widened")
    (trust,) = widened["aws_iam_role.payments_role"]
    assert trust.startswith(f"{PARTNER} may newly use `sts:AssumeRole`")
    assert widened["aws_lambda_permission.billing_rule_permission"] == [
        "anyone may newly use `lambda:InvokeFunction` on `huntaze-stripe-billing-dev`"
    ]
    (plain_text,) = widened["aws_s3_bucket_policy.ledger_bucket_policy"]
    assert plain_text.endswith("if `Bool aws:SecureTransport false`")
    assert found("key-removed", "access-widened")["aws_kms_key.key"] == [
        f"{PARTNER} may newly use `kms:Decrypt` on `*`"
    ]


def test_access_gained_within_the_account_is_for_review() -> None:
    gained = found("rights", "access-gained")
    (scan,) = gained["aws_iam_role_policy.payments_role_policy"]
    assert "`dynamodb:Scan`" in scan
    (wider,) = gained["aws_sqs_queue_policy.events_queue_policy"]
    assert wider.endswith("if `ArnLike aws:SourceArn arn:aws:events:eu-west-1:000000000000:rule/*`")


def test_access_refused_and_lost() -> None:
    (refused,) = found("rights", "access-refused")["aws_sqs_queue_policy.payments_dlq_policy"]
    assert refused.startswith("`events.amazonaws.com` may no longer use `sqs:SendMessage`")
    assert "aws_lambda_permission.billing_rule_permission" in found("removed", "access-refused")
    (lost,) = found("live-elsewhere", "access-lost")["aws_iam_role_policy.billing_role_policy"]
    assert "may no longer use `secretsmanager:GetSecretValue`" in lost


def test_a_policy_that_grants_the_same_changes_no_right() -> None:
    changed = [
        each["address"]
        for each in files.load("rewritten")["resource_changes"]
        if each["change"]["actions"] == ["update"]
    ]
    assert "aws_sqs_queue_policy.events_queue_policy" in changed
    assert verdict("rewritten").findings == ()


def test_access_unknown_until_the_apply() -> None:
    assert set(found("key-on", "access-unknown")) == {
        f"aws_iam_role_policy.{name}_role_policy" for name in ("audit", "billing", "payments", "redrive")
    }


def test_secret_written() -> None:
    version = "aws_secretsmanager_secret_version.secret"
    assert found("secrets", "secret-written") == {
        f"{version}_database_version": ["no deploy writes its value any more"],
        f"{version}_stripe_version": ["the deploy writes its value into another secret"],
        f"{version}_version": ["the deploy writes its value again: `secret_version` `1` → `2`"],
    }
    assert found("destroyed", "secret-written") == {}


def test_boundary_lost() -> None:
    lost = found("boundary-off", "boundary-lost")
    roles = ("audit", "billing", "payments", "redrive", "redrive_schedule")
    assert set(lost) == {f"aws_iam_role.{name}_role" for name in roles}
    assert all(what.startswith("it has no permissions boundary, was `") for (what,) in lost.values())


def test_key_changed() -> None:
    assert found("key-on", "key-changed") == {"aws_kms_key.key": ["a customer managed key is turned on"]}
    assert found("key-removed", "key-changed") == {"aws_kms_key.key": ["the key is disabled"]}
    off = found("key-off", "key-changed")
    assert off[QUEUE] == off[ARCHIVE] == off["aws_cloudwatch_event_bus.bus"] == ["its key is turned off"]


def test_encryption_off() -> None:
    assert found("retentions", "encryption-off") == {QUEUE: ["messages are no longer encrypted"]}
    assert found("removed", "encryption-off") == {
        "aws_s3_bucket_public_access_block.ledger_bucket_public_access": ["the bucket may become public"]
    }


def test_protection_off() -> None:
    expected = ["it can be deleted with its data: deletion protection is off"]
    assert found("unprotected", "protection-off") == {TABLE: expected, BUCKET: expected}
    assert found("destroyed", "protection-off") == {}


def test_setting_changed() -> None:
    changed = found("live-elsewhere", "setting-changed")
    assert changed["aws_lambda_function.payments_function"] == [
        'livemode: `"true"`, was `"false"`',
        'huntaze_api_url: `"https://api.huntaze.example"`, was `"https://api.dev.huntaze.com"`',
        'order: `"off"`, was `"watermark"`',
    ]


def test_platform_changed() -> None:
    assert found("platform", "platform-changed") == {
        "aws_lambda_function.billing_function": [
            'runtime: `"python3.12"`, was `"python3.13"`',
            'architecture: `"arm64"`, was `"x86_64"`',
        ]
    }


def test_code_changed_lists_modules_and_packages() -> None:
    assert len(found("code", "code-changed")) == 3
    report = plan_report.render(files.load("code"), "dev")
    assert (
        "- 3 modules: `functions.pipeline.new_module` added, `functions.pipeline.routing_table`, "
        "`functions.shared.retry` removed\n"
    ) in report
    assert "- 1 package: `stripe` `" in report
    assert "` → `99.0.0`\n" in report
    assert "was built in another way" in plan_report.render(files.load("rebuilt"), "dev")


def test_what_no_rule_knows_is_for_review() -> None:
    assert found("receives", OTHERWISE) == {}
    assert found("key-on", OTHERWISE)["aws_cloudwatch_log_group.audit_function_logs"] == [
        "it changes `kms_key_id`"
    ]
