"""Destroying the environment leaves nothing; the last scenario, because nothing is left to test after it."""

from __future__ import annotations

from typing import Any

from tests.e2e.conftest import Pipeline


def test_destroy_leaves_nothing(pipeline: Pipeline) -> None:
    deployment = pipeline.deployment
    aws = deployment.services.aws
    bucket = deployment.outputs.ledger_bucket
    empty(aws.client("s3"), bucket)
    summary = deployment.terraform.destroy()
    assert summary.destroy == deployment.facts.resources
    assert deployment.terraform.resources() == []
    assert aws.client("lambda").list_functions()["Functions"] == []
    assert aws.client("sqs").list_queues().get("QueueUrls", []) == []
    assert [bus["Name"] for bus in aws.client("events").list_event_buses()["EventBuses"]] == ["default"]
    assert aws.client("dynamodb").list_tables()["TableNames"] == []
    assert aws.client("cloudwatch").describe_alarms()["MetricAlarms"] == []
    assert aws.client("sns").list_topics()["Topics"] == []
    assert aws.client("logs").describe_log_groups()["logGroups"] == []
    assert aws.client("iam").list_roles()["Roles"] == []
    assert [item["Name"] for item in aws.client("s3").list_buckets()["Buckets"]] == [
        "huntaze-stripe-terraform-state"
    ]


def empty(client: Any, bucket: str) -> None:
    """Delete every version of every object: a ledger that is not empty is not destroyed."""
    for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket):
        for version in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
            client.delete_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])
