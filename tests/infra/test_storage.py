"""Table, ledger, secret and state."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.infra.conftest import SCHEDULED
from tests.infra.terraform_json import Stack, statements

HOLDING = (
    "aws_cloudcontrolapi_resource",
    "aws_cloudwatch_event_bus",
    "aws_dynamodb_table",
    "aws_kms_key",
    "aws_s3_bucket",
    "aws_secretsmanager_secret",
)


def test_table_is_on_demand_expires_records_and_can_be_restored(stack: Stack) -> None:
    table = stack.only("aws_dynamodb_table")
    assert table["billing_mode"] == "PAY_PER_REQUEST"
    assert table["hash_key"] == "id"
    assert table["attribute"] == [{"name": "id", "type": "S"}]
    assert table["ttl"] == {"attribute_name": "expiration", "enabled": True}
    assert table["point_in_time_recovery"] == {"enabled": True}


def test_what_holds_events_or_reads_them_is_kept_where_protected(stack: Stack, secured: Stack) -> None:
    for each, protected in ((stack, stack.environment == "prod"), (secured, True)):
        kept = {
            f"{kind}.{address}"
            for kind, resources in each.document["resource"].items()
            for address, resource in resources.items()
            if resource.get("lifecycle") == {"prevent_destroy": True}
        }
        holding = {
            f"{kind}.{address}"
            for kind in HOLDING
            for address in each.of_type(kind)
            # The log is a convenience: it can be turned off.
            if address != "log_dlq"
        }
        assert len(holding) > 10
        assert kept == (holding if protected else set())


def test_table_is_protected_in_prod_only(stack: Stack) -> None:
    protected = stack.only("aws_dynamodb_table")["deletion_protection_enabled"]
    assert protected is (stack.environment == "prod")


def part_of(stack: Stack, kind: str) -> dict[str, Any]:
    """The one resource of a kind, checked to be about the stack's one bucket."""
    found = stack.only(kind)
    assert re.fullmatch(r"\$\{aws_s3_bucket\.(ledger|state)_bucket\.id\}", found["bucket"])
    return found


@pytest.fixture(params=["environment", "bootstrap"])
def owner(request: pytest.FixtureRequest, stack: Stack, bootstrap: Stack) -> Stack:
    """A stack with a bucket."""
    return stack if request.param == "environment" else bootstrap


def test_bucket_is_versioned(owner: Stack) -> None:
    assert part_of(owner, "aws_s3_bucket_versioning")["versioning_configuration"] == {"status": "Enabled"}


def test_bucket_is_encrypted(owner: Stack) -> None:
    [rule] = part_of(owner, "aws_s3_bucket_server_side_encryption_configuration")["rule"]
    assert rule["apply_server_side_encryption_by_default"] == {"sse_algorithm": "AES256"}


def test_bucket_blocks_public_access(owner: Stack) -> None:
    block = part_of(owner, "aws_s3_bucket_public_access_block")
    for switch in (
        "block_public_acls",
        "block_public_policy",
        "ignore_public_acls",
        "restrict_public_buckets",
    ):
        assert block[switch] is True


def test_bucket_has_no_acls(owner: Stack) -> None:
    assert part_of(owner, "aws_s3_bucket_ownership_controls")["rule"] == {
        "object_ownership": "BucketOwnerEnforced"
    }


def test_bucket_refuses_plain_text(owner: Stack) -> None:
    [deny] = statements(part_of(owner, "aws_s3_bucket_policy")["policy"])
    assert deny["Effect"] == "Deny"
    assert deny["Principal"] == "*"
    assert deny["Action"] == ["s3:*"]
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    bucket, objects = deny["Resource"]
    assert objects == f"{bucket}/*"


def test_every_state_can_be_restored(bootstrap: Stack) -> None:
    assert not bootstrap.of_type("aws_s3_bucket_lifecycle_configuration")


def test_ledger_is_tidied_up(stack: Stack) -> None:
    [rule] = part_of(stack, "aws_s3_bucket_lifecycle_configuration")["rule"]
    assert rule["status"] == "Enabled"
    assert rule["abort_incomplete_multipart_upload"] == [{"days_after_initiation": 7}]
    assert rule["noncurrent_version_expiration"] == [{"noncurrent_days": 365}]
    # No object expires.
    assert rule["expiration"] == [{"expired_object_delete_marker": True}]


def test_ledger_expires_where_set(secured: Stack) -> None:
    tidy, expire = part_of(secured, "aws_s3_bucket_lifecycle_configuration")["rule"]
    assert tidy["expiration"] == [{"expired_object_delete_marker": True}]
    # Events alone: what was replayed by force, and why, is written beside them and holds none.
    assert expire["filter"] == [{"prefix": "audit/"}]
    assert (expire["status"], expire["expiration"]) == ("Enabled", [{"days": 2557}])


def test_ledger_moves_to_colder_storage(stack: Stack) -> None:
    [rule] = part_of(stack, "aws_s3_bucket_lifecycle_configuration")["rule"]
    assert rule["transition"] == [
        {"days": 30, "storage_class": "STANDARD_IA"},
        {"days": 90, "storage_class": "GLACIER"},
    ]


def test_ledger_name_is_unique_by_its_account(stack: Stack) -> None:
    assert stack.only("aws_s3_bucket")["bucket"] == (
        f"huntaze-stripe-ledger-{stack.environment}-${{data.aws_caller_identity.account_identity.account_id}}"
    )


def test_ledger_with_objects_is_not_deleted_in_prod(stack: Stack) -> None:
    assert stack.only("aws_s3_bucket")["force_destroy"] is (stack.environment != "prod")


def test_ledger_is_locked_where_set(stack: Stack, secured: Stack) -> None:
    assert not stack.of_type("aws_s3_bucket_object_lock_configuration")
    for each in (stack, secured):
        # Changing this argument replaces a bucket.
        assert "object_lock_enabled" not in each.only("aws_s3_bucket")
    lock = secured.only("aws_s3_bucket_object_lock_configuration")
    assert lock["rule"] == {"default_retention": {"days": 365, "mode": "COMPLIANCE"}}


def test_state_bucket_survives_a_destroy(bootstrap: Stack) -> None:
    bucket = bootstrap.only("aws_s3_bucket")
    assert bucket["bucket"] == "huntaze-stripe-terraform-state"
    assert bucket["lifecycle"] == {"prevent_destroy": True}
    assert bucket["force_destroy"] is False


def test_state_is_in_the_bucket_under_the_key_of_the_environment(stack: Stack) -> None:
    assert stack.document["terraform"]["backend"] == {
        "s3": {
            "bucket": "huntaze-stripe-terraform-state",
            "encrypt": True,
            "key": f"huntaze-stripe-{stack.environment}/terraform.tfstate",
            "region": "eu-west-1",
            "use_lockfile": True,
        }
    }


def test_policy_scanners_can_read_every_stack(stack: Stack, bootstrap: Stack) -> None:
    # checkov 3.3 reads a whole file as empty where `terraform` holds a text, such as required_version, and
    # stops at a block without a name, such as removed.
    for each in (stack, bootstrap):
        assert {type(block) for block in each.document.values()} == {dict}
        assert {type(block) for block in each.document["terraform"].values()} == {dict}


def test_bootstrap_keeps_its_state_beside_the_output_folder(bootstrap: Stack) -> None:
    assert bootstrap.document["terraform"]["backend"] == {
        "local": {"path": "../../../terraform.huntaze-stripe-bootstrap.tfstate"}
    }


def test_each_value_has_its_own_secret(stack: Stack) -> None:
    prefix = f"huntaze/stripe-eventbridge/{stack.environment}"
    assert {secret["name"] for secret in stack.of_type("aws_secretsmanager_secret").values()} == {
        prefix,
        f"{prefix}/stripe-secret-key",
        f"{prefix}/database-url",
    }


def test_secrets_are_written_from_ephemeral_variables_by_a_write_only_argument(stack: Stack) -> None:
    versions = stack.of_type("aws_secretsmanager_secret_version").values()
    assert {version["secret_string_wo"] for version in versions} == {
        f"${{jsonencode({{{key}=var.{key}}})}}"
        for key in ("HUNTAZE_API_KEY", "STRIPE_SECRET_KEY", "DATABASE_URL")
    }
    for version in versions:
        assert version["secret_string_wo_version"] == 1
        assert "secret_string" not in version
    variables = stack.document["variable"]
    assert set(variables) == {"HUNTAZE_API_KEY", "STRIPE_SECRET_KEY", "DATABASE_URL"}
    for variable in variables.values():
        assert variable["ephemeral"] is True
        assert variable["sensitive"] is True
        assert variable["type"] == "string"
        assert variable["default"] == ""


def test_nothing_refers_to_a_version_so_that_a_plan_can_leave_it_out(stack: Stack) -> None:
    assert "aws_secretsmanager_secret_version." not in json.dumps(stack.document)


def test_an_empty_api_key_is_refused(stack: Stack) -> None:
    [validation] = stack.document["variable"]["HUNTAZE_API_KEY"]["validation"]
    assert validation["condition"] == '${var.HUNTAZE_API_KEY != ""}'
    assert "export" in validation["error_message"]
    assert "validation" not in stack.document["variable"]["DATABASE_URL"]


def test_an_empty_stripe_key_is_refused_where_stripe_is_asked(stack: Stack) -> None:
    variable = stack.document["variable"]["STRIPE_SECRET_KEY"]
    assert ("validation" in variable) is (stack.environment != "dev")
    for validation in variable.get("validation", []):
        assert validation["condition"] == '${var.STRIPE_SECRET_KEY != ""}'
        assert "export TF_VAR_STRIPE_SECRET_KEY" in validation["error_message"]
        assert 'reconcile = "off"' in validation["error_message"]


def test_outputs_have_what_operators_need(stack: Stack) -> None:
    outputs = stack.document["output"]
    assert set(outputs) == {
        "archive_arn",
        "bus_arn",
        "bus_name",
        "code",
        "dashboard_url",
        "function_arns",
        "idempotency_table",
        "ledger_bucket",
        "queue_urls",
        "routing",
        "rule_arns",
        "secret_arns",
        "topic_arn",
    }
    families = {"payments", "billing", "audit", *SCHEDULED[stack.environment]}
    assert set(outputs["function_arns"]["value"]) == families
    assert set(outputs["queue_urls"]["value"]) == set(stack.queues())
    rules = {rule["name"] for rule in stack.of_type("aws_cloudwatch_event_rule").values()}
    assert set(outputs["rule_arns"]["value"]) == rules
    assert outputs["dashboard_url"]["value"].endswith(f"/HuntazeStripeEventBridge-{stack.environment}")
    assert all(output["description"] for output in outputs.values())


def test_everything_carries_the_tags(stack: Stack, bootstrap: Stack) -> None:
    for tagged, environment in ((stack, stack.environment), (bootstrap, "bootstrap")):
        [provider] = tagged.document["provider"]["aws"]
        assert provider["region"] == "eu-west-1"
        [tags] = provider["default_tags"]
        assert tags["tags"] == {
            "Project": "huntaze",
            "Component": "stripe-eventbridge",
            "Environment": environment,
            "ManagedBy": "terraform",
        }


def test_the_account_may_be_pinned(stack: Stack, secured: Stack) -> None:
    assert "allowed_account_ids" not in stack.document["provider"]["aws"][0]
    assert secured.document["provider"]["aws"][0]["allowed_account_ids"] == ["123456789012"]


def test_addresses_say_what_they_are(stack: Stack) -> None:
    for resources in stack.document["resource"].values():
        for address in resources:
            assert re.fullmatch(r"[a-z][a-z0-9_]*", address), address


def test_terraform_pins_the_provider(stack: Stack) -> None:
    providers = stack.document["terraform"]["required_providers"]
    assert json.dumps(providers) == '{"aws": {"source": "aws", "version": "5.100.0"}}'
