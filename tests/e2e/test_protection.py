"""What a deploy and a destroy refuse at plan, by real Terraform's own words, in one line."""

from __future__ import annotations

from tests.e2e.conftest import Pipeline
from tests.e2e.test_commands import ops

OTHER_SOURCE = "aws.partner/stripe.com/ed_test_61AnotherDestination"
PROTECTED = {"DELETION_PROTECTION": "true"}


def test_a_protected_environment_is_not_destroyed_in_part(pipeline: Pipeline) -> None:
    done = ops(pipeline, "destroy", "--env", "dev", "--yes", **PROTECTED)
    assert done.returncode == 1
    assert done.stderr.startswith(
        "error: deletion_protection = true refuses this plan of dev, which would delete "
    )
    assert done.stderr.count("\n") == 1
    assert len(pipeline.deployment.terraform.resources()) == pipeline.deployment.facts.resources


def test_a_new_event_source_replaces_nothing_that_is_protected(pipeline: Pipeline) -> None:
    done = ops(
        pipeline, "deploy", "--env", "dev", "--yes", **PROTECTED, STRIPE_EVENT_SOURCE_NAME=OTHER_SOURCE
    )
    assert done.returncode == 1
    for part in (
        "aws_cloudwatch_event_bus.bus",
        "aws_cloudcontrolapi_resource.events_archive",
        "What deletion_protection keeps",
    ):
        assert part in done.stderr


def test_a_new_event_source_deletes_no_archive(pipeline: Pipeline) -> None:
    done = ops(pipeline, "deploy", "--env", "dev", "--yes", STRIPE_EVENT_SOURCE_NAME=OTHER_SOURCE)
    assert done.returncode == 1
    assert "would delete aws_cloudcontrolapi_resource.events_archive with the events in it" in done.stderr
    assert "A new event source" in done.stderr
