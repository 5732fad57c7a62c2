"""All alarms of an environment, in the order in which an event passes what they watch."""

from dataclasses import dataclass

from infra.constructs.inventory import Inventory
from infra.constructs.monitoring import function_alarms, queue_alarms, schedule_alarms
from infra.constructs.monitoring.alarm import Alarm, Silence
from infra.constructs.rules import EventRule
from infra.resources.metrics import MINUTE


@dataclass(frozen=True)
class Thresholds:
    """The limits that an environment sets; `heartbeat_minutes` 0 watches no heartbeat."""

    audit_backlog_messages: int
    audit_backlog_seconds: int
    heartbeat_minutes: int


def alarms(inventory: Inventory, thresholds: Thresholds) -> list[Alarm]:
    """What fires by what is measured."""
    return [
        *(alarm for short, rule in inventory.rules.items() for alarm in _of_rule(short, rule)),
        *function_alarms.alarms(inventory),
        *schedule_alarms.alarms(inventory),
        *queue_alarms.of_dead_letters(inventory.dead_letters),
        *queue_alarms.of_backlog(
            inventory.audit.queue, thresholds.audit_backlog_messages, thresholds.audit_backlog_seconds
        ),
    ]


def silences(inventory: Inventory, thresholds: Thresholds) -> list[Silence]:
    """What must happen again and again."""
    watched = [schedule_alarms.silence(scheduled) for scheduled in inventory.scheduled]
    if thresholds.heartbeat_minutes:
        watched.append(
            Silence(
                "heartbeat-stopped",
                "heartbeat",
                f"No event arrived from Stripe for {thresholds.heartbeat_minutes} minutes. Check the event "
                "destination in the Stripe Dashboard and the state of its event source.",
                inventory.bus.metric_events().over(period=thresholds.heartbeat_minutes * MINUTE),
            )
        )
    return watched


def _of_rule(short: str, rule: EventRule) -> list[Alarm]:
    return [
        Alarm(
            "failed-invocations",
            f"EventBridge could not deliver events of rule {rule.name} to the target. They are in the rule's "
            "dead-letter queue.",
            rule.metric_failed(),
            1,
            of=short,
        ),
        Alarm(
            "undeliverable",
            f"Events of rule {rule.name} reached neither the target nor the dead-letter queue. Fix the "
            "queue, then replay the archive for this time.",
            rule.metric_lost().over(period=MINUTE),
            1,
            of=short,
        ),
    ]
