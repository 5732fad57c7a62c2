"""What an environment deploys that costs or limits something: read from its synthesised Terraform."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
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
# What an operator sets in a checkout, and costs nothing.
_OPERATORS_OWN: Final = {"STRIPE_EVENT_SOURCE_NAME": UNNAMED_BUS, "ALERT_EMAILS": "none"}
_EXPIRY: Final = "IDEMPOTENCY_EXPIRY_SECONDS"
_DAY: Final = 24 * 3600


@dataclass(frozen=True)
class Function:
    """A function's settings; `reserved` is -1 where it shares the account's concurrency.

    Parameters
    ----------
    retries, event_age_seconds
        Of an asynchronous invocation.
    variables
        Its environment variables; those that name other resources hold Terraform's references.
    """

    memory_mb: int
    architecture: str
    reserved: int
    timeout_seconds: int
    retries: int
    event_age_seconds: int
    variables: Mapping[str, str]


@dataclass(frozen=True)
class Stack:
    """An environment's resources.

    Parameters
    ----------
    functions
        By family: payments, billing, audit, redrive, reconcile, compact.
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
    except InfraError as error:
        raise OperatorError(str(error), usage=True) from error
    return of(_document(settings), settings)


def variables_of(settings: Settings) -> dict[str, str]:
    """Return the variables with which to synthesise an environment as its operator has set it."""
    name = settings.stripe_event_source_name
    return {**_OPERATORS_OWN, **os.environ, "STRIPE_EVENT_SOURCE_NAME": name}


def _document(settings: Settings) -> dict[str, Any]:
    try:
        return synthesised(settings.environment, variables_of(settings))
    except InfraError as error:
        raise OperatorError(str(error), usage=True) from error


@cache
def shipped(environment: str, variables: tuple[tuple[str, str], ...] = ()) -> Stack:
    """Synthesise an environment as its files say, with some settings replaced by their variables.

    Other variables of the process change nothing.
    """
    environ = {**_OPERATORS_OWN, **dict(variables)}
    return of(synthesised(environment, environ), infra_settings.load(environment, environ=environ))


def of(document: Mapping[str, Any], settings: Settings) -> Stack:
    """Read a `cdk.tf.json`."""
    resources: Mapping[str, Mapping[str, Any]] = document["resource"]

    def every(kind: str) -> list[Mapping[str, Any]]:
        return list(resources.get(kind, {}).values())

    functions = every("aws_lambda_function")
    asynchronous = {each["function_name"]: each for each in every("aws_lambda_function_event_invoke_config")}
    expiry = max(int(each[_EXPIRY]) for each in map(_variables, functions) if _EXPIRY in each)
    (table,) = every("aws_dynamodb_table")
    (source,) = every("aws_lambda_event_source_mapping")
    return Stack(
        settings=settings,
        functions={
            _family(each, settings): _function(
                each, asynchronous[f"${{aws_lambda_function.{key}.function_name}}"]
            )
            for key, each in resources["aws_lambda_function"].items()
        },
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


def _function(function: Mapping[str, Any], asynchronous: Mapping[str, Any]) -> Function:
    return Function(
        memory_mb=function["memory_size"],
        architecture=function["architectures"][0],
        reserved=function["reserved_concurrent_executions"],
        timeout_seconds=function["timeout"],
        retries=asynchronous["maximum_retry_attempts"],
        event_age_seconds=asynchronous["maximum_event_age_in_seconds"],
        variables=_variables(function),
    )


def _variables(function: Mapping[str, Any]) -> Mapping[str, str]:
    variables: Mapping[str, str] = function.get("environment", {}).get("variables", {})
    return variables
