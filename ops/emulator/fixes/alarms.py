"""Alarms read back as they were written, also over the query protocol, which Terraform uses.

MiniStack's JSON operations keep nearly everything; its query operations drop members of both the request and
the response. So the fix converts a query request to the JSON form, and the response to XML.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final
from xml.sax.saxutils import escape

from ministack.services import cloudwatch

from ops.emulator.patching import original, replace

Data = dict[str, Any]
Answer = tuple[int, dict[str, str], bytes]
Operation = Callable[..., Answer]

BOOLEANS: Final = ("ActionsEnabled", "ReturnData")
TIMES: Final = ("StateUpdatedTimestamp", "StateTransitionedTimestamp", "AlarmConfigurationUpdatedTimestamp")
# What MiniStack drops from a metric alarm with any protocol.
DROPPED: Final = ("Metrics", "ThresholdMetricId", "EvaluateLowSampleCountPercentile")
# And from a composite alarm.
SUPPRESSOR: Final = ("ActionsSuppressor", "ActionsSuppressorWaitPeriod", "ActionsSuppressorExtensionPeriod")


def apply() -> None:
    """Wrap the three operations with the conversion."""
    put_metric = original(cloudwatch, "_put_metric_alarm")
    put_composite = original(cloudwatch, "_put_composite_alarm")
    describe = original(cloudwatch, "_describe_alarms")
    replace(cloudwatch, "_put_metric_alarm", _translated("PutMetricAlarm", _keeping_all(put_metric)))
    replace(
        cloudwatch,
        "_put_composite_alarm",
        _translated("PutCompositeAlarm", _keeping_suppressor(put_composite)),
    )
    replace(cloudwatch, "_describe_alarms", _translated("DescribeAlarms", describe))


def _translated(action: str, operation: Operation) -> Operation:
    def operate(params: Data, data: Data, is_cbor: bool, is_json: bool = False) -> Answer:
        if is_cbor or is_json:
            return operation(params, data, is_cbor, is_json)
        status, _headers, body = operation({}, _nested(params), False, True)
        answer = json.loads(body)
        xml: Answer
        if status == 200:
            xml = cloudwatch._xml(status, f"{action}Response", _element(f"{action}Result", answer))
        else:
            xml = cloudwatch._error(answer["__type"], answer["message"], status)
        return xml

    return operate


def _keeping_all(put: Operation) -> Operation:
    def put_metric_alarm(params: Data, data: Data, is_cbor: bool, is_json: bool = False) -> Answer:
        answer = put(params, data, is_cbor, is_json)
        alarm = cloudwatch._alarms.get(data.get("AlarmName", ""))
        if answer[0] == 200 and alarm is not None:
            alarm |= {name: data[name] for name in DROPPED if data.get(name)}
            if "Statistic" not in data:
                del alarm["Statistic"]
            if "Metrics" in data:
                del alarm["Period"]
        return answer

    return put_metric_alarm


def _keeping_suppressor(put: Operation) -> Operation:
    def put_composite_alarm(params: Data, data: Data, is_cbor: bool, is_json: bool = False) -> Answer:
        answer = put(params, data, is_cbor, is_json)
        alarm = cloudwatch._composite_alarms.get(data.get("AlarmName", ""))
        if answer[0] == 200 and alarm is not None:
            alarm |= {name: data[name] for name in SUPPRESSOR if data.get(name)}
        return answer

    return put_composite_alarm


def _nested(params: Data) -> Data:
    """Convert `Dimensions.member.1.Name=x` to `{"Dimensions": [{"Name": "x"}]}`."""
    root: Data = {}
    for name in params:
        value = cloudwatch._p(params, name)
        *parents, leaf = name.split(".")
        node = root
        for parent in parents:
            node = node.setdefault(parent, {})
        node[leaf] = value == "true" if leaf in BOOLEANS else value
    nested: Data = _lists(root)
    return nested


def _lists(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    if node.keys() == {"member"}:
        members = node["member"]
        return [_lists(members[number]) for number in sorted(members, key=int)]
    return {name: _lists(value) for name, value in node.items()}


def _element(name: str, value: Any) -> str:
    """Return a JSON value as XML of the query protocol, without absent members."""
    if value is None or (name == "AlarmDescription" and not value):
        return ""
    if isinstance(value, dict):
        inner = "".join(_element(key, member) for key, member in value.items())
    elif isinstance(value, list):
        inner = "".join(_element("member", member) for member in value)
    elif isinstance(value, bool):
        inner = str(value).lower()
    elif name in TIMES and isinstance(value, int | float):
        inner = datetime.fromtimestamp(value, UTC).isoformat()
    else:
        inner = escape(str(value))
    return f"<{name}>{inner}</{name}>"
