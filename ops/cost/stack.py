"""What an environment deploys that costs or limits something: read from its synthesised Terraform."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from infra import settings as infra_settings
from infra.errors import InfraError
from infra.names import PROJECT
from infra.settings import Settings
from ops.cost.units import metrics_of_alarm
from ops.dev.synthesised import synthesised
from ops.environment import NO_ALERTS, UNNAMED_BUS
from ops.errors import OperatorError

# What an operator's own settings may leave out: no cost depends on it.
_FALLBACKS: Final[Mapping[str, object]] = {**NO_ALERTS, "stripe_event_source_name": UNNAMED_BUS}
_EXPIRY: Final = "IDEMPOTENCY_EXPIRY_SECONDS"
_DAY: Final = 24 * 3600


@dataclass(frozen=True)
class Function:
    """A function's settings; `reserved` is -1 where it shares the account's concurrency."""

    memory_mb: int
    architecture: str
    reserved: int


@dataclass(frozen=True)
class Stack:
    """An environment's resources.

    Parameters
    ----------
    functions
        By family: payments, billing, audit, redrive, reconcile.
    alarm_metrics
        Metrics that alarms watch; each is billed.
    remembered_days
        Days for which the idempotency table keeps an item.
    batch
        Most messages in one invocation of the audit function.
    """

    settings: Settings
    functions: Mapping[str, Function]
    alarm_metrics: int
    composite_alarms: int
    dashboards: int
    secrets: int
    keys: int
    remembered_days: float
    recovery: bool
    batch: int

    @property
    def invocations_per_handled_event(self) -> int:
        """Targets of a routed event: a handler, the audit queue, and the bus log where it is on."""
        return 2 + self.settings.bus_logs


def read(environment: str) -> Stack:
    """Synthesise an environment, and read what it deploys.

    Raises
    ------
    OperatorError
        The environment is unknown, or its settings are invalid.
    """
    try:
        settings = infra_settings.load(environment, fallbacks=_FALLBACKS)
        variables = {"STRIPE_EVENT_SOURCE_NAME": UNNAMED_BUS, "ALERT_EMAILS": "none", **os.environ}
        document = synthesised(
            environment, {**variables, "STRIPE_EVENT_SOURCE_NAME": settings.stripe_event_source_name}
        )
    except InfraError as error:
        raise OperatorError(str(error), usage=True) from error
    return of(document, settings)


def of(document: Mapping[str, Any], settings: Settings) -> Stack:
    """Read a `cdk.tf.json`."""
    resources: Mapping[str, Mapping[str, Any]] = document["resource"]

    def every(kind: str) -> list[Mapping[str, Any]]:
        return list(resources.get(kind, {}).values())

    functions = every("aws_lambda_function")
    variables = [each.get("environment", {}).get("variables", {}) for each in functions]
    expiry = max(int(each[_EXPIRY]) for each in variables if _EXPIRY in each)
    (table,) = every("aws_dynamodb_table")
    (source,) = every("aws_lambda_event_source_mapping")
    return Stack(
        settings=settings,
        functions={_family(each, settings): _function(each) for each in functions},
        alarm_metrics=sum(metrics_of_alarm(alarm) for alarm in every("aws_cloudwatch_metric_alarm")),
        composite_alarms=len(every("aws_cloudwatch_composite_alarm")),
        dashboards=len(every("aws_cloudwatch_dashboard")),
        secrets=len(every("aws_secretsmanager_secret")),
        keys=len(every("aws_kms_key")),
        remembered_days=expiry / _DAY,
        recovery=bool(table["point_in_time_recovery"]["enabled"]),
        batch=int(source["batch_size"]),
    )


def _family(function: Mapping[str, Any], settings: Settings) -> str:
    name: str = function["function_name"]
    return name.removeprefix(f"{PROJECT}-").removesuffix(f"-{settings.environment}")


def _function(function: Mapping[str, Any]) -> Function:
    return Function(
        memory_mb=function["memory_size"],
        architecture=function["architectures"][0],
        reserved=function["reserved_concurrent_executions"],
    )
