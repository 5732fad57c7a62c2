"""All rules: what may lose events or money in a plan of this project, and what a person should read."""

from __future__ import annotations

from typing import Final

from ops.plan_report.findings import Level, Rule
from ops.plan_report.rules import access, data, effort, functions, protection, routing, secrets

RULES: Final = (
    Rule("bus-lost", Level.DANGER, routing.bus_lost),
    Rule("delivery-lost", Level.DANGER, routing.delivery_lost),
    Rule("delivered-twice", Level.DANGER, routing.delivered_twice),
    Rule("pattern-unread", Level.DANGER, routing.pattern_unread),
    Rule("consumer-stopped", Level.DANGER, routing.consumer_stopped),
    Rule("data-lost", Level.DANGER, data.data_lost),
    Rule("retention-reduced", Level.DANGER, data.retention_reduced),
    Rule("archive-narrowed", Level.DANGER, data.archive_narrowed),
    Rule("object-lock", Level.DANGER, data.object_lock_touched),
    Rule("expiry-too-short", Level.DANGER, data.expiry_too_short),
    Rule("retries-reduced", Level.DANGER, effort.retries_reduced),
    Rule("dead-letter-lost", Level.DANGER, effort.dead_letter_lost),
    Rule("concurrency-cut", Level.DANGER, effort.concurrency_cut),
    Rule("alarm-lost", Level.DANGER, effort.alarm_lost),
    Rule("access-widened", Level.DANGER, access.access_widened),
    Rule("access-refused", Level.DANGER, access.access_refused),
    Rule("boundary-lost", Level.DANGER, protection.boundary_lost),
    Rule("key-changed", Level.DANGER, protection.key_changed),
    Rule("encryption-off", Level.DANGER, protection.encryption_off),
    Rule("protection-off", Level.DANGER, protection.protection_off),
    Rule("setting-changed", Level.DANGER, functions.setting_changed),
    Rule("platform-changed", Level.DANGER, functions.platform_changed),
    Rule("delivery-gained", Level.REVIEW, routing.delivery_gained),
    Rule("schedule-stopped", Level.REVIEW, routing.schedule_stopped),
    Rule("archive-raised", Level.REVIEW, data.archive_raised),
    Rule("access-gained", Level.REVIEW, access.access_gained),
    Rule("access-lost", Level.REVIEW, access.access_lost),
    Rule("access-unknown", Level.REVIEW, access.access_unknown),
    Rule("code-changed", Level.REVIEW, functions.code_changed),
    Rule("secret-written", Level.REVIEW, secrets.secret_written),
)
