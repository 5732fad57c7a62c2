"""The resources on which AWS checks an action, where MiniStack takes another one or none.

Source: Service Authorization Reference, the tables "Actions" and "Resource types" of each service.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from ministack.core import responses
from ministack.services import kms, lambda_svc

Parameters = Mapping[str, Any]
# It has no resource level, or the request names none.
ANY: Final = ("*",)


def resources(action: str, parameters: Parameters) -> tuple[str, ...] | None:
    """Return the ARNs on which AWS checks an action; None where MiniStack finds them.

    Parameters
    ----------
    action
        Such as events:PutRule.
    parameters
        Of the request, by name; those of a query, such as `AlarmNames.member.1`, as `members` reads them.
    """
    service, _, operation = action.partition(":")
    of_service = _BY_SERVICE.get(service)
    return of_service(operation, parameters) if of_service else None


def members(parameters: Parameters, name: str) -> list[str]:
    """Return the values of a list in a request, of JSON or of a query."""
    found = parameters.get(name)
    if isinstance(found, list):
        return [str(each) for each in found]
    values: list[str] = []
    while (value := parameters.get(f"{name}.member.{len(values) + 1}")) is not None:
        values.append(str(value))
    return values


def mapped_function(parameters: Parameters, resource: str) -> str | None:
    """Return the ARN of the function that an event source mapping invokes; None if there is neither."""
    named = parameters.get("FunctionName")
    if named is None:
        mapping = lambda_svc._esms.get(resource.rpartition(":")[2]) or {}
        named = mapping.get("FunctionArn")
    if not named:
        return None
    return str(named) if str(named).startswith("arn:") else arn("lambda", f"function:{named}")


def arn(service: str, resource: str, *, region: str | None = None, account: str | None = None) -> str:
    """Return the ARN of a resource of the request's account and region."""
    region = responses.get_region() if region is None else region
    account = responses.get_account_id() if account is None else account
    return f"arn:aws:{service}:{region}:{account}:{resource}"


_OF_BUS: Final = ("CreateEventBus", "DeleteEventBus", "DescribeEventBus", "UpdateEventBus")
_OF_ARCHIVE: Final = ("DescribeArchive", "UpdateArchive", "DeleteArchive")
_OF_SOURCE: Final = ("ActivateEventSource", "DeactivateEventSource", "DescribeEventSource")
_OF_RULE: Final = {
    "DeleteRule": "Name",
    "DescribeRule": "Name",
    "DisableRule": "Name",
    "EnableRule": "Name",
    "ListTargetsByRule": "Rule",
    "PutRule": "Name",
    "PutTargets": "Rule",
    "RemoveTargets": "Rule",
}
_TAGS: Final = ("ListTagsForResource", "TagResource", "UntagResource")


def _of_events(operation: str, parameters: Parameters) -> tuple[str, ...] | None:
    name = parameters.get("Name", "")
    if operation in _OF_BUS:
        return (_bus(name),)
    if operation in _OF_RULE:
        bus = _bus(parameters.get("EventBusName") or "default").partition(":event-bus/")[2]
        path = "" if bus == "default" else f"{bus}/"
        return (arn("events", f"rule/{path}{parameters.get(_OF_RULE[operation], '')}"),)
    if operation in _OF_SOURCE:
        return (arn("events", f"event-source/{name}", account=""),)
    if operation in (*_OF_ARCHIVE, "CreateArchive"):
        archive = arn("events", f"archive/{parameters.get('ArchiveName', '')}")
        return (archive, parameters["EventSourceArn"]) if operation == "CreateArchive" else (archive,)
    if operation == "StartReplay":
        bus = (parameters.get("Destination") or {}).get("Arn", "*")
        replay = arn("events", f"replay/{parameters.get('ReplayName', '')}")
        return parameters.get("EventSourceArn", "*"), bus, replay
    if operation in ("CancelReplay", "DescribeReplay"):
        return (arn("events", f"replay/{parameters.get('ReplayName', '')}"),)
    if operation in _TAGS:
        return (parameters.get("ResourceARN", "*"),)
    return None if operation == "PutEvents" else ANY


def _bus(name: str) -> str:
    return name if name.startswith("arn:") else arn("events", f"event-bus/{name or 'default'}")


def _of_cloudwatch(operation: str, parameters: Parameters) -> tuple[str, ...] | None:
    if operation in _TAGS:
        return (parameters.get("ResourceARN", "*"),)
    if operation in ("PutDashboard", "GetDashboard"):
        return (_dashboard(parameters.get("DashboardName", "")),)
    if operation == "DeleteDashboards":
        return tuple(_dashboard(name) for name in members(parameters, "DashboardNames")) or ANY
    if operation in ("DeleteAlarms", "EnableAlarmActions", "DisableAlarmActions"):
        return tuple(arn("cloudwatch", f"alarm:{name}") for name in members(parameters, "AlarmNames")) or ANY
    # DescribeAlarms returns composite alarms only to who may describe all (its API reference).
    return ANY if operation == "DescribeAlarms" else None


def _dashboard(name: str) -> str:
    return arn("cloudwatch", f"dashboard/{name}", region="")


def _of_dynamodb(operation: str, parameters: Parameters) -> tuple[str, ...] | None:
    tags = ("ListTagsOfResource", "TagResource", "UntagResource")
    return (parameters.get("ResourceArn", "*"),) if operation in tags else None


_OF_DATABASE: Final = ("CreateDatabase", "DeleteDatabase", "GetDatabase", "UpdateDatabase")
_OF_TABLE: Final = ("CreateTable", "DeleteTable", "GetPartitionIndexes", "GetTable", "UpdateTable")


def _of_glue(operation: str, parameters: Parameters) -> tuple[str, ...] | None:
    """Return the ARNs from the database or the table up: AWS checks each of them."""
    if operation in ("GetTags", "TagResource", "UntagResource"):
        return (parameters.get("ResourceArn", "*"),)
    if operation in _OF_DATABASE:
        created = parameters.get("DatabaseInput") or {}
        name = parameters.get("Name") or created.get("Name", "")
        own = (arn("glue", f"database/{name}"), arn("glue", "catalog"))
        # What the database holds is deleted with it.
        held = (arn("glue", f"table/{name}/*"), arn("glue", f"userDefinedFunction/{name}/*"))
        return (*own, *held) if operation == "DeleteDatabase" else own
    if operation in _OF_TABLE:
        database = parameters.get("DatabaseName", "")
        table = parameters.get("TableName") or parameters.get("Name")
        name = table or (parameters.get("TableInput") or {}).get("Name", "")
        return (
            arn("glue", f"table/{database}/{name}"),
            arn("glue", f"database/{database}"),
            arn("glue", "catalog"),
        )
    return None


def _of_kms(operation: str, parameters: Parameters) -> tuple[str, ...] | None:
    if not operation.endswith("Alias"):
        return None
    alias = arn("kms", str(parameters.get("AliasName", "*")))
    return alias, key_arn(str(parameters.get("TargetKeyId") or alias))


def key_arn(identifier: str) -> str:
    """Return the ARN of a key by its id, ARN or alias."""
    found = kms._resolve_key(identifier)
    if found:
        return str(found["Arn"])
    # A key of AWS, which MiniStack does not have, or none: the id of neither is known.
    return arn("kms", f"key/{identifier.rpartition(':')[2].replace('/', '-')}")


def _of_lambda(operation: str, parameters: Parameters) -> tuple[str, ...] | None:
    if operation == "CreateFunction":
        return (arn("lambda", f"function:{parameters.get('FunctionName', '')}"),)
    return ANY if operation in ("CreateEventSourceMapping", "ListEventSourceMappings") else None


def _of_sns(operation: str, parameters: Parameters) -> tuple[str, ...] | None:
    return (parameters.get("ResourceArn", "*"),) if operation in _TAGS else None


_BY_SERVICE: Final[Mapping[str, Callable[[str, Parameters], tuple[str, ...] | None]]] = {
    "cloudwatch": _of_cloudwatch,
    "dynamodb": _of_dynamodb,
    "events": _of_events,
    "glue": _of_glue,
    "kms": _of_kms,
    "lambda": _of_lambda,
    "sns": _of_sns,
}
