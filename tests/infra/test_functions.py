"""Functions: runtime, variables, permissions, logs, retries."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from functions.shared import names
from infra import settings
from infra.constructs.idempotency import expiry_seconds
from infra.errors import SettingsError
from tests.infra.conftest import SOURCE, synthesise_into
from tests.infra.terraform_json import LOG_ACTIONS, Stack

FAMILIES = ("payments", "billing", "audit")
WITH_SOURCE = {"STRIPE_EVENT_SOURCE_NAME": SOURCE, "ALERT_EMAILS": "oncall@huntaze.com"}


def function(stack: Stack, family: str) -> dict[str, Any]:
    return stack.named("aws_lambda_function", f"huntaze-stripe-{family}-{stack.environment}")


def actions(stack: Stack, family: str) -> set[str]:
    statements = stack.role_statements(f"huntaze-stripe-{family}-{stack.environment}")
    return {action for statement in statements for action in statement["Action"]}


def configured(stack: Stack) -> settings.Settings:
    return settings.load(stack.environment, environ=WITH_SOURCE)


@pytest.mark.parametrize("family", FAMILIES)
def test_function_runs_its_handler_on_python_3_13_arm64(stack: Stack, family: str) -> None:
    made = function(stack, family)
    assert made["handler"] == f"functions.{family}.handler"
    assert made["runtime"] == "python3.13"
    assert made["architectures"] == ["arm64"]


@pytest.mark.parametrize("family", FAMILIES)
def test_function_has_the_environments_size_and_limits(stack: Stack, family: str) -> None:
    made, wanted = function(stack, family), getattr(configured(stack), family)
    assert made["memory_size"] == wanted.memory_mb
    assert made["timeout"] == wanted.timeout_seconds
    assert made["reserved_concurrent_executions"] == wanted.reserved_concurrency
    assert made["environment"]["variables"]["POWERTOOLS_LOG_LEVEL"] == wanted.log_level


API_KEY = "${aws_secretsmanager_secret.secret.arn}"
STRIPE_KEY = "${aws_secretsmanager_secret.secret_stripe.arn}"
DATABASE = "${aws_secretsmanager_secret.secret_database.arn}"
SECRETS_OF = {
    "payments": API_KEY,
    "billing": f"{API_KEY},{STRIPE_KEY}",
    "audit": DATABASE,
    "reconcile": STRIPE_KEY,
}


@pytest.mark.parametrize(("family", "secrets"), SECRETS_OF.items())
def test_function_reads_the_secrets_that_it_uses_and_no_other(
    secured: Stack, family: str, secrets: str
) -> None:
    assert function(secured, family)["environment"]["variables"][names.SECRET_IDS] == secrets
    assert [
        statement["Resource"]
        for statement in secured.role_statements(f"huntaze-stripe-{family}-prod")
        if "secretsmanager:GetSecretValue" in statement["Action"]
    ] == [secrets.split(",")]


@pytest.mark.parametrize("family", ["payments", "billing"])
def test_handler_gets_its_variables(stack: Stack, family: str) -> None:
    wanted = configured(stack)
    assert function(stack, family)["environment"]["variables"] == {
        names.ENVIRONMENT: stack.environment,
        names.HUNTAZE_API_URL: wanted.huntaze_api_url,
        names.LIVEMODE: "true" if stack.environment == "prod" else "false",
        names.SECRET_IDS: SECRETS_OF[family],
        names.DEAD_LETTER_QUEUE_URL: stack.queue_url(f"huntaze-stripe-{family}-dlq-{stack.environment}"),
        names.ORDER: "watermark",
        names.STRIPE_READS_PER_SECOND: "20",
        names.IDEMPOTENCY_TABLE: "${aws_dynamodb_table.idempotency.name}",
        names.IDEMPOTENCY_EXPIRY_SECONDS: str((max(wanted.archive_retention_days, 30) + 16) * 86_400),
        "POWERTOOLS_LOG_LEVEL": "INFO",
        "POWERTOOLS_METRICS_NAMESPACE": "HuntazeStripe",
        "POWERTOOLS_SERVICE_NAME": family,
    }


def test_audit_gets_what_it_needs_and_no_more(stack: Stack) -> None:
    assert set(function(stack, "audit")["environment"]["variables"]) == {
        names.ENVIRONMENT,
        names.SECRET_IDS,
        names.LEDGER_BUCKET,
        names.DEAD_LETTER_QUEUE_URL,
        "POWERTOOLS_LOG_LEVEL",
        "POWERTOOLS_METRICS_NAMESPACE",
        "POWERTOOLS_SERVICE_NAME",
    }


def test_audit_parks_in_the_fifo_dead_letter_queue_alone(stack: Stack, secured: Stack) -> None:
    for each in (stack, secured):
        variables = function(each, "audit")["environment"]["variables"]
        queue = f"huntaze-stripe-audit-dlq-{each.environment}.fifo"
        assert variables[names.DEAD_LETTER_QUEUE_URL] == each.queue_url(queue)
        # The other one takes what Lambda could not deliver, if somebody invokes the function directly.
        on_failure = f"huntaze-stripe-audit-other-dlq-{each.environment}"
        granted = each.role_statements(f"huntaze-stripe-audit-{each.environment}")
        sending = [statement["Resource"] for statement in granted if "sqs:SendMessage" in statement["Action"]]
        assert sorted(sending) == sorted([[each.queue_arn(queue)], [each.queue_arn(on_failure)]])
    use = [s for s in secured.role_statements("huntaze-stripe-audit-prod") if s["Sid"].endswith("WithKey")]
    assert [each["Action"] for each in use] == [["kms:Decrypt"], ["kms:GenerateDataKey"]]
    assert all(each["Resource"] == ["${aws_kms_key.key.arn}"] for each in use)


def test_idempotency_outlives_the_archive(stack: Stack) -> None:
    archive = stack.of_type("aws_cloudcontrolapi_resource")["events_archive"]
    days = json.loads(archive["desired_state"])["RetentionDays"]
    for family in ("payments", "billing"):
        variables = function(stack, family)["environment"]["variables"]
        assert int(variables[names.IDEMPOTENCY_EXPIRY_SECONDS]) > days * 86_400


def test_idempotency_outlives_stripes_list_too() -> None:
    assert expiry_seconds(archive_retention_days=1) > 30 * 86_400


def test_bundles_lie_in_the_stacks_own_folder(stack: Stack, outdir: Path) -> None:
    for family in FAMILIES:
        made = function(stack, family)
        bundle = outdir / "stacks" / stack.name / made["filename"]
        assert bundle.is_file()
        assert not Path(made["filename"]).is_absolute()
        assert base64.b64decode(made["source_code_hash"]).hex() in made["filename"]


@pytest.mark.parametrize("family", FAMILIES)
def test_role_is_the_functions_own_and_assumed_by_lambda(stack: Stack, family: str) -> None:
    address = function(stack, family)["role"]
    others = [function(stack, other)["role"] for other in FAMILIES if other != family]
    assert address not in others
    role = stack.named("aws_iam_role", f"huntaze-stripe-{family}-{stack.environment}")
    assert role["assume_role_policy"] == (
        '{"Statement":[{"Action":["sts:AssumeRole"],"Condition":{"StringEquals":{"aws:SourceAccount":'
        '"${data.aws_caller_identity.account_identity.account_id}"}},"Effect":"Allow","Principal":'
        '{"Service":"lambda.amazonaws.com"},"Sid":"AllowService"}],"Version":"2012-10-17"}'
    )


TABLE = {"dynamodb:DeleteItem", "dynamodb:UpdateItem"}
HANDLER_ACTIONS = LOG_ACTIONS | TABLE | {"secretsmanager:GetSecretValue", "sqs:SendMessage"}
AUDIT_ACTIONS = LOG_ACTIONS | {
    "s3:PutObject",
    "secretsmanager:GetSecretValue",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:ReceiveMessage",
    "sqs:SendMessage",
}


@pytest.mark.parametrize(
    ("family", "wanted"),
    [("payments", HANDLER_ACTIONS), ("billing", HANDLER_ACTIONS), ("audit", AUDIT_ACTIONS)],
)
def test_role_may_do_nothing_more_than_its_function_does(stack: Stack, family: str, wanted: set[str]) -> None:
    assert actions(stack, family) == wanted


@pytest.mark.parametrize("family", FAMILIES)
def test_role_names_each_resource(stack: Stack, family: str) -> None:
    queues = [stack.queue_arn(name) for name in stack.queues()]
    for statement in stack.role_statements(f"huntaze-stripe-{family}-{stack.environment}"):
        for resource in statement["Resource"]:
            assert resource.startswith("${aws_") or resource in queues
            # A log group's streams and the ledger's objects have no names before they are written.
            assert resource.replace("}:*", "}").replace("/audit/*", "").count("*") == 0


@pytest.mark.parametrize("family", FAMILIES)
def test_only_tracing_and_networks_take_any_resource(secured: Stack, family: str) -> None:
    for statement in secured.role_statements(f"huntaze-stripe-{family}-prod"):
        assert not any("*" in action for action in statement["Action"])
        services = {action.split(":")[0] for action in statement["Action"]}
        if "*" in statement["Resource"]:
            assert services <= {"xray", "ec2"}


def test_functions_read_with_former_keys_and_write_with_none(tmp_path: Path, stack: Stack) -> None:
    arn = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    outdir = synthesise_into(tmp_path, {"FORMER_KMS_KEY_ARNS": arn})
    former = Stack.read(outdir, stack.name)
    for made in former.of_type("aws_lambda_function").values():
        using = [s for s in former.role_statements(made["function_name"]) if "kms:" in str(s["Action"])]
        assert [(s["Action"], s["Resource"]) for s in using] == [(["kms:Decrypt"], [arn])]
    assert "kms:" not in json.dumps(stack.document["resource"]["aws_iam_role_policy"])


def test_sids_of_a_role_are_distinct(secured: Stack) -> None:
    for family in FAMILIES:
        sids = [s["Sid"] for s in secured.role_statements(f"huntaze-stripe-{family}-prod")]
        assert len(sids) == len(set(sids))


@pytest.mark.parametrize("family", FAMILIES)
def test_log_group_exists_before_the_function(stack: Stack, family: str) -> None:
    name = f"/aws/lambda/huntaze-stripe-{family}-{stack.environment}"
    address = stack.address("aws_cloudwatch_log_group", name)
    made = function(stack, family)
    assert address in made["depends_on"]
    assert made["logging_config"]["log_group"] == f"${{{address}.name}}"
    retention = stack.named("aws_cloudwatch_log_group", name)["retention_in_days"]
    assert retention == configured(stack).log_retention_days


@pytest.mark.parametrize("family", FAMILIES)
def test_logs_are_json_and_let_metrics_pass(stack: Stack, family: str) -> None:
    logging = function(stack, family)["logging_config"]
    assert logging["log_format"] == "JSON"
    # Metrics have no level and count as INFO.
    assert logging["application_log_level"] in ("DEBUG", "INFO")


@pytest.mark.parametrize("family", FAMILIES)
def test_async_failures_are_retried_twice_and_parked(stack: Stack, family: str) -> None:
    address = stack.address("aws_lambda_function", f"huntaze-stripe-{family}-{stack.environment}")
    configs = stack.of_type("aws_lambda_function_event_invoke_config").values()
    [config] = [c for c in configs if c["function_name"] == f"${{{address}.function_name}}"]
    assert config["maximum_retry_attempts"] == 2
    assert 60 <= config["maximum_event_age_in_seconds"] <= 21_600
    destination = config["destination_config"]["on_failure"]["destination"]
    wanted = "audit-other-dlq" if family == "audit" else f"{family}-dlq"
    queue = f"huntaze-stripe-{wanted}-{stack.environment}"
    assert destination == stack.queue_arn(queue)
    assert "FifoQueue" not in stack.queues()[queue]


def test_audit_reads_the_fifo_queue_and_returns_only_failed_records(stack: Stack) -> None:
    mapping = stack.only("aws_lambda_event_source_mapping")
    audit = stack.address("aws_lambda_function", f"huntaze-stripe-audit-{stack.environment}")
    assert mapping["event_source_arn"] == stack.queue_arn(f"huntaze-stripe-events-{stack.environment}.fifo")
    assert mapping["function_name"] == f"${{{audit}.arn}}"
    assert mapping["function_response_types"] == ["ReportBatchItemFailures"]
    assert mapping["batch_size"] == 10
    assert "maximum_batching_window_in_seconds" not in mapping


def test_tracing_is_off_unless_set(stack: Stack, secured: Stack) -> None:
    for family in FAMILIES:
        assert function(stack, family)["tracing_config"]["mode"] == "PassThrough"
        assert function(secured, family)["tracing_config"]["mode"] == "Active"
        assert {"xray:PutTelemetryRecords", "xray:PutTraceSegments"} <= actions(secured, family)


def test_only_the_audit_function_joins_a_network(stack: Stack, secured: Stack) -> None:
    assert function(secured, "audit")["vpc_config"] == {
        "security_group_ids": ["sg-0a"],
        "subnet_ids": ["subnet-0a", "subnet-0b"],
    }
    assert "ec2:CreateNetworkInterface" in actions(secured, "audit")
    assert "vpc_config" not in function(stack, "audit")
    for family in ("payments", "billing"):
        assert "vpc_config" not in function(secured, family)
        assert "ec2:CreateNetworkInterface" not in actions(secured, family)


def test_audit_reserves_enough_concurrency_for_its_message_groups(stack: Stack) -> None:
    source = stack.only("aws_lambda_event_source_mapping")
    at_once = source["scaling_config"]["maximum_concurrency"]
    for few in range(at_once):
        with pytest.raises(SettingsError, match=f"at least {at_once}, one for each"):
            settings.load("dev", environ=WITH_SOURCE | {"AUDIT_RESERVED_CONCURRENCY": str(few)})
    taken = settings.load("dev", environ=WITH_SOURCE | {"AUDIT_RESERVED_CONCURRENCY": str(at_once)})
    assert taken.audit.reserved_concurrency == at_once


def test_each_handler_reads_stripes_key_where_the_destination_sends_thin_events(tmp_path: Path) -> None:
    stack = Stack.read(synthesise_into(tmp_path, {"THIN_EVENTS": "true"}), "huntaze-stripe-dev")
    for family in names.HANDLERS:
        granted = stack.role_statements(f"huntaze-stripe-{family}-dev")
        (read,) = [statement for statement in granted if statement["Sid"] == "ReadSecret"]
        assert "${aws_secretsmanager_secret.secret_stripe.arn}" in read["Resource"]
