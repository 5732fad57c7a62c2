"""Destroying the environment leaves nothing; the last scenario, because nothing is left to test after it."""

from __future__ import annotations

from tests.e2e.conftest import Pipeline


def test_destroy_leaves_nothing(pipeline: Pipeline) -> None:
    deployment = pipeline.deployment
    aws = deployment.services.aws
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
