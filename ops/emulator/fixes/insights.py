"""CloudWatch Logs Insights runs a query or refuses it.

MiniStack ignores what it doesn't understand, and does not discover the fields of JSON lines.

Source: CloudWatch Logs API reference, StartQuery, MalformedQueryException.
"""

from __future__ import annotations

import time
from typing import Any

from ministack.core import responses
from ministack.services import cloudwatch_logs

from ops.emulator.insights import MAX_LIMIT, QueryError, Row, Time, discovered, parsed
from ops.emulator.patching import original, replace

Data = dict[str, Any]
Answer = tuple[int, dict[str, str], bytes]


def apply() -> None:
    """Replace StartQuery; MiniStack's GetQueryResults returns its results."""
    for name in ("_resolve_query_log_groups", "_collect_query_records", "_log_groups", "_queries"):
        original(cloudwatch_logs, name)
    replace(cloudwatch_logs, "_start_query", _start_query)


def _start_query(data: Data) -> Answer:
    groups = cloudwatch_logs._resolve_query_log_groups(data)
    if not groups:
        return _refused(
            "InvalidParameterException", "logGroupName, logGroupNames or logGroupIdentifiers is required"
        )
    for name in groups:
        if name not in cloudwatch_logs._log_groups:
            return _refused("ResourceNotFoundException", f"The specified log group does not exist: {name}")
    try:
        query = parsed(data.get("queryString", ""))
    except QueryError as error:
        return _refused("MalformedQueryException", str(error))
    start, end = data.get("startTime", 0), data.get("endTime", int(time.time()))
    records = cloudwatch_logs._collect_query_records(groups, start, end)
    limit = min(int(data.get("limit") or MAX_LIMIT), MAX_LIMIT)
    results, matched = query.run([_row(record) for record in records], limit)
    query_id = responses.new_uuid()
    cloudwatch_logs._queries[query_id] = {
        "queryId": query_id,
        "status": "Complete",
        "results": results,
        "statistics": {
            "recordsMatched": float(matched),
            "recordsScanned": float(len(records)),
            "bytesScanned": float(sum(len(record["@message"].encode()) for record in records)),
        },
    }
    answer: Answer = responses.json_response({"queryId": query_id})
    return answer


def _row(record: Data) -> Row:
    return discovered(record["@message"]) | {
        "@timestamp": Time(record["_timestamp_ms"]),
        "@message": record["@message"],
        "@logStream": record["@logStream"],
        "@log": f"{responses.get_account_id()}:{record['@log']}",
        "@ptr": record["@ptr"],
    }


def _refused(code: str, message: str) -> Answer:
    answer: Answer = responses.error_response_json(code, message, 400)
    return answer
