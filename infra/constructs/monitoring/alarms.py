"""All alarms of an environment, in the order in which an event passes what they watch."""

from dataclasses import dataclass

from infra.constructs.monitoring import function_alarms, queue_alarms, schedule_alarms
from infra.constructs.monitoring.alarm import Alarm, Silence
from infra.constructs.rules import EventRule
from infra.inventory import Pipeline
from infra.resources.metrics import MINUTE


@dataclass(frozen=True)
class Thresholds:
    """The limits that an environment sets; `heartbeat_minutes` 0 watches no heartbeat."""

    audit_backlog_messages: int
    audit_backlog_seconds: int
    heartbeat_minutes: int


def alarms(pipeline: Pipeline, thresholds: Thresholds) -> list[Alarm]:
    """What fires by what is measured."""
    return [
        *(alarm for short, rule in pipeline.rules.items() for alarm in _of_rule(short, rule)),
        *function_alarms.alarms(pipeline),
        *schedule_alarms.alarms(pipeline),
        *queue_alarms.of_dead_letters(pipeline.dead_letters),
        *queue_alarms.of_backlog(
            pipeline.audit.queue, thresholds.audit_backlog_messages, thresholds.audit_backlog_seconds
        ),
    ]


def silences(pipeline: Pipeline, thresholds: Thresholds) -> list[Silence]:
    """What must happen again and again."""
    watched = [schedule_alarms.silence(scheduled) for scheduled in pipeline.scheduled]
    if thresholds.heartbeat_minutes:
        watched.append(
            Silence(
                "heartbeat",
                "heartbeat-stopped",
                f"No event came from Stripe for {thresholds.heartbeat_minutes} minutes. Look at the event "
                "destination in Stripe's dashboard, and whether its event source is active.",
                pipeline.bus.metric_events().over(period=thresholds.heartbeat_minutes * MINUTE),
            )
        )
    return watched


def _of_rule(short: str, rule: EventRule) -> list[Alarm]:
    return [
        Alarm(
            f"{short}-failed-invocations",
            f"EventBridge could not hand events of rule {rule.name} over; they are in its dead-letter queue.",
            rule.metric_failed(),
            1,
        ),
        Alarm(
            f"{short}-undeliverable",
            f"Events of rule {rule.name} reached neither target nor dead-letter queue: they are lost from "
            "the rule. Replay the archive over this time once the queue takes messages.",
            rule.metric_lost().over(period=MINUTE),
            1,
        ),
    ]
