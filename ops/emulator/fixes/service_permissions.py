"""AWS services act with a role that they may assume, or as a principal that the resource's policy names.

MiniStack delivers between services without a permission. Here Scheduler uses its own role, CloudWatch the
topic's policy, EventBridge and CloudWatch Logs the key's policy; `function_roles` is about Lambda. A refusal
has the effect that it has on AWS: nothing is delivered.

Sources: EventBridge Scheduler user guide, "Setting up the execution role"; CloudWatch user guide, "Using
Amazon SNS"; EventBridge user guide, "Encryption at rest".
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from ministack.core import responses
from ministack.services import cloudwatch, cloudwatch_logs, eventbridge, scheduler, sns

from functions.shared.json_text import compact
from ops.emulator import key_use
from ops.emulator.delivery import DeliveryFailure
from ops.emulator.fixes import log_keys
from ops.emulator.fixes.target_dlq import send_to_dead_letter
from ops.emulator.patching import replace_operation
from ops.emulator.permissions import Policy
from ops.emulator.principals import EVENTS, SCHEDULER, by_service, is_assumable

logger = logging.getLogger(__name__)

Data = dict[str, Any]
Answer = tuple[int, Data, bytes]

ALARMS: Final = "cloudwatch.amazonaws.com"
STORE_LOGS: Final = (
    "kms:Encrypt",
    "kms:Decrypt",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
    "kms:GenerateDataKey",
    "kms:DescribeKey",
)


def apply() -> None:
    """Check what is done for a schedule, an alarm, a bus, an archive and a log group."""
    replace_operation(scheduler, "_create_schedule", _with_an_assumable_role)
    replace_operation(scheduler, "_update_schedule", _with_an_assumable_role)
    replace_operation(cloudwatch, "_dispatch_alarm_actions", _to_permitted_topics)
    for name in ("_create_event_bus", "_update_event_bus", "_create_archive", "_update_archive"):
        replace_operation(eventbridge, name, _with_a_usable_key)
    replace_operation(eventbridge, "_archive_event", _if_the_archives_key_allows)
    replace_operation(eventbridge, "_dispatch_event", _if_the_buss_key_allows)
    replace_operation(cloudwatch_logs, "_create_log_group", _with_a_key_for_logs)
    replace_operation(log_keys, "set_key", _with_a_new_key_for_logs)


# Scheduler and CloudWatch.


def _with_an_assumable_role(put: Callable[[str, Data], Any]) -> Callable[[str, Data], Any]:
    def put_schedule(name: str, body: Data) -> Any:
        role = (body.get("Target") or {}).get("RoleArn", "")
        arn = scheduler._schedule_arn(body.get("GroupName", "default"), name)
        if not is_assumable(role, SCHEDULER, arn):
            message = (
                "The execution role you provide must allow AWS EventBridge Scheduler to assume the role."
            )
            return scheduler._error(400, "ValidationException", message)
        return put(name, body)

    return put_schedule


def _to_permitted_topics(dispatch: Callable[..., None]) -> Callable[..., None]:
    def dispatch_alarm_actions(alarm: Data, *rest: Any) -> None:
        lists = ("AlarmActions", "OKActions", "InsufficientDataActions")
        permitted = {
            name: [arn for arn in alarm.get(name) or [] if _may_notify(arn, alarm.get("AlarmArn", ""))]
            for name in lists
        }
        dispatch(alarm | permitted, *rest)

    return dispatch_alarm_actions


def _may_notify(topic_arn: str, alarm_arn: str) -> bool:
    found = sns.topic_policy_for_arn(topic_arn)
    if found is None:
        return True
    policy = Policy(f"topic {topic_arn.rpartition(':')[2]}", found[0])
    return by_service(ALARMS, "sns:Publish", topic_arn, policy, alarm_arn)


# Keys of buses, archives and log groups.


def _with_a_usable_key(put: Callable[[Data], Answer]) -> Callable[[Data], Answer]:
    def put_bus_or_archive(data: Data) -> Answer:
        arn = _bus_arn(data)
        lacking = key_use.refused_for_service(EVENTS, key_use.of_bus(data, arn), ("kms:DescribeKey",), arn)
        if lacking:
            message = f"EventBridge is not authorized to perform: {lacking} on the key of {arn}"
            answer: Answer = responses.error_response_json("AccessDeniedException", message, 400)
            return answer
        return put(data)

    return put_bus_or_archive


def _bus_arn(data: Mapping[str, Any]) -> str:
    if "ArchiveName" in data:
        kind, name = "archive", data["ArchiveName"]
    else:
        kind, name = "event-bus", data.get("Name", "")
    return f"arn:aws:events:{responses.get_region()}:{responses.get_account_id()}:{kind}/{name}"


def _if_the_archives_key_allows(archive_event: Callable[..., None]) -> Callable[..., None]:
    def archive(event: Data, view: Any = None) -> None:
        bus = f"event-bus/{event.get('EventBusName', 'default')}"
        for each in eventbridge._archives.values():
            arn = each["ArchiveArn"]
            if each.get("EventSourceArn", "").endswith(bus) and key_use.refused_for_service(
                EVENTS, key_use.of_bus(each, arn), key_use.WRITE, arn
            ):
                logger.error("the archive %s can't use its key: the event is not archived", arn)
                return
        archive_event(event, view)

    return archive


def _if_the_buss_key_allows(dispatch: Callable[..., None]) -> Callable[..., None]:
    def dispatch_event(event: Data, view: Any = None) -> None:
        bus = eventbridge._event_buses.get(event.get("EventBusName", "default")) or {}
        arn = bus.get("Arn", "")
        lacking = key_use.refused_for_service(EVENTS, key_use.of_bus(bus, arn), key_use.WRITE, arn)
        if lacking is None:
            dispatch(event, view)
            return
        failure = DeliveryFailure(
            "NO_PERMISSIONS", f"{EVENTS} is not authorized to perform {lacking} on the bus's key"
        )
        dead_letter = (bus.get("DeadLetterConfig") or {}).get("Arn")
        if not dead_letter or not send_to_dead_letter(
            dead_letter,
            compact((view or eventbridge._pattern_event_view(event)).event_with_detail()),
            arn,
            arn,
            failure,
        ):
            logger.error("the event bus %s can't use its key: the event is lost", arn)

    return dispatch_event


def _with_a_key_for_logs(put: Callable[[Data], Answer]) -> Callable[[Data], Answer]:
    def put_log_group(data: Data) -> Answer:
        return _log_key_failure(data) or put(data)

    return put_log_group


def _with_a_new_key_for_logs(put: Callable[[Data, Data], Answer]) -> Callable[[Data, Data], Answer]:
    def set_key(group: Data, data: Data) -> Answer:
        return _log_key_failure(data) or put(group, data)

    return set_key


def _log_key_failure(data: Data) -> Answer | None:
    key = key_use.key_arn(data.get("kmsKeyId"))
    arn = cloudwatch_logs._make_group_arn_no_star(data.get("logGroupName", ""))
    use = key_use.Use(key, {"aws:logs:arn": arn}) if key else None
    service = f"logs.{responses.get_region()}.amazonaws.com"
    if not key_use.refused_for_service(service, use, STORE_LOGS, arn):
        return None
    message = f"The specified KMS key does not exist or is not allowed to be used with LogGroup '{arn}'"
    answer: Answer = responses.error_response_json("InvalidParameterException", message, 400)
    return answer
