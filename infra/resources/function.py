"""One Lambda function with its role, log group and asynchronous retries."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from cdktf import TerraformAsset
from cdktf_cdktf_provider_aws.cloudwatch_log_group import CloudwatchLogGroup
from cdktf_cdktf_provider_aws.lambda_event_source_mapping import (
    LambdaEventSourceMapping,
    LambdaEventSourceMappingScalingConfig,
)
from cdktf_cdktf_provider_aws.lambda_function import (
    LambdaFunction,
    LambdaFunctionEnvironment,
    LambdaFunctionLoggingConfig,
    LambdaFunctionTracingConfig,
    LambdaFunctionVpcConfig,
)
from cdktf_cdktf_provider_aws.lambda_function_event_invoke_config import (
    LambdaFunctionEventInvokeConfig,
    LambdaFunctionEventInvokeConfigDestinationConfig,
    LambdaFunctionEventInvokeConfigDestinationConfigOnFailure,
)
from constructs import Construct

from functions.shared import names
from infra.policy import Statement
from infra.resources.account import Account
from infra.resources.base import Capability
from infra.resources.key import Key, read_with
from infra.resources.metrics import Metric
from infra.resources.queue import Queue
from infra.resources.role import ExecutionRole
from infra.resources.suppression import WITHOUT_KEY, suppress, suppress_log_group
from infra.settings import FunctionSettings

# Lambda's own maximum of asynchronous retries, one and two minutes after the failure.
_ASYNC_RETRIES: Final = 2
# Lambda receives at most 10 messages at once from a FIFO queue.
_FIFO_BATCH: Final = 10
# The fewest concurrent batches that a mapping can be limited to.
_LEAST_CONCURRENCY: Final = 2


@dataclass(frozen=True)
class Platform:
    """What every function of an environment runs on.

    Parameters
    ----------
    key
        Encrypts logs and environment variables; None leaves that to keys of AWS.
    former_key_arns
        KMS keys that encrypt nothing new and decrypt older objects and messages.
    """

    architecture: str
    runtime: str
    tracing: bool
    log_retention_days: int
    max_event_age_seconds: int
    key: Key | None
    former_key_arns: Sequence[str]


@dataclass(frozen=True)
class Code:
    """A bundle in the stack's folder, and its SHA-256 in hexadecimal."""

    asset: TerraformAsset
    sha256: str


@dataclass(frozen=True)
class Network:
    """The subnets and security groups of a function in a VPC."""

    subnet_ids: Sequence[str]
    security_group_ids: Sequence[str]


@dataclass(frozen=True)
class FunctionProps:
    """What a function runs, how, and with which rights.

    Parameters
    ----------
    variables
        Environment variables.
    grants
        What its role may do besides writing its logs and sending failures to its queue.
    network
        None runs it outside a VPC.
    """

    code: Code
    platform: Platform
    settings: FunctionSettings
    variables: Mapping[str, str]
    grants: Sequence[Statement]
    network: Network | None = None

    def add(self, variables: Mapping[str, str], grants: Sequence[Statement] = ()) -> "FunctionProps":
        """The same with more variables and grants."""
        return replace(self, variables={**self.variables, **variables}, grants=[*self.grants, *grants])


class PipelineFunction(Capability):
    """One handler module as a Lambda function.

    Lambda retries an event that failed and then sends it, with its reason, to `on_failure`: a standard queue,
    since a destination cannot be a FIFO queue. Without one Lambda does not retry.

    Parameters
    ----------
    family
        Name of the handler module, for example payments.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        account: Account,
        family: str,
        props: FunctionProps,
        on_failure: Queue | None,
    ) -> None:
        super().__init__(scope, id_)
        settings, platform, network = props.settings, props.platform, props.network
        key = platform.key
        self._environment = account.environment
        self.family = family
        self.name = account.name(family)
        self.dead_letter = on_failure
        self.timeout_seconds = settings.timeout_seconds
        logs = self.add(
            CloudwatchLogGroup,
            "logs",
            name=f"/aws/lambda/{self.name}",
            retention_in_days=platform.log_retention_days,
            kms_key_id=key.arn if key else None,
        )
        suppress_log_group(logs, retention_days=platform.log_retention_days, keyed=bool(key))
        self.log_group = logs.name
        role = ExecutionRole(
            self,
            f"{family}_role",
            account=account,
            name=self.name,
            grants=[
                *_write_to(logs),
                *(on_failure.grant_send() if on_failure else []),
                *read_with(key),
                *_read_with(platform.former_key_arns),
                *props.grants,
            ],
            tracing=platform.tracing,
            in_network=network is not None,
        )
        function = self.add(
            LambdaFunction,
            "",
            function_name=self.name,
            description=f"Stripe events: {family}",
            role=role.arn,
            handler=f"functions.{family}.handler",
            runtime=platform.runtime,
            architectures=[platform.architecture],
            filename=props.code.asset.path,
            source_code_hash=base64.b64encode(bytes.fromhex(props.code.sha256)).decode(),
            memory_size=settings.memory_mb,
            timeout=settings.timeout_seconds,
            reserved_concurrent_executions=settings.reserved_concurrency,
            environment=LambdaFunctionEnvironment(
                variables=dict(sorted({**props.variables, **_powertools(family, settings)}.items()))
            ),
            kms_key_arn=key.arn if key else None,
            tracing_config=LambdaFunctionTracingConfig(mode="Active" if platform.tracing else "PassThrough"),
            logging_config=LambdaFunctionLoggingConfig(
                log_format="JSON",
                log_group=logs.name,
                # Powertools drops what is below the function's log level. Lambda's own filter treats metrics,
                # which have no level, as INFO: at WARNING it would drop them.
                application_log_level="DEBUG" if settings.log_level == "DEBUG" else "INFO",
                system_log_level="INFO",
            ),
            vpc_config=(
                LambdaFunctionVpcConfig(
                    subnet_ids=list(network.subnet_ids), security_group_ids=list(network.security_group_ids)
                )
                if network
                else None
            ),
            # Lambda would create the log group itself, without retention, at the first invocation.
            depends_on=[logs, role.policy],
        )
        suppress(
            function,
            "CKV_AWS_116",
            "failures go to the queue of the on-failure destination, which also keeps the reason",
        )
        suppress(
            function,
            "CKV_AWS_272",
            "bundles are built from hash-locked packages, and the plan shows their SHA-256; a signing "
            "profile would have to exist in each account first",
        )
        if network is None:
            suppress(
                function,
                "CKV_AWS_117",
                "calls only a public API and AWS; audit_subnet_ids puts audit in a VPC",
            )
        if key is None:
            suppress(function, "CKV_AWS_173", WITHOUT_KEY)
        self.arn = function.arn
        self.function_name = function.function_name
        retries = self.add(
            LambdaFunctionEventInvokeConfig,
            "async",
            function_name=function.function_name,
            maximum_retry_attempts=_ASYNC_RETRIES if on_failure else 0,
            maximum_event_age_in_seconds=platform.max_event_age_seconds,
            destination_config=(
                LambdaFunctionEventInvokeConfigDestinationConfig(
                    on_failure=LambdaFunctionEventInvokeConfigDestinationConfigOnFailure(
                        destination=on_failure.arn
                    )
                )
                if on_failure
                else None
            ),
        )
        self.parts = (function, retries)

    def read_from(self, queue: Queue, *, concurrency: int) -> None:
        """Invoke the function with messages of a FIFO queue; only those that failed return to it.

        `concurrency` limits the batches in flight. A FIFO queue has one per message group anyway.
        """
        self.add(
            LambdaEventSourceMapping,
            "source",
            event_source_arn=queue.arn,
            function_name=self.arn,
            batch_size=_FIFO_BATCH,
            function_response_types=["ReportBatchItemFailures"],
            scaling_config=LambdaEventSourceMappingScalingConfig(
                maximum_concurrency=max(_LEAST_CONCURRENCY, concurrency)
            ),
        )

    def metric_errors(self) -> Metric:
        """Invocations that ended in an exception or a timeout."""
        return self._metric("Errors")

    def metric_throttles(self) -> Metric:
        """Invocations that Lambda refused because concurrency was exhausted."""
        return self._metric("Throttles")

    def metric_invocations(self) -> Metric:
        """Invocations, retries included."""
        return self._metric("Invocations")

    def metric_duration(self) -> Metric:
        """Milliseconds from start to end of an invocation, 99th percentile."""
        return self._metric("Duration", "p99")

    def metric_events_dropped(self) -> Metric:
        """Asynchronous events that Lambda gave up after its retries, or as too old.

        Events that it then sent to the dead-letter queue count too (AWS Lambda, "Types of metrics for Lambda
        functions").
        """
        return self._metric("AsyncEventsDropped")

    def metric_destination_failures(self) -> Metric:
        """Failed events that Lambda could not send to the dead-letter queue."""
        return self._metric("DestinationDeliveryFailures")

    def metric_published(self, name: str, statistic: str = "Sum", event_type: str | None = None) -> Metric:
        """A metric that the handler module publishes; most of the handlers' have the event type too."""
        dimensions = {names.DIMENSION_SERVICE: self.family, names.DIMENSION_ENVIRONMENT: self._environment}
        if event_type:
            dimensions[names.DIMENSION_EVENT_TYPE] = event_type
        return Metric(names.METRICS_NAMESPACE, name, dimensions, statistic)

    def _metric(self, name: str, statistic: str = "Sum") -> Metric:
        return Metric("AWS/Lambda", name, {"FunctionName": self.name}, statistic)


def _write_to(logs: CloudwatchLogGroup) -> list[Statement]:
    return [Statement("WriteLogs", ["logs:CreateLogStream", "logs:PutLogEvents"], [f"{logs.arn}:*"])]


def _read_with(former_key_arns: Sequence[str]) -> list[Statement]:
    return [Statement("ReadWithFormerKeys", ["kms:Decrypt"], former_key_arns)] if former_key_arns else []


def _powertools(family: str, settings: FunctionSettings) -> dict[str, str]:
    return {
        "POWERTOOLS_LOG_LEVEL": settings.log_level,
        "POWERTOOLS_METRICS_NAMESPACE": names.METRICS_NAMESPACE,
        "POWERTOOLS_SERVICE_NAME": family,
    }
