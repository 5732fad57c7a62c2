"""CloudWatch Logs of the embedded AWS: filter patterns and Logs Insights work as AWS's, or are refused."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ops.local.clients import Aws
from tests.emulator.process import Emulator
from tests.emulator.resources import unique

NOW = int(time.time() * 1000)
LINES: tuple[dict[str, Any], ...] = (
    {"level": "INFO", "message": "event applied", "correlation_id": "evt_1", "service": "payments", "ms": 90},
    {
        "level": "ERROR",
        "message": "event failed",
        "correlation_id": "evt_2",
        "event_id": "evt_2",
        "event_type": "invoice.paid",
        "service": "billing",
        "error": {"type": "TransientError", "codes": ["a", "b"]},
        "status": 503,
        "retry": True,
        "path": None,
    },
    {
        "level": "ERROR",
        "message": "event parked",
        "correlation_id": "evt_2",
        "event_id": "evt_2",
        "event_type": "invoice.paid",
        "service": "billing",
        "status": 503,
    },
)


@pytest.fixture(scope="module")
def group(emulator: Emulator) -> str:
    logs = emulator.aws.client("logs")
    name = unique("group")
    logs.create_log_group(logGroupName=name)
    logs.create_log_stream(logGroupName=name, logStreamName="stream")
    messages = [*(json.dumps(line) for line in LINES), "START RequestId: 1 [cold]"]
    events = [{"timestamp": NOW + n, "message": message} for n, message in enumerate(messages)]
    logs.put_log_events(logGroupName=name, logStreamName="stream", logEvents=events)
    return name


@pytest.fixture
def aws(emulator: Emulator) -> Aws:
    return emulator.aws


def _filter(aws: Aws, group: str, pattern: str) -> list[int]:
    """Return the numbers of the lines that match."""
    found = aws.client("logs").filter_log_events(logGroupName=group, filterPattern=pattern)["events"]
    return [event["timestamp"] - NOW for event in found]


@pytest.mark.parametrize(
    ("pattern", "lines"),
    [
        ("", [0, 1, 2, 3]),
        ("parked", [2]),
        ('"event failed"', [1]),
        ('ERROR -"event failed"', [2]),
        ("?parked ?START", [2, 3]),
        ("error", [1]),
        ('{ $.correlation_id = "evt_2" }', [1, 2]),
        ('{ $.correlation_id != "evt_2" }', [0]),
        ('{ $.message = "event *" && $.level = ERROR }', [1, 2]),
        ('{ $.ms > 50 || $.message = "event parked" }', [0, 2]),
        ('{ ($.ms < 50 || $.status >= 500) && $.error.type = "*Error" }', [1]),
        ("{ $.status = 503 }", [1, 2]),
        ('{ $.error.codes[1] = "b" }', [1]),
        ("{ $.path IS NULL }", [1]),
        ("{ $.retry IS TRUE }", [1]),
        ("{ $.status NOT EXISTS }", [0]),
    ],
)
def test_filter_patterns_match_as_in_aws(aws: Aws, group: str, pattern: str, lines: list[int]) -> None:
    assert _filter(aws, group, pattern) == lines


@pytest.mark.parametrize(
    ("pattern", "part"),
    [
        ("event-failed", "'event-failed': put a term with other characters"),
        ("?a b", "use only ?terms"),
        ("%ERROR%", "does not support regular expressions"),
        ("[ip, user]", "does not support space-delimited patterns"),
        ("{ $.a = %x% }", "'%x% }'"),
        ("{ $.a }", "'}' in '{ $.a }': expected =, !="),
        ('{ $.a > "b" }', "> compares numbers"),
        ("{ $.a = true }", "write IS TRUE"),
        ("{ a = 1 }", "expected a property such as $.level"),
        ('{ $.a = "b"', "'the end'"),
    ],
)
def test_other_filter_patterns_are_refused_with_the_part(
    aws: Aws, group: str, pattern: str, part: str
) -> None:
    with pytest.raises(ClientError) as refused:
        _filter(aws, group, pattern)
    assert refused.value.response["Error"]["Code"] == "InvalidParameterException"
    assert part in refused.value.response["Error"]["Message"]


def _query(aws: Aws, group: str, query: str) -> list[dict[str, str]]:
    """Return the rows of a query, without the pointers to their log events."""
    logs = aws.client("logs")
    seconds = NOW // 1000
    started = logs.start_query(
        logGroupName=group, startTime=seconds - 60, endTime=seconds + 60, queryString=query
    )
    found = logs.get_query_results(queryId=started["queryId"])
    assert found["status"] == "Complete"
    return [
        {cell["field"]: cell["value"] for cell in row if cell["field"] != "@ptr"} for row in found["results"]
    ]


def test_insights_filters_by_a_field_and_shows_the_fields_that_have_a_value(aws: Aws, group: str) -> None:
    rows = _query(
        aws,
        group,
        """
        fields @timestamp, service, level, message, event_type, error, status, path
        | filter correlation_id = "evt_2"
        | sort @timestamp asc
        | limit 1000
        """,
    )
    assert all(len(row.pop("@timestamp")) == len("2026-01-01 00:00:00.000") for row in rows)
    common = {"service": "billing", "level": "ERROR", "event_type": "invoice.paid", "status": "503"}
    assert rows == [common | {"message": "event failed"}, common | {"message": "event parked"}]


def test_insights_counts_by_several_fields(aws: Aws, group: str) -> None:
    (row,) = _query(
        aws,
        group,
        """
        filter message in ["event failed", "event parked"]
        | stats count(*) as attempts, count_distinct(event_id) as events, max(@timestamp) as latest
            by event_type, service, error, status
        | sort attempts desc
        """,
    )
    assert row.pop("latest")
    assert row == {
        "event_type": "invoice.paid",
        "service": "billing",
        "status": "503",
        "attempts": "2",
        "events": "1",
    }


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("fields message | filter ms = 90", [{"message": "event applied"}]),
        (
            "fields error.codes.1 as code, retry | filter error.type like /^Trans/",
            [{"code": "b", "retry": "1"}],
        ),
        (
            'fields message | filter status in [503, "x"] and not message like "failed"',
            [{"message": "event parked"}],
        ),
        ("fields @logStream | filter @message like 'START'", [{"@logStream": "stream"}]),
        (
            "filter level != 'INFO' and ispresent = 1 or ms < 100 # comment\n| display message",
            [{"message": "event applied"}],
        ),
        (
            "stats count(*), max(ms) as slowest by level | sort level desc | filter level not in ['']",
            [
                {"level": "INFO", "count(*)": "1", "slowest": "90"},
                {"level": "ERROR", "count(*)": "2"},
                {"count(*)": "1"},
            ],
        ),
        ("fields level | sort status desc, @timestamp asc | limit 1", [{"level": "ERROR"}]),
    ],
)
def test_insights_runs_a_query(aws: Aws, group: str, query: str, rows: list[dict[str, str]]) -> None:
    assert _query(aws, group, query) == rows


@pytest.mark.parametrize(
    ("query", "part"),
    [
        ("", "unexpected 'end of query' at line 1, column 1"),
        ('parse @message "x"', "unexpected 'parse' at line 1, column 1: expected a command"),
        ("fields message\n| filter level == 'x'", "unexpected '=' at line 2, column 17"),
        ("fields strlen(message)", "does not run the function strlen"),
        ("fields @duration", "unexpected '@duration'"),
        ("filter a = b", "unexpected 'b' at line 1, column 12: expected a string in quotes or a number"),
        ("stats median(ms)", "unexpected 'median'"),
        ("stats count(*) by bin(5m)", "does not run the function bin"),
        ("limit 0", "expected a number from 1 to 10000"),
        ("fields a + b", "unexpected '+'"),
    ],
)
def test_other_queries_are_refused_with_the_part(aws: Aws, group: str, query: str, part: str) -> None:
    with pytest.raises(ClientError) as refused:
        _query(aws, group, query)
    assert refused.value.response["Error"]["Code"] == "MalformedQueryException"
    assert part in refused.value.response["Error"]["Message"]
