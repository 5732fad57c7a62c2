"""Partner event sources have a state, and events of a partner reach the bus of their source.

Source of the rules: EventBridge API reference, CreatePartnerEventSource, CreateEventBus, PutPartnerEvents and
ListEventSources. A source is PENDING while it has no bus.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, NoReturn

from ministack.core import responses
from ministack.services import eventbridge

from ops.emulator.patching import original, replace

Data = dict[str, Any]
Answer = tuple[int, dict[str, str], bytes]

MAX_ENTRIES: Final = 20
# AWS deletes a source without a bus after this time.
ASSOCIATION_SECONDS: Final = 7 * 24 * 3600
PARTNER_PREFIX: Final = "aws.partner/"
# The key of a source that the partner deleted while it had a bus.
DELETED: Final = "Deleted"
REQUIRED_FIELDS: Final = ("Source", "DetailType", "Detail")


def apply() -> None:
    """Replace the operations on partner event sources, and the two on buses that involve them."""
    for name, operation in {
        "_describe_event_source": _describe_event_source,
        "_list_event_sources": _list_event_sources,
        "_put_partner_events": _put_partner_events,
    }.items():
        replace(eventbridge, name, operation)
    wrappers: dict[str, Callable[[Any], Any]] = {
        "_create_partner_event_source": _creating_source,
        "_create_event_bus": _creating_bus,
        "_put_events": _putting_events,
        "_delete_partner_event_source": _deleting_source,
    }
    for name, wrap in wrappers.items():
        replace(eventbridge, name, wrap(original(eventbridge, name)))


def _sources() -> Iterator[Data]:
    yield from eventbridge._partner_event_sources.values()


def _source(name: str) -> Data | None:
    return next((source for source in _sources() if source["Name"] == name), None)


def _refused(code: str, message: str) -> Answer:
    answer: Answer = responses.error_response_json(code, message, 400)
    return answer


def _answered(body: Data) -> Answer:
    answer: Answer = responses.json_response(body)
    return answer


def _out(source: Data) -> Data:
    name = source["Name"]
    created = source.get("CreationTime", time.time())
    return {
        "Name": name,
        "Arn": f"arn:aws:events:{responses.get_region()}::event-source/{name}",
        "CreatedBy": name.removeprefix(PARTNER_PREFIX).split("/")[0],
        "CreationTime": created,
        "ExpirationTime": created + ASSOCIATION_SECONDS,
        "State": _state(source),
    }


def _state(source: Data) -> str:
    if source.get(DELETED):
        return "DELETED"
    return "ACTIVE" if source["Name"] in eventbridge._event_buses else "PENDING"


def _describe_event_source(data: Data) -> Answer:
    name = data.get("Name", "")
    source = _source(name)
    if source is None:
        return _refused("ResourceNotFoundException", f"Event source {name} does not exist.")
    return _answered(_out(source))


def _list_event_sources(data: Data) -> Answer:
    prefix = data.get("NamePrefix", "")
    found = [_out(source) for source in _sources() if source["Name"].startswith(prefix)]
    return _answered({"EventSources": sorted(found, key=lambda source: str(source["Name"]))})


def _creating_source(create: Callable[[Data], Answer]) -> Callable[[Data], Answer]:
    def create_partner_event_source(data: Data) -> Answer:
        answer = create(data)
        source = _source(data.get("Name", ""))
        if source is not None:
            source.setdefault("CreationTime", time.time())
        return answer

    return create_partner_event_source


def _deleting_source(delete: Callable[[Data], Answer]) -> Callable[[Data], Answer]:
    """Keep a source that has a bus, as DELETED: it belongs to the account with the bus (EventSource, "
    "State)."""

    def delete_partner_event_source(data: Data) -> Answer:
        source = _source(data.get("Name", ""))
        if source is None or source["Name"] not in eventbridge._event_buses:
            return delete(data)
        source[DELETED] = True
        return _answered({})

    return delete_partner_event_source


def _creating_bus(create: Callable[[Data], Answer]) -> Callable[[Data], Answer]:
    def create_event_bus(data: Data) -> Answer:
        name, source_name = data.get("Name", ""), data.get("EventSourceName")
        if source_name is None and name.startswith(PARTNER_PREFIX):
            return _refused("ValidationException", "EventSourceName is required for a partner event bus.")
        if source_name is None:
            return create(data)
        if source_name != name:
            return _refused("ValidationException", "EventBus name must match the partner event source name.")
        source = _source(source_name)
        if source is None or source.get(DELETED):
            return _refused("ResourceNotFoundException", f"Event source {source_name} does not exist.")
        answer = create(data)
        bus = eventbridge._event_buses.get(name)
        if bus is not None:
            bus["EventSourceName"] = source_name
        return answer

    return create_event_bus


def _putting_events(put: Callable[..., Answer]) -> Callable[..., Answer]:
    def put_events(data: Data, *arguments: Any, **options: Any) -> Answer:
        for entry in data.get("Entries", []):
            bus = str(entry.get("EventBusName", "default")).partition("event-bus/")
            if (bus[2] or bus[0]).startswith(PARTNER_PREFIX):
                return _refused("ValidationException", "PutEvents to a partner event bus is not supported.")
        return put(data, *arguments, **options)

    return put_events


def _put_partner_events(data: Data) -> Answer:
    entries = data.get("Entries", [])
    if not 1 <= len(entries) <= MAX_ENTRIES:
        return _refused("ValidationException", f"Entries must have between 1 and {MAX_ENTRIES} members.")
    results = [_put_partner_event(entry) for entry in entries]
    failed = sum("ErrorCode" in result for result in results)
    return _answered({"FailedEntryCount": failed, "Entries": results})


def _put_partner_event(entry: Data) -> Data:
    problem = _entry_problem(entry)
    if problem is not None:
        code, message = problem
        return {"ErrorCode": code, "ErrorMessage": message}
    event = {
        "EventId": responses.new_uuid(),
        "Source": entry["Source"],
        "DetailType": entry["DetailType"],
        "Detail": entry["Detail"],
        "EventBusName": entry["Source"],
        "Time": int(eventbridge._coerce_timestamp(entry.get("Time", time.time()))),
        "Resources": entry.get("Resources", []),
        "Account": responses.get_account_id(),
        "Region": responses.get_region(),
    }
    view = eventbridge._pattern_event_view(event)
    eventbridge._dispatch_event(event, view)
    eventbridge._archive_event(event, view)
    return {"EventId": event["EventId"]}


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _entry_problem(entry: Data) -> tuple[str, str] | None:
    for field in REQUIRED_FIELDS:
        if not entry.get(field):
            return (
                "InvalidArgument",
                f"Parameter {field} is not valid. Reason: {field} is a required argument.",
            )
    try:
        json.loads(entry["Detail"], parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return "MalformedDetail", "Detail is malformed."
    name = entry["Source"]
    source = _source(name)
    if source is None or source.get(DELETED):
        return "ResourceNotFoundException", f"Partner event source {name} does not exist."
    if name not in eventbridge._event_buses:
        return "ResourceNotFoundException", f"No event bus is associated with partner event source {name}."
    return None
