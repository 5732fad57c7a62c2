"""The rights of `doctor`, which reads everything and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator

from functions.shared import names
from infra.policy import Statement
from ops.preflight import FUNCTIONS
from ops.rights.place import Place


def statements(place: Place) -> Iterator[Statement]:
    """Yield them; the right to decrypt comes on top."""
    parts = (*names.HANDLERS, *(f"audit-{handler}" for handler in names.HANDLERS), "audit", "log")
    functions = place.functions(*FUNCTIONS.values())
    schedules = [place.arn("scheduler", f"schedule/default/{name}") for name in place.schedules]
    yield Statement("FindState", ["s3:GetBucketVersioning", "s3:ListBucket"], [place.state])
    yield Statement("ReadState", ["s3:GetObject"], [place.state_objects])
    yield Statement(
        "ReadSecrets", ["secretsmanager:GetSecretValue"], [place.secret(key) for key in names.SECRET_KEYS]
    )
    yield Statement("CheckSource", ["events:DescribeEventSource"], [place.source])
    yield Statement("ReadBus", ["events:DescribeEventBus"], [place.arn("events", f"event-bus/{place.bus}")])
    yield Statement("FindArchives", ["events:DescribeArchive"], place.archives)
    reads = ("DescribeRule", "ListTagsForResource", "ListTargetsByRule")
    yield Statement("ReadTargets", [f"events:{each}" for each in reads], place.rules(*parts))
    of_functions = ("GetFunctionConfiguration", "GetFunctionEventInvokeConfig", "GetPolicy")
    yield Statement("ReadFunctions", [f"lambda:{each}" for each in of_functions], functions)
    yield Statement("CheckReserved", ["lambda:GetFunctionConcurrency"], functions)
    yield Statement("CheckQuota", ["lambda:GetAccountSettings"], ["*"])
    yield Statement("ListMappings", ["lambda:ListEventSourceMappings"], ["*"])
    yield Statement("ReadSchedules", ["scheduler:GetSchedule"], schedules)
    yield queues(place)
    yield Statement("ReadTopic", ["sns:GetTopicAttributes"], [place.topic])
    yield Statement("CheckSubscribers", ["sns:ListSubscriptionsByTopic"], [place.topic])
    yield alarms()
    yield Statement("FindLedger", ["s3:GetBucketVersioning"], [place.ledger])
    yield Statement("ReadTable", ["dynamodb:DescribeTable", "dynamodb:DescribeTimeToLive"], [place.table])
    if place.key:
        yield Statement("ReadKeyPolicy", ["kms:DescribeKey", "kms:GetKeyPolicy"], [place.key])


def alarms() -> Statement:
    """Return the right to read alarms and metrics."""
    return Statement(
        "ReadAlarms",
        ["cloudwatch:DescribeAlarms", "cloudwatch:GetMetricData"],
        ["*"],
        accepted={"RESOURCE_STAR": "DescribeAlarms finds composite alarms with all alarms alone"},
    )


def queues(place: Place) -> Statement:
    """Return the right to count what waits in the queues."""
    every = [place.audit_queue, *place.dead_letter_queues]
    return Statement("ReadQueues", ["sqs:GetQueueAttributes", "sqs:GetQueueUrl"], every)
