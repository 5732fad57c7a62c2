"""Alarms, dashboard, queries and topic: each metric must exist, with the dimensions that AWS gives it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from functions.pipeline import routing_table
from functions.shared import names
from tests.infra.conftest import SCHEDULED, SOURCE, synthesise_into
from tests.infra.terraform_json import Stack, metrics_of, statements

RULE = {"EventBusName", "RuleName"}
SOURCE_ONLY = {"EventSourceName"}
FUNCTION = {"FunctionName"}
QUEUE = {"QueueName"}
BY_TYPE = {"service", "environment", "event_type"}
BY_SERVICE = {"service", "environment"}

# The metrics that exist, with the dimensions that they carry for one resource: "Monitoring Amazon
# EventBridge", "Types of metrics for Lambda functions", "Available CloudWatch metrics for Amazon SQS".
DIMENSIONS: Mapping[str, Mapping[str, set[str]]] = {
    "AWS/Events": {
        "Events": SOURCE_ONLY,
        "FailedInvocations": RULE,
        "IngestionToInvocationSuccessLatency": RULE,
        "IngestiontoInvocationStartLatency": RULE,
        "Invocations": RULE,
        "InvocationsFailedToBeSentToDlq": RULE,
        "InvocationsSentToDlq": RULE,
        "MatchedEvents": RULE,
        "ThrottledRules": RULE,
    },
    "AWS/Lambda": {
        "AsyncEventsDropped": FUNCTION,
        "DestinationDeliveryFailures": FUNCTION,
        "Duration": FUNCTION,
        "Errors": FUNCTION,
        "Invocations": FUNCTION,
        "Throttles": FUNCTION,
    },
    "AWS/SQS": {
        "ApproximateAgeOfOldestMessage": QUEUE,
        "ApproximateNumberOfMessagesNotVisible": QUEUE,
        "ApproximateNumberOfMessagesVisible": QUEUE,
    },
    names.METRICS_NAMESPACE: {
        names.API_LATENCY: BY_TYPE,
        names.AUTHENTICATION_REFUSED: BY_SERVICE,
        names.DUPLICATES_SKIPPED: BY_TYPE,
        names.EVENTS_APPLIED: BY_TYPE,
        names.EVENTS_FAILED: BY_TYPE,
        names.EVENTS_MISSING: BY_SERVICE,
        names.EVENTS_GIVEN_UP: BY_SERVICE,
        names.EVENTS_LEFT: BY_SERVICE,
        names.EVENTS_UNHANDLED: BY_SERVICE,
        names.OLDEST_MESSAGE_AGE: BY_SERVICE,
        names.EVENTS_PARKED: BY_TYPE,
        names.MESSAGES_PARKED: BY_SERVICE,
        names.STALE_SKIPPED: BY_TYPE,
        names.EVENTS_RECORDED: BY_TYPE,
        names.EVENT_AGE: BY_TYPE,
    },
}
# The alarms on silence and on its first event, which notify nobody.
ALARM_OF_SILENCE = re.compile(r"-(not-running|heartbeat)(-since)?-(dev|staging|prod)$")
FAMILIES = ("payments", "billing", "audit")
RULES = ("payments", "billing", "audit-payments", "audit-billing", "audit-other")


@dataclass(frozen=True)
class Used:
    where: str
    namespace: str
    name: str
    dimensions: Mapping[str, str]


def widgets(stack: Stack) -> list[dict[str, Any]]:
    body = json.loads(stack.only("aws_cloudwatch_dashboard")["dashboard_body"])
    found: list[dict[str, Any]] = body["widgets"]
    return found


def metrics_used(stack: Stack) -> Iterator[Used]:
    for address, alarm in stack.of_type("aws_cloudwatch_metric_alarm").items():
        for metric in metrics_of(alarm):
            yield Used(address, metric["namespace"], metric["metric_name"], metric["dimensions"])
    for widget in widgets(stack):
        for row in widget["properties"].get("metrics", []):
            namespace, name, *pairs, _options = row
            dimensions = dict(zip(pairs[::2], pairs[1::2], strict=True))
            yield Used(widget["properties"]["title"], namespace, name, dimensions)


def resources_by_dimension(stack: Stack) -> dict[str, set[str]]:
    return {
        "EventBusName": {bus["name"] for bus in stack.of_type("aws_cloudwatch_event_bus").values()},
        "EventSourceName": {SOURCE},
        "RuleName": {rule["name"] for rule in stack.of_type("aws_cloudwatch_event_rule").values()},
        "FunctionName": {f["function_name"] for f in stack.of_type("aws_lambda_function").values()},
        "QueueName": set(stack.queues()),
        "environment": {stack.environment},
        "event_type": set(routing_table.ROUTES),
        "service": {*FAMILIES, "reconcile", "redrive"},
    }


def test_every_metric_has_its_dimensions_and_names_a_resource_of_the_stack(stack: Stack) -> None:
    existing = resources_by_dimension(stack)
    used = list(metrics_used(stack))
    assert len(used) > 100
    for metric in used:
        assert set(metric.dimensions) == DIMENSIONS[metric.namespace][metric.name], metric
        for dimension, value in metric.dimensions.items():
            assert value in existing[dimension], metric


def test_the_metrics_of_the_secured_stack_are_right_too(secured: Stack) -> None:
    existing = resources_by_dimension(secured)
    for metric in metrics_used(secured):
        assert set(metric.dimensions) == DIMENSIONS[metric.namespace][metric.name], metric
        assert all(value in existing[dimension] for dimension, value in metric.dimensions.items()), metric


def test_event_types_are_counted_by_the_function_that_handles_them(stack: Stack) -> None:
    for metric in metrics_used(stack):
        if "event_type" in metric.dimensions:
            assert (
                routing_table.ROUTES[metric.dimensions["event_type"]].handler == metric.dimensions["service"]
            )


def alarm(stack: Stack, part: str) -> dict[str, Any]:
    return stack.named("aws_cloudwatch_metric_alarm", f"huntaze-stripe-{part}-{stack.environment}")


def watches(stack: Stack, part: str, namespace: str, metric: str, **dimensions: str) -> None:
    found = alarm(stack, part)
    assert (found["namespace"], found["metric_name"]) == (namespace, metric)
    assert found["dimensions"] == dimensions


@pytest.mark.parametrize("short", RULES)
def test_rule_has_its_alarms(stack: Stack, short: str) -> None:
    short_rule = "audit" if short == "audit-other" else short
    dimensions = {"EventBusName": SOURCE, "RuleName": f"huntaze-stripe-{short_rule}-{stack.environment}"}
    watches(stack, f"{short}-failed-invocations", "AWS/Events", "FailedInvocations", **dimensions)
    watches(stack, f"{short}-undeliverable", "AWS/Events", "InvocationsFailedToBeSentToDlq", **dimensions)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("part", "metric"),
    [
        ("errors", "Errors"),
        ("throttles", "Throttles"),
        ("duration", "Duration"),
        ("events-dropped", "AsyncEventsDropped"),
        ("destination-failures", "DestinationDeliveryFailures"),
    ],
)
def test_function_has_its_alarms(stack: Stack, family: str, part: str, metric: str) -> None:
    function = f"huntaze-stripe-{family}-{stack.environment}"
    watches(stack, f"{family}-{part}", "AWS/Lambda", metric, FunctionName=function)


def failures_in_an_outage(stack: Stack, *, groups: int) -> int:
    """The fewest failed batches that a period of the audit's alarm sees while the ledger is away.

    A message group has one batch in flight. One that failed is hidden for the visibility timeout, and may
    then wait for the next long poll, of 20 s at most.
    """
    queue = stack.queues()[f"huntaze-stripe-events-{stack.environment}.fifo"]
    period: int = alarm(stack, "audit-errors")["period"]
    hidden: int = queue["VisibilityTimeout"] + 20
    return groups * (period // hidden)


def groups_of(stack: Stack) -> int:
    """The message groups of the audit queue."""
    targets = stack.of_type("aws_cloudwatch_event_target").values()
    return len({target["sqs_target"]["message_group_id"] for target in targets if "sqs_target" in target})


def test_the_audits_alarm_fires_while_the_ledger_is_unreachable(stack: Stack) -> None:
    threshold = alarm(stack, "audit-errors")["threshold"]
    assert groups_of(stack) == 3
    assert failures_in_an_outage(stack, groups=3) >= threshold
    # Nor is an outage missed in the hours in which one family alone has events.
    assert failures_in_an_outage(stack, groups=1) >= threshold


def test_one_failure_of_each_message_group_raises_no_alarm(stack: Stack) -> None:
    assert alarm(stack, "audit-errors")["threshold"] > groups_of(stack)


@pytest.mark.parametrize("seconds", ["3", "61", "900"])
def test_the_audits_alarm_follows_its_timeout(tmp_path: Path, seconds: str) -> None:
    stack = Stack.read(synthesise_into(tmp_path, {"AUDIT_TIMEOUT_SECONDS": seconds}), "huntaze-stripe-dev")
    found = alarm(stack, "audit-errors")
    assert failures_in_an_outage(stack, groups=groups_of(stack)) >= found["threshold"]
    # What PutMetricAlarm takes: whole minutes, and a day at most for a period under an hour.
    assert found["period"] % 60 == 0
    assert found["period"] * found["evaluation_periods"] <= 24 * 3600


@pytest.mark.parametrize("family", SCHEDULED["prod"])
def test_failed_runs_are_watched_over_several_runs_alone(outdir: Path, family: str) -> None:
    prod = Stack.read(outdir, "huntaze-stripe-prod")
    (watching,) = [
        found
        for found in prod.alarms("Errors")
        if found["dimensions"]["FunctionName"] == f"huntaze-stripe-{family}-prod"
    ]
    assert watching["alarm_name"] == f"huntaze-stripe-{family}-failing-prod"


@pytest.mark.parametrize("family", FAMILIES)
def test_alarm_on_events_that_lambda_gave_up_names_their_queue(stack: Stack, family: str) -> None:
    destination = stack.of_type("aws_lambda_function_event_invoke_config")[f"{family}_function_async"][
        "destination_config"
    ]["on_failure"]["destination"]
    (queue,) = [name for name in stack.queues() if stack.queue_arn(name) == destination]
    dropped = alarm(stack, f"{family}-events-dropped")["alarm_description"]
    assert f"They are in the dead-letter queue {queue}" in dropped
    assert f"unless the alarm {family}-destination-failures is on too" in dropped
    assert "replay" not in dropped
    failed = alarm(stack, f"{family}-destination-failures")["alarm_description"]
    assert queue in failed
    assert "replay the archive" in failed


def test_a_function_without_a_destination_has_no_alarm_about_one(stack: Stack) -> None:
    for metric in ("AsyncEventsDropped", "DestinationDeliveryFailures"):
        watched = {found["dimensions"]["FunctionName"] for found in stack.alarms(metric)}
        assert watched == {f"huntaze-stripe-{family}-{stack.environment}" for family in FAMILIES}


@pytest.mark.parametrize("family", FAMILIES)
def test_duration_alarm_fires_near_the_timeout(stack: Stack, family: str) -> None:
    timeout = stack.named("aws_lambda_function", f"huntaze-stripe-{family}-{stack.environment}")["timeout"]
    found = alarm(stack, f"{family}-duration")
    assert found["extended_statistic"] == "p99"
    assert timeout * 1000 * 0.5 < found["threshold"] < timeout * 1000


def test_a_scheduled_function_that_uses_its_time_raises_no_alarm(secured: Stack) -> None:
    watched = {found["dimensions"]["FunctionName"] for found in secured.alarms("Duration")}
    assert watched == {f"huntaze-stripe-{family}-prod" for family in FAMILIES}


def test_each_dead_letter_queue_has_an_alarm_at_its_first_message(stack: Stack, secured: Stack) -> None:
    for each in (stack, secured):
        parked = {name for name in each.queues() if "-dlq-" in name}
        watched = {
            metric["dimensions"]["QueueName"]
            for found in each.alarms("ApproximateNumberOfMessagesVisible")
            for metric in metrics_of(found)
            if found["threshold"] == 1 and found["evaluation_periods"] == 1
        }
        assert watched == parked


def test_what_waits_too_long_is_seen_whoever_receives_it_meanwhile(stack: Stack, secured: Stack) -> None:
    for each in (stack, secured):
        old = {name: each for name in each.queues() if "-dlq-" in name}
        for found in each.of_type("aws_cloudwatch_metric_alarm").values():
            if not found["alarm_name"].endswith(f"-dlq-age-{each.environment}"):
                continue
            names_of = [metric["metric_name"] for metric in metrics_of(found)]
            assert names_of == [
                "ApproximateNumberOfMessagesVisible",
                "ApproximateNumberOfMessagesNotVisible",
            ]
            (queue,) = {metric["dimensions"]["QueueName"] for metric in metrics_of(found)}
            del old[queue]
            seconds = {metric["period"] for metric in metrics_of(found)}
            # What PutMetricAlarm takes: a week at most for periods of an hour.
            assert seconds == {3600}
            assert found["evaluation_periods"] * 3600 == 7 * 24 * 3600
            assert 6 * 24 <= found["datapoints_to_alarm"] < found["evaluation_periods"]
        assert not old


def test_audit_backlog_has_alarms_for_age_and_depth(stack: Stack) -> None:
    queue = f"huntaze-stripe-events-{stack.environment}.fifo"
    watches(stack, "audit-backlog-age", "AWS/SQS", "ApproximateAgeOfOldestMessage", QueueName=queue)
    watches(stack, "audit-backlog-depth", "AWS/SQS", "ApproximateNumberOfMessagesVisible", QueueName=queue)
    assert alarm(stack, "audit-backlog-age")["threshold"] == 900
    assert alarm(stack, "audit-backlog-depth")["threshold"] == 1000


@pytest.mark.parametrize("family", names.HANDLERS)
def test_refused_authentication_has_an_alarm(stack: Stack, family: str) -> None:
    watches(
        stack,
        f"{family}-authentication-refused",
        "HuntazeStripe",
        "AuthenticationRefused",
        service=family,
        environment=stack.environment,
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_each_parked_message_has_an_alarm(stack: Stack, family: str) -> None:
    dimensions = {"service": family, "environment": stack.environment}
    watches(stack, f"{family}-parked", "HuntazeStripe", "MessagesParked", **dimensions)
    found = alarm(stack, f"{family}-parked")
    assert (found["statistic"], found["threshold"], found["period"]) == ("Sum", 1, 300)


def test_heartbeat_is_watched_where_events_are_live(stack: Stack, secured: Stack) -> None:
    if stack.environment != "prod":
        assert not stack.alarms("Events")
        return
    for each, seconds in ((stack, 24 * 3600), (secured, 3600)):
        watches(each, "heartbeat", "AWS/Events", "Events", EventSourceName=SOURCE)
        heartbeat = alarm(each, "heartbeat")
        assert heartbeat["comparison_operator"] == "LessThanThreshold"
        assert heartbeat["period"] == seconds
        assert heartbeat["treat_missing_data"] == "breaching"


def test_silence_is_an_alarm_only_of_what_is_due_again_and_again(stack: Stack) -> None:
    def name(part: str) -> str:
        return f"huntaze-stripe-{part}-{stack.environment}"

    heartbeat = ["heartbeat"] if stack.environment == "prod" else []
    clock = SCHEDULED[stack.environment]
    alarms = stack.of_type("aws_cloudwatch_metric_alarm").values()
    silence = {found["alarm_name"] for found in alarms if found["treat_missing_data"] == "breaching"}
    assert silence == {name(part) for part in (*(f"{family}-not-running" for family in clock), *heartbeat)}
    composites = stack.of_type("aws_cloudwatch_composite_alarm").values()
    stopped = {found["alarm_name"] for found in composites if "alarm_actions" in found}
    assert stopped == {name(f"{part}-stopped") for part in (*clock, *heartbeat)}


def test_alarms_notify_the_topic_and_say_what_to_do(stack: Stack) -> None:
    for found in stack.of_type("aws_cloudwatch_metric_alarm").values():
        assert len(found["alarm_description"]) > 40
        assert ("statistic" in found) + ("extended_statistic" in found) + ("metric_query" in found) == 1
        if ALARM_OF_SILENCE.search(found["alarm_name"]):
            assert "alarm_actions" not in found
        else:
            assert found["alarm_actions"] == ["${aws_sns_topic.alerts.arn}"]


def test_composite_alarm_covers_all_others_and_notifies_only_when_all_have_cleared(stack: Stack) -> None:
    composite = stack.named("aws_cloudwatch_composite_alarm", f"huntaze-stripe-unhealthy-{stack.environment}")
    members = {
        address: found["alarm_name"]
        for address, found in stack.of_type("aws_cloudwatch_metric_alarm").items()
        if "-since-" not in found["alarm_name"]
    }
    assert set(composite["alarm_rule"].split(" OR ")) == {f'ALARM("{name}")' for name in members.values()}
    assert set(composite["depends_on"]) == {f"aws_cloudwatch_metric_alarm.{address}" for address in members}
    assert len(composite["alarm_rule"]) <= 10_240
    assert composite["ok_actions"] == ["${aws_sns_topic.alerts.arn}"]
    # Each member notifies with its own reason; a second mail would add nothing.
    assert "alarm_actions" not in composite


def test_topic_allows_alarms_of_the_environment_over_tls(stack: Stack) -> None:
    topic = stack.only("aws_sns_topic")
    assert topic["name"] == f"huntaze-stripe-alerts-{stack.environment}"
    deny, allow = statements(topic["policy"])
    assert deny["Effect"] == "Deny"
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert allow["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert allow["Action"] == ["sns:Publish"]
    [source] = [allow["Condition"]["ArnLike"]["aws:SourceArn"]]
    assert source.endswith(f":alarm:huntaze-stripe-*-{stack.environment}")


def test_topic_is_not_encrypted_with_the_key_that_cloudwatch_may_not_use(stack: Stack) -> None:
    assert "kms_master_key_id" not in stack.only("aws_sns_topic")


def test_each_address_is_subscribed(stack: Stack, secured: Stack) -> None:
    assert not stack.of_type("aws_sns_topic_subscription")
    subscriptions = secured.of_type("aws_sns_topic_subscription")
    assert {s["endpoint"] for s in subscriptions.values()} == {"on.call@huntaze.com", "on-call@huntaze.com"}
    assert {s["protocol"] for s in subscriptions.values()} == {"email"}
    assert all(address.startswith("alerts_email_on_call_huntaze_com_") for address in subscriptions)


def test_dashboard_shows_what_the_operators_asked_for(stack: Stack) -> None:
    dashboard = stack.only("aws_cloudwatch_dashboard")
    assert dashboard["dashboard_name"] == f"HuntazeStripeEventBridge-{stack.environment}"
    shown = {metric.name for metric in metrics_used(stack)}
    assert shown >= {
        "ApproximateAgeOfOldestMessage",
        "ApproximateNumberOfMessagesVisible",
        "Duration",
        "Errors",
        "EventAge",
        "EventsApplied",
        "IngestionToInvocationSuccessLatency",
        "IngestiontoInvocationStartLatency",
        "Invocations",
    }


def test_dashboard_shows_median_and_slowest_function_durations(stack: Stack) -> None:
    [widget] = [w for w in widgets(stack) if w["properties"]["title"] == "Function duration"]
    shown = {(row[3], row[-1]["stat"]) for row in widget["properties"]["metrics"]}
    functions = [made["function_name"] for made in stack.of_type("aws_lambda_function").values()]
    assert shown == {(function, statistic) for function in functions for statistic in ("p50", "p99")}


def test_dashboard_shows_every_alarm(stack: Stack) -> None:
    [states] = [widget for widget in widgets(stack) if widget["type"] == "alarm"]
    shown = {arn.rsplit(":", 1)[1] for arn in states["properties"]["alarms"]}
    alarms = [
        *stack.of_type("aws_cloudwatch_metric_alarm").values(),
        *stack.of_type("aws_cloudwatch_composite_alarm").values(),
    ]
    assert shown == {found["alarm_name"] for found in alarms}
    # The most that a widget takes ("Alarm widget").
    assert len(shown) <= 100


def test_widgets_fit_the_grid_and_do_not_overlap(stack: Stack) -> None:
    cells = [
        (x, y)
        for widget in widgets(stack)
        for x in range(widget["x"], widget["x"] + widget["width"])
        for y in range(widget["y"], widget["y"] + widget["height"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_queries_search_the_logs_of_all_functions(stack: Stack) -> None:
    queries = {q["name"]: q for q in stack.of_type("aws_cloudwatch_query_definition").values()}
    start = f"huntaze-stripe/{stack.environment}"
    assert set(queries) == {f"{start}/event-story", f"{start}/failures-by-type"}
    functions = stack.of_type("aws_lambda_function")
    groups = {f"${{aws_cloudwatch_log_group.{address}_logs.name}}" for address in functions}
    for query in queries.values():
        assert set(query["log_group_names"]) == groups
    assert "correlation_id" in queries[f"{start}/event-story"]["query_string"]
    assert "event_type" in queries[f"{start}/failures-by-type"]["query_string"]
