"""The settings of one Lambda function."""

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from functions.shared import names

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]

# What Terraform would replace by a value.
_TEMPLATE_SIGNS: Final = ("${", "%{")
# The largest whole number that every AWS API takes; larger ones lose digits in a synthesised file.
_LARGEST: Final = 2**31 - 1
# Lambda's own maximum.
_LAMBDA_SECONDS: Final = 900
# A killed handler's record of its event stays in progress until its time-out. Lambda, "How Lambda handles
# errors and retries with asynchronous invocation": it waits one minute before the first retry, two before
# the second. A retry that finds the record in progress is wasted.
_FIRST_RETRY_SECONDS: Final = 60
# What must fit into a handler's time for a second call of the API, where the first was refused within the
# 4 s that are left: the longest call (functions.pipeline.api), and writing down how it ended
# (functions.shared.retry). With less each transient failure would wait for Lambda's retry.
LONGEST_CALL_SECONDS: Final = 18
RECORD_SECONDS: Final = 4
_QUICK_REFUSAL_SECONDS: Final = 4
_HANDLER_SECONDS: Final = LONGEST_CALL_SECONDS + RECORD_SECONDS + _QUICK_REFUSAL_SECONDS
# A reconciliation begins nothing in its last minute (functions.reconciliation.run); with twice that it has a
# minute for work.
RECONCILIATION_RESERVE_SECONDS: Final = 60
_RECONCILIATION_SECONDS: Final = 2 * RECONCILIATION_RESERVE_SECONDS
# One lane for each handler and one for all else (infra.patterns), each with one batch in flight. AWS Lambda,
# "Configuring scaling behavior for SQS event source mappings": a function takes at least as many at once as
# its mapping, or batches are throttled, and a throttled one counts as a receive.
_AUDIT_LANES: Final = len(names.HANDLERS) + 1


class Frozen(BaseModel):
    """A table of settings: nothing unknown in it, nothing converted, nothing changed later."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @field_validator("*", mode="before")
    @classmethod
    def _can_be_synthesised(cls, value: Any) -> Any:
        for each in value if isinstance(value, list | tuple) else (value,):
            if isinstance(each, str) and any(sign in each for sign in _TEMPLATE_SIGNS):
                raise ValueError("would be a template of Terraform")
            if isinstance(each, str) and not each.isprintable():
                raise ValueError("has a character in it that can't be printed")
            if isinstance(each, int) and abs(each) > _LARGEST:
                raise ValueError(f"is beyond {_LARGEST}")
        return value


def _memory(default: int) -> Any:
    return Field(
        default,
        ge=128,
        le=10240,
        description="Memory in MiB; the CPU share grows with it",
        examples=[default],
    )


def _timeout(default: int, *, least: int = 3, most: int = _LAMBDA_SECONDS, why: str = "") -> Any:
    return Field(default, ge=least, le=most, description=f"Time-out in seconds{why}", examples=[default])


def _enough_for_the_lanes(value: int) -> int:
    if 0 <= value < _AUDIT_LANES:
        raise ValueError(
            f"is less than the {_AUDIT_LANES} lanes of the audit queue: good events would be throttled into "
            "its dead-letter queue"
        )
    return value


class UntimedSettings(Frozen):
    """How a function runs whose time-out follows from other settings."""

    memory_mb: int = _memory(256)
    reserved_concurrency: int = Field(
        -1,
        ge=-1,
        description="Executions at once; -1 reserves none and sets no limit. 0 puts every event into the "
        "dead-letter queue at once: to stop a function, use `huntaze-stripe pause`",
        examples=[20],
    )
    log_level: LogLevel = Field("INFO", description="Least severe level that is logged")


class FunctionSettings(UntimedSettings):
    """How one Lambda function runs. What a table leaves out has the function's own default."""

    timeout_seconds: int = _timeout(30)


class HandlerSettings(FunctionSettings):
    """The payments and billing functions, which Lambda invokes anew with an event that failed."""

    timeout_seconds: int = _timeout(
        30,
        least=_HANDLER_SECONDS,
        most=_FIRST_RETRY_SECONDS,
        why=f"; at least {_HANDLER_SECONDS}, in which a second call of the API and its record fit; at most "
        f"{_FIRST_RETRY_SECONDS}: the event of a killed handler stays in progress so long, and Lambda's "
        "first retry comes after a minute",
    )


class AuditSettings(FunctionSettings):
    """The audit function writes batches to S3 and PostgreSQL."""

    memory_mb: int = _memory(512)
    timeout_seconds: int = _timeout(60)
    reserved_concurrency: Annotated[int, AfterValidator(_enough_for_the_lanes)] = Field(
        -1,
        ge=-1,
        description=f"Executions at once, {_AUDIT_LANES} or more; -1 reserves none and sets no limit",
        examples=[10],
    )


class RedriveSettings(UntimedSettings):
    """The redrive function, which works from one scheduled run to the next where there is enough to do."""

    memory_mb: int = _memory(512)

    def lasting(self, seconds: int) -> FunctionSettings:
        """Return the settings with the function's time-out."""
        return FunctionSettings(timeout_seconds=seconds, **self.model_dump())


class ReconciliationSettings(FunctionSettings):
    """The reconcile function reads pages of Stripe's list and the ledger's objects."""

    memory_mb: int = _memory(512)
    timeout_seconds: int = _timeout(
        300,
        least=_RECONCILIATION_SECONDS,
        why=f"; at least {_RECONCILIATION_SECONDS}: a run begins nothing in its last minute",
    )
