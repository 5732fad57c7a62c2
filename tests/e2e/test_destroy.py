"""Destroying the environment leaves nothing. `conftest.py` runs this test last."""

from __future__ import annotations

from typing import Any

from ops.local.clients import Aws
from tests.e2e.pipeline import Pipeline

# What the stack creates, as AWS lists it: service, operation, its arguments, and the key of the list.
LISTS: tuple[tuple[str, str, dict[str, Any], str], ...] = (
    ("lambda", "list_functions", {}, "Functions"),
    ("lambda", "list_event_source_mappings", {}, "EventSourceMappings"),
    ("sqs", "list_queues", {}, "QueueUrls"),
    ("events", "list_event_buses", {}, "EventBuses"),
    ("events", "list_archives", {}, "Archives"),
    ("scheduler", "list_schedules", {}, "Schedules"),
    ("dynamodb", "list_tables", {}, "TableNames"),
    ("secretsmanager", "list_secrets", {"IncludePlannedDeletion": True}, "SecretList"),
    ("cloudwatch", "describe_alarms", {"AlarmTypes": ["MetricAlarm"]}, "MetricAlarms"),
    ("cloudwatch", "describe_alarms", {"AlarmTypes": ["CompositeAlarm"]}, "CompositeAlarms"),
    ("cloudwatch", "list_dashboards", {}, "DashboardEntries"),
    ("sns", "list_topics", {}, "Topics"),
    ("logs", "describe_log_groups", {}, "logGroups"),
    ("logs", "describe_query_definitions", {}, "queryDefinitions"),
    ("iam", "list_roles", {}, "Roles"),
    ("s3", "list_buckets", {}, "Buckets"),
)
# What was there before: the default event bus, and the bucket of the Terraform state.
KEPT = {"EventBuses": ["default"], "Buckets": ["huntaze-stripe-terraform-state"]}


def listed(aws: Aws) -> dict[str, list[Any]]:
    """Return everything that AWS lists, by the key of its list; names only for lists that stay filled."""
    found: dict[str, list[Any]] = {}
    for service, operation, arguments, key in LISTS:
        items = getattr(aws.client(service), operation)(**arguments).get(key, [])
        found[key] = [item["Name"] for item in items] if key in KEPT else items
    return found


def test_destroy_leaves_nothing(pipeline: Pipeline) -> None:
    deployment = pipeline.deployment
    aws = deployment.services.aws
    nothing: dict[str, list[Any]] = {key: KEPT.get(key, []) for *_, key in LISTS}
    # A list that is empty before destroy would prove nothing.
    assert [key for key, items in listed(aws).items() if items == nothing[key]] == []
    summary = deployment.terraform.destroy()
    assert summary.destroy == deployment.facts.resources
    assert deployment.terraform.resources() == []
    assert listed(aws) == nothing
