"""Services publish their metrics, functions' log lines become metrics, and alarms follow their own metric.

Sources: the monitoring chapters of the user guides of EventBridge, Lambda and SQS. DescribeAlarms
evaluates the alarms and measures the queues.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ministack.services import cloudwatch, eventbridge, lambda_svc, sqs

from ops.emulator.alarm_state import COMPARISONS, state
from ops.emulator.metrics import embedded, rule_dimensions
from ops.emulator.patching import original, replace, replace_operation

Data = dict[str, Any]


def apply() -> None:
    """Publish each metric where its service does, and evaluate alarms before DescribeAlarms returns them."""
    replace(eventbridge, "_invoke_target", _counting_targets(original(eventbridge, "_invoke_target")))
    replace(eventbridge, "_dispatch_event", _counting_events(original(eventbridge, "_dispatch_event")))
    replace(lambda_svc, "_emit_lambda_metrics", _count_throttle)
    execute = original(lambda_svc, "_execute_function_dispatch")
    replace(lambda_svc, "_execute_function_dispatch", _counting_executions(execute))
    replace(lambda_svc, "_emit_lambda_logs", _reading_logs(original(lambda_svc, "_emit_lambda_logs")))
    replace_operation(sqs, "_delete_messages_for_esm", _counting_deletes)
    replace(cloudwatch, "_evict_old_metrics", _evict_old_metrics)
    replace(cloudwatch, "_evaluate_alarm", _evaluate_alarm)
    replace(cloudwatch, "_describe_alarms", _evaluating(original(cloudwatch, "_describe_alarms")))


def _counting_events(dispatch: Callable[..., None]) -> Callable[..., None]:
    def dispatch_event(event: Data, view: Any = None) -> None:
        cloudwatch.record_metric("AWS/Events", "Events", 1, "Count", {"EventSourceName": event["Source"]})
        dispatch(event, view)

    return dispatch_event


def _counting_targets(invoke: Callable[..., None]) -> Callable[..., None]:
    def invoke_target(target: Data, event: Data, rule: Data, view: Any = None) -> None:
        dimensions = rule_dimensions(rule)
        targets = eventbridge._targets.get(eventbridge._rule_key(rule["Name"], rule["EventBusName"]), [])
        if targets and targets[0] is target:
            cloudwatch.record_metric("AWS/Events", "MatchedEvents", 1, "Count", dimensions)
        cloudwatch.record_metric("AWS/Events", "Invocations", 1, "Count", dimensions)
        invoke(target, event, rule, view)

    return invoke_target


def _count_throttle(function_name: str, duration_ms: float, error: bool, throttle: bool) -> None:
    """Count a throttled invocation once; MiniStack reports it twice, the second time with a duration.

    Executions are counted where they run.
    """
    del error
    if throttle and not duration_ms:
        cloudwatch.record_metric("AWS/Lambda", "Throttles", 1, "Count", {"FunctionName": function_name})


def _counting_executions(execute: Callable[..., Data]) -> Callable[..., Data]:
    def execute_function(function: Data, config: Data, event: Any, request_id: str, started: float) -> Data:
        result = execute(function, config, event, request_id, started)
        dimensions = {"FunctionName": config["FunctionName"]}
        milliseconds = (time.time() - started) * 1000
        cloudwatch.record_metric("AWS/Lambda", "Invocations", 1, "Count", dimensions)
        cloudwatch.record_metric(
            "AWS/Lambda", "Errors", float(bool(result.get("error"))), "Count", dimensions
        )
        cloudwatch.record_metric("AWS/Lambda", "Duration", milliseconds, "Milliseconds", dimensions)
        return result

    return execute_function


def _reading_logs(emit: Callable[..., None]) -> Callable[..., None]:
    def emit_lambda_logs(function: Data, request_id: str, log: str, *rest: Any, **options: Any) -> None:
        emit(function, request_id, log, *rest, **options)
        for line in (log or "").splitlines():
            for one in embedded(line):
                cloudwatch.record_metric(one.namespace, one.name, one.value, one.unit, one.dimensions)

    return emit_lambda_logs


def _counting_deletes(delete: Callable[..., None]) -> Callable[..., None]:
    """Count what an event source mapping deletes; the deletes of other callers have no metric here."""

    def delete_messages_for_esm(url: str, handles: set[str]) -> None:
        delete(url, handles)
        if handles:
            dimensions = {"QueueName": url.rpartition("/")[2]}
            cloudwatch.record_metric(
                "AWS/SQS", "NumberOfMessagesDeleted", float(len(handles)), "Count", dimensions
            )

    return delete_messages_for_esm


def _measure_queues() -> None:
    now = time.time()
    for queue in list(sqs._queues.values()):
        sqs._refresh_counts(queue)
        name = queue["attributes"]["QueueArn"].rpartition(":")[2]
        visible = float(queue["attributes"]["ApproximateNumberOfMessages"])
        hidden = float(queue["attributes"]["ApproximateNumberOfMessagesNotVisible"])
        oldest = min((message["sent_at"] for message in list(queue["messages"])), default=now)
        for metric, value, unit in (
            ("ApproximateNumberOfMessagesVisible", visible, "Count"),
            ("ApproximateNumberOfMessagesNotVisible", hidden, "Count"),
            ("ApproximateAgeOfOldestMessage", now - oldest, "Seconds"),
        ):
            cloudwatch.record_metric("AWS/SQS", metric, value, unit, {"QueueName": name})


def _evict_old_metrics() -> None:
    """Drop points that are too old; MiniStack copies every point of every metric at each call.

    A metric's first point is the oldest, unless its publisher gave it a later time.
    """
    cutoff = time.time() - cloudwatch.TWO_WEEKS_SECONDS
    for key, points in list(cloudwatch._metrics.items()):
        if points and points[0]["Timestamp"] < cutoff:
            kept = [point for point in points if point["Timestamp"] >= cutoff]
            if kept:
                cloudwatch._metrics[key] = kept
            else:
                del cloudwatch._metrics[key]


def _evaluating(describe: Callable[..., Any]) -> Callable[..., Any]:
    def describe_alarms(*arguments: Any) -> Any:
        _measure_queues()
        cloudwatch._evaluate_all_alarms()
        return describe(*arguments)

    return describe_alarms


def _evaluate_alarm(alarm: Data) -> None:
    """Set the state of a metric alarm; an alarm on a band keeps its state.

    For one on an expression only DescribeAlarms has an effect: MiniStack adds the metrics after its creation.
    """
    if alarm.get("ComparisonOperator") not in COMPARISONS or not (
        alarm.get("MetricName") or alarm.get("Metrics")
    ):
        return
    before = alarm["StateValue"]
    after = state(alarm, _points, time.time())
    if after == before:
        return
    reason = f"Threshold {alarm['ComparisonOperator']} {alarm['Threshold']}: {after}"
    alarm |= {"StateValue": after, "StateReason": reason, "StateUpdatedTimestamp": int(time.time())}
    cloudwatch._record_history(alarm["AlarmName"], before, after, reason)
    cloudwatch._dispatch_alarm_actions(alarm, before, after, reason)
    cloudwatch._evaluate_parent_alarms(alarm)


def _points(namespace: str, name: str, dimensions: Mapping[str, str]) -> Sequence[Data]:
    return cloudwatch._metrics.get((namespace, name, cloudwatch._dims_key(dimensions))) or []
