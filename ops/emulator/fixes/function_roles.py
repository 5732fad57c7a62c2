"""Lambda uses the function's role for its queue, destination, log, network, traces and key.

MiniStack asks no role. A refusal has the effect that it has on AWS: nothing is delivered.

Sources: Lambda developer guide, "Defining Lambda function permissions with an execution role", "Configuring
permissions for an SQS event source", "Giving Lambda functions access to resources in an Amazon VPC" and
"Securing Lambda environment variables".
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from ministack.core import responses
from ministack.services import cloudwatch, cloudwatch_logs, lambda_svc, sqs

from ops.emulator import key_use
from ops.emulator.patching import replace_operation
from ops.emulator.permissions import Policy
from ops.emulator.principals import LAMBDA, by_role, is_assumable, refused

Data = dict[str, Any]
Answer = tuple[int, Data, bytes]

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
NAMES: Final = {"ec2": "EC2", "sns": "SNS", "sqs": "SQS", "xray": "XRAY"}

# The event source mapping for which this thread reads or deletes messages.
_working = threading.local()


def apply() -> None:
    """Check what Lambda does for a function: when it is created or changed, and while it works."""
    replace_operation(lambda_svc, "_create_function", _with_a_usable_role)
    replace_operation(lambda_svc, "_update_config", _with_a_usable_role_still)
    replace_operation(lambda_svc, "_create_esm", _that_may_read)
    replace_operation(lambda_svc, "_put_event_invoke_config", _that_may_send)
    replace_operation(lambda_svc, "_execute_function_dispatch", _in_its_role)
    replace_operation(lambda_svc, "_emit_lambda_logs", _that_may_be_written)
    replace_operation(lambda_svc, "_route_async_failure", _that_may_be_sent)
    replace_operation(lambda_svc, "_iter_all_esms", _one_after_the_other)
    replace_operation(lambda_svc, "_run_sqs_batch", _for_its_mapping)
    replace_operation(sqs, "_receive_messages_for_esm", _that_the_mapping_may_receive)
    replace_operation(sqs, "_delete_messages_for_esm", _that_the_mapping_may_delete)


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
