"""The key of our own: who uses it, and who may."""

from __future__ import annotations

import json

from tests.infra.terraform_json import Stack, statements

KEY = "${aws_kms_key.key.arn}"


def test_no_key_unless_asked_for(stack: Stack) -> None:
    assert not stack.of_type("aws_kms_key")
    assert not any("aws_kms_key" in text for text in stack.texts())


def test_key_rotates_and_can_be_restored(secured: Stack) -> None:
    key = secured.only("aws_kms_key")
    assert key["enable_key_rotation"] is True
    assert key["deletion_window_in_days"] == 30


def test_key_policy_names_each_service(secured: Stack) -> None:
    policy = statements(secured.only("aws_kms_key")["policy"])
    services = {s["Principal"]["Service"] for s in policy if "Service" in s["Principal"]}
    assert services == {
        "events.amazonaws.com",
        "logs.eu-west-1.amazonaws.com",
    }


def test_services_use_the_key_by_what_stores_the_data_and_for_this_environment_only(secured: Stack) -> None:
    conditions = {
        (operator, key): value
        for statement in statements(secured.only("aws_kms_key")["policy"])
        for operator, keys in statement.get("Condition", {}).items()
        for key, value in keys.items()
    }
    assert {key for _, key in conditions} == {
        "kms:EncryptionContext:aws:events:event-bus:arn",
        "kms:EncryptionContext:aws:logs:arn",
        "kms:EncryptionContext:aws:sqs:arn",
    }
    queues = conditions["ArnLike", "kms:EncryptionContext:aws:sqs:arn"]
    assert queues.endswith(":huntaze-stripe-*-prod*")
    groups = conditions["ArnLike", "kms:EncryptionContext:aws:logs:arn"]
    assert [group.split(":log-group:")[1] for group in groups] == [
        "/aws/events/huntaze-stripe-prod",
        "/aws/lambda/huntaze-stripe-*-prod",
    ]


def test_services_use_the_key_for_this_pipeline_only(secured: Stack) -> None:
    for statement in statements(secured.only("aws_kms_key")["policy"]):
        describes_only = statement["Action"] == ["kms:DescribeKey"]
        if "Service" in statement["Principal"] and not describes_only:
            assert statement["Condition"], statement["Sid"]
            assert "kms:*" not in statement["Action"]


def test_key_is_used_everywhere(secured: Stack) -> None:
    assert secured.only("aws_cloudwatch_event_bus")["kms_key_identifier"] == KEY
    archive = secured.of_type("aws_cloudcontrolapi_resource")["events_archive"]
    assert json.loads(archive["desired_state"])["KmsKeyIdentifier"] == KEY
    assert secured.only("aws_dynamodb_table")["server_side_encryption"] == {
        "enabled": True,
        "kms_key_arn": KEY,
    }
    secrets = secured.of_type("aws_secretsmanager_secret").values()
    assert {secret["kms_key_id"] for secret in secrets} == {KEY}
    assert all(group["kms_key_id"] == KEY for group in secured.of_type("aws_cloudwatch_log_group").values())
    assert all(f["kms_key_arn"] == KEY for f in secured.of_type("aws_lambda_function").values())
    [rule] = secured.only("aws_s3_bucket_server_side_encryption_configuration")["rule"]
    assert rule["apply_server_side_encryption_by_default"] == {
        "kms_master_key_id": KEY,
        "sse_algorithm": "aws:kms",
    }


def test_alarms_work_without_the_key(secured: Stack) -> None:
    assert "kms_master_key_id" not in secured.only("aws_sns_topic")
    for name, queue in secured.queues().items():
        if "dlq" in name:
            assert queue["SqsManagedSseEnabled"] is True
            assert "KmsMasterKeyId" not in queue


def test_roles_may_use_the_key(secured: Stack) -> None:
    # The handlers park in a queue without the key; the audit writes objects with it.
    read, write = ["kms:Decrypt"], ["kms:GenerateDataKey"]
    for family, actions in (("payments", [read]), ("billing", [read]), ("audit", [read, write])):
        role = secured.role_statements(f"huntaze-stripe-{family}-prod")
        granted = [each for each in role if each["Sid"].endswith("WithKey")]
        assert [statement["Resource"] for statement in granted] == [[KEY]] * len(actions)
        assert [statement["Action"] for statement in granted] == actions


def test_events_that_the_key_refuses_go_to_the_buss_dead_letter_queue(secured: Stack) -> None:
    queue = "huntaze-stripe-bus-dlq-prod"
    assert secured.only("aws_cloudwatch_event_bus")["dead_letter_config"] == {"arn": secured.queue_arn(queue)}
    [allow] = [s for s in statements(secured.queue_policy(queue)) if s["Effect"] == "Allow"]
    assert "event-bus/aws.partner/stripe.com/" in allow["Condition"]["ArnEquals"]["aws:SourceArn"][0]
