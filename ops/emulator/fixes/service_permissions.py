"""AWS services act with a role that they may assume, or as a principal that the resource's policy names.

MiniStack delivers between services without a permission. Here Lambda uses the function's role for its queue,
destination, log, network, traces and key; Scheduler its own role; CloudWatch the topic's policy; EventBridge
and CloudWatch Logs the key's policy. A refusal has the effect that it has on AWS: nothing is delivered.

Sources: Lambda developer guide, "Defining Lambda function permissions with an execution role", "Configuring
permissions for an SQS event source", "Giving Lambda functions access to resources in an Amazon VPC" and
"Securing Lambda environment variables"; EventBridge Scheduler user guide, "Setting up the execution role";
CloudWatch user guide, "Using Amazon SNS"; EventBridge user guide, "Encryption at rest".
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from ministack.core import responses
from ministack.services import cloudwatch, cloudwatch_logs, eventbridge, lambda_svc, scheduler, sns, sqs

from functions.shared.json_text import compact
from ops.emulator import key_use
from ops.emulator.delivery import DeliveryFailure
from ops.emulator.fixes import log_keys
from ops.emulator.fixes.target_dlq import send_to_dead_letter
from ops.emulator.patching import original, replace
from ops.emulator.permissions import Policy
from ops.emulator.principals import LAMBDA, SCHEDULER, by_role, by_service, is_assumable, refused

logger = logging.getLogger(__name__)

Data = dict[str, Any]
Answer = tuple[int, Data, bytes]

EVENTS: Final = "events.amazonaws.com"
ALARMS: Final = "cloudwatch.amazonaws.com"
READ_QUEUE: Final = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
USE_NETWORK: Final = (
    "ec2:CreateNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
)
WRITE_LOGS: Final = ("logs:CreateLogStream", "logs:PutLogEvents")
SEND_TRACES: Final = ("xray:PutTraceSegments", "xray:PutTelemetryRecords")
STORE_LOGS: Final = (
    "kms:Encrypt",
    "kms:Decrypt",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
    "kms:GenerateDataKey",
    "kms:DescribeKey",
)
NAMES: Final = {"ec2": "EC2", "sns": "SNS", "sqs": "SQS", "xray": "XRAY"}


# The event source mapping for which this thread reads or deletes messages.
_working = threading.local()


def apply() -> None:
    """Check what services do for a function, a schedule, an alarm, a bus, an archive and a log group."""
    _replace(lambda_svc, "_create_function", _with_a_usable_role)
    _replace(lambda_svc, "_update_config", _with_a_usable_role_still)
    _replace(lambda_svc, "_create_esm", _that_may_read)
    _replace(lambda_svc, "_put_event_invoke_config", _that_may_send)
    _replace(lambda_svc, "_execute_function_dispatch", _in_its_role)
    _replace(lambda_svc, "_emit_lambda_logs", _that_may_be_written)
    _replace(lambda_svc, "_route_async_failure", _that_may_be_sent)
    _replace(lambda_svc, "_iter_all_esms", _one_after_the_other)
    _replace(lambda_svc, "_run_sqs_batch", _for_its_mapping)
    _replace(sqs, "_receive_messages_for_esm", _that_the_mapping_may_receive)
    _replace(sqs, "_delete_messages_for_esm", _that_the_mapping_may_delete)
    _replace(scheduler, "_create_schedule", _with_an_assumable_role)
    _replace(scheduler, "_update_schedule", _with_an_assumable_role)
    _replace(cloudwatch, "_dispatch_alarm_actions", _to_permitted_topics)
    for name in ("_create_event_bus", "_update_event_bus", "_create_archive", "_update_archive"):
        _replace(eventbridge, name, _with_a_usable_key)
    _replace(eventbridge, "_archive_event", _if_the_archives_key_allows)
    _replace(eventbridge, "_dispatch_event", _if_the_buss_key_allows)
    _replace(cloudwatch_logs, "_create_log_group", _with_a_key_for_logs)
    _replace(log_keys, "set_key", _with_a_new_key_for_logs)


def _replace(owner: Any, name: str, checked: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    replacement = checked(original(owner, name))
    before = replace(owner, name, replacement)
    # Some modules call their operations through a table.
    for table in vars(owner).values():
        if type(table) is dict:
            for action, handler in table.items():
                if handler is before:
                    table[action] = replacement


def _invalid(message: str) -> Answer:
    answer: Answer = responses.error_response_json("InvalidParameterValueException", message, 400)
    return answer


# Lambda: what it checks when a function is created or changed.


def _with_a_usable_role(create: Callable[[Data], Any]) -> Callable[[Data], Any]:
    def create_function(data: Data) -> Any:
        arn = lambda_svc._func_arn(data.get("FunctionName", ""))
        return _role_failure(data, arn) or create(data)

    return create_function


def _with_a_usable_role_still(update: Callable[[str, Data], Any]) -> Callable[[str, Data], Any]:
    def update_config(name: str, data: Data) -> Any:
        config = (lambda_svc._functions.get(name) or {}).get("config") or {}
        wanted = {
            key: data.get(key, config.get(key))
            for key in ("Role", "VpcConfig", "TracingConfig", "DeadLetterConfig")
        }
        return _role_failure(wanted | {"FunctionName": name}, lambda_svc._func_arn(name)) or update(
            name, data
        )

    return update_config


def _role_failure(data: Mapping[str, Any], arn: str) -> Answer | None:
    role, name = data.get("Role", ""), data.get("FunctionName", "")
    if not is_assumable(role, LAMBDA, arn):
        return _invalid("The role defined for the function cannot be assumed by Lambda.")
    needed: list[str] = []
    if (data.get("VpcConfig") or {}).get("SubnetIds"):
        needed += USE_NETWORK
    if (data.get("TracingConfig") or {}).get("Mode") == "Active":
        needed += SEND_TRACES
    dead_letter = (data.get("DeadLetterConfig") or {}).get("TargetArn", "")
    return _lacking(role, name, needed, "*") or _unsent(role, name, dead_letter)


def _unsent(role: str, session: str, target: str) -> Answer | None:
    """Return the refusal of a destination to which a role may not send; None if it may, or there is none."""
    action = {"sqs": "sqs:SendMessage", "sns": "sns:Publish"}.get(target.split(":")[2] if target else "")
    return _lacking(role, session, (action,), target) if action else None


def _lacking(role: str, session: str, actions: Any, resource: str) -> Answer | None:
    lacking = refused(role, session, actions, resource)
    if not lacking:
        return None
    service, _, operation = lacking[0].partition(":")
    return _invalid(
        f"The provided execution role does not have permissions to call {operation} on {NAMES[service]}"
    )


def _that_may_read(create: Callable[[Data], Any]) -> Callable[[Data], Any]:
    def create_esm(data: Data) -> Any:
        source = data.get("EventSourceArn", "")
        _record, config, name = lambda_svc._get_func_record_for_ref(data.get("FunctionName", ""))
        if config and ":sqs:" in source:
            failure = _lacking(config["Role"], name, READ_QUEUE, source)
            if failure:
                return failure
        return create(data)

    return create_esm


def _that_may_send(put: Callable[..., Any]) -> Callable[..., Any]:
    def put_event_invoke_config(name: str, qualifier: str | None, data: Data) -> Any:
        target = ((data.get("DestinationConfig") or {}).get("OnFailure") or {}).get("Destination", "")
        config = (lambda_svc._functions.get(name) or {}).get("config")
        failure = _unsent(config["Role"], name, target) if config else None
        if failure:
            return failure
        return put(name, qualifier, data)

    return put_event_invoke_config


# Lambda: what it does with the role while the function works.


def _in_its_role(execute: Callable[..., Data]) -> Callable[..., Data]:
    def execute_function_dispatch(function: Data, config: Data, *rest: Any) -> Data:
        arn, name, role = (
            config.get("FunctionArn", ""),
            config.get("FunctionName", ""),
            config.get("Role", ""),
        )
        if not is_assumable(role, LAMBDA, arn):
            return _failed(
                "AccessDeniedException", "The role defined for the function cannot be assumed by Lambda."
            )
        use = key_use.of_function(config)
        if use and not by_role(
            role,
            name,
            key_use.DECRYPT,
            use.key_arn,
            use.keys("lambda"),
            policy=key_use.key_policy(use.key_arn),
            rule="both",
        ):
            return _failed(
                "KMSAccessDeniedException",
                "Lambda was unable to decrypt the environment variables because KMS access was denied. "
                "Please check the function's KMS key settings.",
            )
        return execute(function, config, *rest)

    return execute_function_dispatch


def _failed(kind: str, message: str) -> Data:
    return {
        "error": True,
        "function_error": "Unhandled",
        "body": {"errorType": kind, "errorMessage": message},
    }


def _that_may_be_written(emit: Callable[..., None]) -> Callable[..., None]:
    def emit_lambda_logs(function: Data, *rest: Any, **options: Any) -> None:
        config = function.get("config") or function
        name = config.get("FunctionName", "")
        group = (config.get("LoggingConfig") or {}).get("LogGroup") or f"/aws/lambda/{name}"
        stream = f"{cloudwatch_logs._make_group_arn_no_star(group)}:log-stream:{name}"
        if not refused(config.get("Role", ""), name, WRITE_LOGS, stream):
            emit(function, *rest, **options)

    return emit_lambda_logs


def _that_may_be_sent(route: Callable[..., None]) -> Callable[..., None]:
    def route_async_failure(target_arn: str, name: str, event: Any, result: Data) -> None:
        config = (lambda_svc._functions.get(name) or {}).get("config") or {}
        if ":sqs:" not in target_arn or _may_use_queue(config, ("sqs:SendMessage",), target_arn):
            route(target_arn, name, event, result)
        else:
            cloudwatch.record_metric(
                "AWS/Lambda", "DestinationDeliveryFailures", 1, "Count", {"FunctionName": name}
            )

    return route_async_failure


def _that_the_mapping_may_receive(
    receive: Callable[[str, int], list[Data]],
) -> Callable[[str, int], list[Data]]:
    def receive_messages_for_esm(url: str, most: int) -> list[Data]:
        return receive(url, most) if _mapping_may(("sqs:ReceiveMessage", "sqs:GetQueueAttributes")) else []

    return receive_messages_for_esm


def _that_the_mapping_may_delete(delete: Callable[[str, set[str]], None]) -> Callable[[str, set[str]], None]:
    def delete_messages_for_esm(url: str, handles: set[str]) -> None:
        if _mapping_may(("sqs:DeleteMessage",)):
            delete(url, handles)

    return delete_messages_for_esm


def _mapping_may(actions: tuple[str, ...]) -> bool:
    mapping: Data | None = getattr(_working, "mapping", None)
    if mapping is None:
        return False
    _record, config, _name = lambda_svc._get_func_record_for_ref(mapping["FunctionName"])
    return bool(config) and _may_use_queue(config, actions, mapping["EventSourceArn"])


def _one_after_the_other(mappings: Callable[[], Iterator[Any]]) -> Callable[[], Iterator[Any]]:
    """Remember which mapping the poller reads a queue for."""

    def iter_all_esms() -> Iterator[Any]:
        for account, region, mapping in mappings():
            _working.mapping = mapping
            yield account, region, mapping

    return iter_all_esms


def _for_its_mapping(run: Callable[..., None]) -> Callable[..., None]:
    def run_sqs_batch(mapping: Data, *rest: Any) -> None:
        _working.mapping = mapping
        run(mapping, *rest)

    return run_sqs_batch


def _may_use_queue(config: Mapping[str, Any], actions: tuple[str, ...], arn: str) -> bool:
    role, name = config.get("Role", ""), config.get("FunctionName", "")
    queue = sqs._queue_by_arn(arn)
    policy = (
        Policy(f"queue {arn.rpartition(':')[2]}", queue["attributes"].get("Policy") or "") if queue else None
    )
    if refused(role, name, actions, arn, policy=policy):
        return False
    use = key_use.of_queue(arn)
    wanted = key_use.WRITE if "sqs:SendMessage" in actions else key_use.READ
    if use is None or "sqs:DeleteMessage" in actions:
        return True
    key = key_use.key_policy(use.key_arn)
    return not refused(role, name, wanted, use.key_arn, use.keys("sqs"), policy=key, rule="both")


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
