"""FilterLogEvents returns every match, page by page, and reads its filter pattern as AWS does.

Source: CloudWatch Logs API reference, FilterLogEvents: up to 10,000 events in an answer, then
`nextToken`.
"""

from __future__ import annotations

from typing import Any, Final

from ministack.core import responses
from ministack.services import cloudwatch_logs

from ops.emulator.filter_pattern import Matches, PatternError, compiled
from ops.emulator.patching import original, replace

Data = dict[str, Any]
Answer = tuple[int, dict[str, str], bytes]
PAGE: Final = 10_000


def apply() -> None:
    """Replace the operation."""
    for name in ("_resolve_log_group_name", "_log_groups", "_log_events_lock"):
        original(cloudwatch_logs, name)
    replace(cloudwatch_logs, "_filter_log_events", _filter_log_events)


def _filter_log_events(data: Data) -> Answer:
    name = cloudwatch_logs._resolve_log_group_name(data)
    group = cloudwatch_logs._log_groups.get(name)
    if group is None:
        return _refused("ResourceNotFoundException", f"The specified log group does not exist: {name}")
    try:
        matches = compiled(data.get("filterPattern") or "")
    except PatternError as error:
        return _refused("InvalidParameterException", f"Invalid filter pattern: {error}")
    found = _matching(group["streams"], data, matches)
    first = int(data.get("nextToken") or 0)
    last = first + min(int(data.get("limit") or PAGE), PAGE)
    body: Data = {"events": found[first:last], "searchedLogStreams": []}
    if last < len(found):
        body["nextToken"] = str(last)
    answer: Answer = responses.json_response(body)
    return answer


def _refused(code: str, message: str) -> Answer:
    answer: Answer = responses.error_response_json(code, message, 400)
    return answer


def _matching(streams: dict[str, Data], data: Data, matches: Matches) -> list[Data]:
    start, end = data.get("startTime") or 0, data.get("endTime") or float("inf")
    prefix = data.get("logStreamNamePrefix") or ""
    names = data.get("logStreamNames") or [name for name in list(streams) if name.startswith(prefix)]
    with cloudwatch_logs._log_events_lock:
        everything = [
            {**event, "logStreamName": name, "eventId": f"{name}:{number}"}
            for name in names
            if name in streams
            for number, event in enumerate(streams[name]["events"])
            if start <= event["timestamp"] <= end
        ]
    found = [event for event in everything if matches(event["message"])]
    return sorted(found, key=lambda event: (event["timestamp"], event.get("ingestionTime", 0)))
