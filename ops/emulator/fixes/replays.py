"""A replay reaches only the rules that it names, can be cancelled, and reports its progress.

Source: EventBridge API reference, ReplayDestination ("FilterArns: a list of ARNs for rules to replay events
to"), DescribeReplay, Replay (what ListReplays lists) and DescribeArchive.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from ministack.core import responses
from ministack.services import eventbridge

from ops.emulator.patching import original, replace

Data = dict[str, Any]
Answer = tuple[int, dict[str, str], bytes]

# What ListReplays returns of a replay besides its name, source and state.
TIMES: Final = ("EventStartTime", "EventEndTime", "EventLastReplayedTime", "ReplayEndTime")


def apply() -> None:
    """Filter what replays deliver, and correct the descriptions of replays and archives."""
    dispatch: Callable[..., None] = original(eventbridge, "_dispatch_event")
    invoke: Callable[..., None] = original(eventbridge, "_invoke_target")
    describe: Callable[[Data], Answer] = original(eventbridge, "_describe_archive")
    replays = original(eventbridge, "_replays")

    def dispatch_event(event: Data, view: Any = None) -> None:
        replay = replays.get(event.get("ReplayName"))
        if replay is not None:
            if replay["State"] == "CANCELLED":
                return
            replay["EventLastReplayedTime"] = event["Time"]
        dispatch(event, view)

    def invoke_target(target: Data, event: Data, rule: Data, view: Any = None) -> None:
        replay = replays.get(event.get("ReplayName")) or {}
        rules = replay.get("Destination", {}).get("FilterArns")
        if not rules or rule["Arn"] in rules:
            invoke(target, event, rule, view)

    def describe_archive(data: Data) -> Answer:
        status, headers, body = describe(data)
        description = json.loads(body)
        # The description doesn't include the events.
        events = description.pop("Events", [])
        if status == 200:
            description["SizeBytes"] = sum(len(json.dumps(event)) for event in events)
        return status, headers, json.dumps(description).encode()

    cancel: Callable[[Data], Answer] = original(eventbridge, "_cancel_replay")

    def cancel_replay(data: Data) -> Answer:
        answer = cancel(data)
        if answer[0] == 200:
            # At its end the replay's thread writes COMPLETED into the record that it started with.
            replays[data["ReplayName"]] = dict(replays[data["ReplayName"]])
        return answer

    list_ = original(eventbridge, "_list_replays")

    def list_replays(data: Data) -> Answer:
        status, headers, body = list_(data)
        answer = json.loads(body)
        for listed in answer.get("Replays", []):
            replay = replays[listed["ReplayName"]]
            listed |= {time: replay[time] for time in TIMES if replay.get(time)}
        return status, headers, json.dumps(answer).encode()

    replace(eventbridge, "_list_replays", list_replays)
    replace(eventbridge, "_cancel_replay", cancel_replay)
    replace(eventbridge, "_dispatch_event", dispatch_event)
    replace(eventbridge, "_invoke_target", invoke_target)
    replace(eventbridge, "_describe_archive", describe_archive)
    replace(eventbridge, "_start_replay", _validating(original(eventbridge, "_start_replay")))


def _validating(start: Callable[[Data], Answer]) -> Callable[[Data], Answer]:
    def start_replay(data: Data) -> Answer:
        known = {rule["Arn"] for rule in eventbridge._rules.values()}
        for arn in (data.get("Destination") or {}).get("FilterArns") or []:
            if arn not in known:
                answer: Answer = responses.error_response_json(
                    "ResourceNotFoundException", f"Rule {arn} does not exist.", 400
                )
                return answer
        return start(data)

    return start_replay
