"""What AWS refuses beyond the constraints of its models: rules about one request and what exists already.

The codes and messages are those that AWS answers with. Where AWS documents a limit but no message, the
message is the documented sentence.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from ministack.services import eventbridge, secretsmanager

from ops.emulator import limits, mapping_rules, policy_rules
from ops.emulator.refusal import Refusal, Rule

Data = dict[str, Any]

RESOURCES: Final = "The requested resource exceeds the maximum number allowed."
# PutLogEvents counts 26 bytes for each event.
LOG_EVENT_BYTES: Final = 26
RATE: Final = re.compile(r"rate\([1-9]\d* (minute|hour|day)s?\)")
AT: Final = re.compile(r"at\(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\)")
CHILD: Final = re.compile(r"\b(?:ALARM|OK|INSUFFICIENT_DATA)\s*\(\s*([^)]+?)\s*\)")
HIGH_RESOLUTION: Final = (10, 20, 30)
MINUTE: Final = 60
HOUR: Final = 3_600


def _put_rule(data: Data) -> Refusal | None:
    bus, name = data.get("EventBusName", "default"), data.get("Name")
    others = [
        rule for rule in eventbridge._rules.values() if rule["EventBusName"] == bus and rule["Name"] != name
    ]
    if len(data.get("EventPattern") or "") > limits.PATTERN.value or len(others) >= limits.BUS_RULES.value:
        return Refusal(limits.LIMIT_EXCEEDED, RESOURCES)
    return None


def _put_targets(data: Data) -> Refusal | None:
    key = eventbridge._rule_key(data.get("Rule"), data.get("EventBusName", "default"))
    targets = [*eventbridge._targets.get(key, []), *data.get("Targets", [])]
    if len({target.get("Id") for target in targets}) > limits.TARGETS.value:
        return Refusal(limits.LIMIT_EXCEEDED, RESOURCES)
    return None


def _function_name(data: Data) -> Refusal | None:
    name, most = data.get("FunctionName") or "", limits.FUNCTION_NAME.value
    if ":" in name or len(name) <= most:
        return None
    return _constraint(limits.VALIDATION, name, "functionName", f"have length less than or equal to {most}")


def _environment(data: Data) -> Refusal | None:
    variables = (data.get("Environment") or {}).get("Variables") or {}
    measured = json.dumps(variables, separators=(",", ":"), ensure_ascii=False)
    if len(measured.encode()) > limits.ENVIRONMENT.value:
        return Refusal(
            limits.INVALID_VALUE,
            "Lambda was unable to configure your environment variables because the environment variables you "
            f"have provided exceeded the 4KB limit. String measured: {measured}",
        )
    return None


def _zipped(data: Data) -> Refusal | None:
    text = (data.get("Code") or data).get("ZipFile") or ""
    if len(base64.b64decode(text)) > limits.ZIPPED.value:
        return Refusal(limits.INVALID_VALUE, f"Zipped size must be smaller than {limits.ZIPPED.value} bytes")
    return None


def _put_log_events(data: Data) -> Refusal | None:
    sizes = [
        len(str(event.get("message", "")).encode()) + LOG_EVENT_BYTES for event in data.get("logEvents", [])
    ]
    for what, size, limit in (
        ("Log event", max(sizes, default=0), limits.LOG_EVENT),
        ("Upload", sum(sizes), limits.LOG_BATCH),
    ):
        if size > limit.value:
            return Refusal(
                limits.LOGS_INVALID, f"{what} too large: {size} bytes exceeds limit of {limit.value}"
            )
    return None


def _put_metric_data(data: Data) -> Refusal | None:
    metrics = data.get("MetricData") or []
    collections = {"MetricData": (metrics, limits.METRICS)} | {
        f"MetricData.member.{number}.Dimensions": (metric.get("Dimensions") or [], limits.DIMENSIONS)
        for number, metric in enumerate(metrics, 1)
    }
    for name, (collection, limit) in collections.items():
        if len(collection) > limit.value:
            message = f"The collection {name} must not have a size greater than {limit.value}."
            return Refusal(limits.WRONG_METRICS, message)
    return None


def _put_metric_alarm(data: Data) -> Refusal | None:
    periods = data.get("EvaluationPeriods") or 0
    metrics = [one["MetricStat"] for one in data.get("Metrics") or [] if one.get("MetricStat")]
    wrong = next(_wrong_periods([data, *metrics], periods), None)
    if wrong is None and (data.get("DatapointsToAlarm") or 0) > periods:
        wrong = "DatapointsToAlarm must be less than or equal to EvaluationPeriods"
    if wrong is None and len(metrics) > limits.MATH.value:
        wrong = (
            f"Alarms based on metric math expressions can reference a maximum of {limits.MATH.value} metrics"
        )
    return Refusal(limits.METRICS_INVALID, wrong) if wrong else None


def _wrong_periods(holders: Iterable[Data], periods: int) -> Iterator[str]:
    for period in [holder["Period"] for holder in holders if holder.get("Period")]:
        limit, longest = (limits.DAY, "day") if period < HOUR else (limits.WEEK, "week")
        if period not in HIGH_RESOLUTION and period % MINUTE:
            yield "Period must be 10, 20, 30 or a multiple of 60"
        elif period * periods > limit.value:
            yield (
                f"Metrics cannot be checked across more than a {longest} "
                f"(EvaluationPeriods * Period must be <= {limit.value})"
            )


def _put_composite_alarm(data: Data) -> Refusal | None:
    children = {name.strip("\"'") for name in CHILD.findall(data.get("AlarmRule") or "")}
    if len(children) > limits.CHILDREN.value:
        message = f"A composite alarm can be based on at most {limits.CHILDREN.value} alarms"
        return Refusal(limits.METRICS_INVALID, message)
    return None


def _schedule(data: Data) -> Refusal | None:
    text = data.get("ScheduleExpression") or ""
    cron = text.startswith("cron(") and eventbridge._parse_cron_fields(text) is not None
    if text and not cron and not RATE.fullmatch(text) and not AT.fullmatch(text):
        return Refusal(limits.VALIDATION, f"Invalid Schedule Expression {text}.")
    return None


def _create_secret(data: Data) -> Refusal | None:
    if (secretsmanager._secrets.get(data.get("Name")) or {}).get("DeletedDate"):
        message = (
            "You can't create this secret because a secret with this name is already scheduled for deletion."
        )
        return Refusal("InvalidRequestException", message)
    return None


def _constraint(code: str, value: Any, at: str, must: str) -> Refusal:
    wrong = f"Value '{value}' at '{at}' failed to satisfy constraint"
    return Refusal(code, f"1 validation error detected: {wrong}: Member must {must}")


# The rules of each operation, by service and operation.
BY_OPERATION: Final[Mapping[tuple[str, str], tuple[Rule, ...]]] = {
    ("events", "PutRule"): (_put_rule,),
    ("events", "PutTargets"): (_put_targets,),
    ("lambda", "CreateFunction"): (_function_name, _zipped, _environment),
    ("lambda", "UpdateFunctionCode"): (_zipped,),
    ("lambda", "UpdateFunctionConfiguration"): (_environment, mapping_rules.timeout),
    ("lambda", "CreateEventSourceMapping"): (mapping_rules.mapping,),
    ("lambda", "UpdateEventSourceMapping"): (mapping_rules.mapping,),
    ("logs", "PutLogEvents"): (_put_log_events,),
    ("cloudwatch", "PutMetricData"): (_put_metric_data,),
    ("cloudwatch", "PutMetricAlarm"): (_put_metric_alarm,),
    ("cloudwatch", "PutCompositeAlarm"): (_put_composite_alarm,),
    ("scheduler", "CreateSchedule"): (_schedule,),
    ("scheduler", "UpdateSchedule"): (_schedule,),
    ("secretsmanager", "CreateSecret"): (_create_secret,),
    ("iam", "PutRolePolicy"): (policy_rules.inline_policies,),
    ("iam", "CreatePolicy"): (policy_rules.managed_policy,),
    ("iam", "CreatePolicyVersion"): (policy_rules.managed_policy,),
    ("iam", "CreateRole"): (policy_rules.trust_policy,),
    ("iam", "UpdateAssumeRolePolicy"): (policy_rules.trust_policy,),
    ("iam", "AttachRolePolicy"): (policy_rules.attached_policies,),
}


def refusal(service: str, operation: str, parameters: Data) -> Refusal | None:
    """Return what AWS answers to a request that breaks a rule, or None if it breaks none."""
    rules = BY_OPERATION.get((service, operation), ())
    return next((found for rule in rules if (found := rule(parameters))), None)
