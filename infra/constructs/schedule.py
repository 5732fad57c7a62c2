"""A scheduled function: EventBridge Scheduler invokes it at a fixed rate."""

from dataclasses import replace
from typing import Final

from cdktf_cdktf_provider_aws.iam_role import IamRole
from cdktf_cdktf_provider_aws.iam_role_policy import IamRolePolicy
from cdktf_cdktf_provider_aws.scheduler_schedule import (
    SchedulerSchedule,
    SchedulerScheduleFlexibleTimeWindow,
    SchedulerScheduleTarget,
    SchedulerScheduleTargetRetryPolicy,
)
from constructs import Construct

from infra.policy import Statement, document, trust
from infra.resources.account import Account
from infra.resources.base import Capability
from infra.resources.function import FunctionProps, PipelineFunction
from infra.resources.metrics import Metric
from infra.resources.suppression import suppress

_HOUR_SECONDS: Final = 3600
# Retries of a run that could not start; the next run does the same work anyway.
_START_RETRIES: Final = 2
# EventBridge Scheduler starts a run within the minute that its schedule names ("Schedule types").
PRECISION_SECONDS: Final = 60
# Lambda keeps an asynchronous event for these times at least and at most (PutFunctionEventInvokeConfig).
_LEAST_AGE_SECONDS: Final = 60
_MOST_AGE_SECONDS: Final = 6 * _HOUR_SECONDS


class ScheduledFunction(Capability):
    """A handler module that Scheduler invokes every `minutes`.

    Each run continues where the last one ended, so a failed run is neither retried nor parked. Alarms report
    failed runs and missing runs.

    Parameters
    ----------
    id_
        Name of the handler module, for example reconcile.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        account: Account,
        minutes: int,
        props: FunctionProps,
    ) -> None:
        super().__init__(scope, id_)
        self.minutes = minutes
        # A run that could not start until the next one is due is dropped: the next one does its work.
        age_seconds = min(_MOST_AGE_SECONDS, max(_LEAST_AGE_SECONDS, minutes * 60))
        self.function = PipelineFunction(
            self,
            f"{id_}_function",
            account=account,
            family=id_,
            props=replace(props, platform=replace(props.platform, max_event_age_seconds=age_seconds)),
            on_failure=None,
        )
        name = account.name(f"{id_}-schedule")
        role = self.add(
            IamRole,
            "schedule_role",
            name=name,
            assume_role_policy=trust("scheduler.amazonaws.com", for_account=account.id),
            permissions_boundary=account.permissions_boundary,
        )
        self.add(
            IamRolePolicy,
            "schedule_role_policy",
            name=name,
            role=role.id,
            policy=document(Statement("InvokeFunction", ["lambda:InvokeFunction"], [self.function.arn])),
        )
        schedule = self.add(
            SchedulerSchedule,
            "schedule",
            name=name,
            description=f"Runs the {id_} function",
            schedule_expression=f"rate({minutes} minute{'s' if minutes > 1 else ''})",
            flexible_time_window=SchedulerScheduleFlexibleTimeWindow(mode="OFF"),
            target=SchedulerScheduleTarget(
                arn=self.function.arn,
                role_arn=role.arn,
                input="{}",
                retry_policy=SchedulerScheduleTargetRetryPolicy(
                    maximum_event_age_in_seconds=age_seconds, maximum_retry_attempts=_START_RETRIES
                ),
            ),
        )
        suppress(schedule, "CKV_AWS_297", 'its input is "{}": nothing to encrypt')

    def metric_runs(self) -> Metric:
        """Runs in a period in which three were due."""
        return self.function.metric_invocations().over(period=self._period())

    def metric_failed_runs(self) -> Metric:
        """Runs that failed in the same period."""
        return self.function.metric_errors().over(period=self._period())

    def _period(self) -> int:
        """Seconds of three runs, rounded up to whole hours."""
        return max(_HOUR_SECONDS, -(-3 * self.minutes * 60 // _HOUR_SECONDS) * _HOUR_SECONDS)
