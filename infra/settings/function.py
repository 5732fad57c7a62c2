"""The settings of one Lambda function."""

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from functions.shared import names

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]

# What Terraform would replace with a value.
_TEMPLATE_SIGNS: Final = ("${", "%{")
# The largest integer of every AWS API; larger ones lose digits in a synthesised file.
_LARGEST: Final = 2**31 - 1
# Lambda's own maximum.
_LAMBDA_SECONDS: Final = 900
# A killed handler's record of its event stays in progress until its timeout, and a retry that finds the
# record in progress is wasted. Lambda waits one minute before the first retry, two before the second (AWS
# Lambda, "How Lambda handles errors and retries with asynchronous invocation").
FIRST_RETRY_SECONDS: Final = 60
# A handler's timeout leaves time for a second API call if the first was rejected within 4 s: for the longest
# call (functions.pipeline.api), and for recording its outcome (functions.shared.retry). With less, each
# transient failure would wait for Lambda's retry.
LONGEST_CALL_SECONDS: Final = 18
RECORD_SECONDS: Final = 4
_QUICK_REFUSAL_SECONDS: Final = 4
_HANDLER_SECONDS: Final = LONGEST_CALL_SECONDS + RECORD_SECONDS + _QUICK_REFUSAL_SECONDS
# A run starts no work in its last minute (functions.reconciliation.run), so two leave one for work.
RECONCILIATION_RESERVE_SECONDS: Final = 60
_RECONCILIATION_SECONDS: Final = 2 * RECONCILIATION_RESERVE_SECONDS
# The same holds for the compaction (functions.compaction.run).
COMPACTION_RESERVE_SECONDS: Final = 60
_COMPACTION_SECONDS: Final = 2 * COMPACTION_RESERVE_SECONDS
# One message group for each handler and one for all other events (infra.patterns), each with one batch in
# flight. With less concurrency Lambda throttles batches, and a throttled batch counts as a receive (AWS
# Lambda, "Configuring scaling behavior for SQS event source mappings").
_AUDIT_GROUPS: Final = len(names.HANDLERS) + 1


class Frozen(BaseModel):
    """A table of settings, without unknown ones; nothing is converted, and nothing changes later."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @field_validator("*", mode="before")
    @classmethod
    def _can_be_synthesised(cls, value: Any) -> Any:
        for each in value if isinstance(value, list | tuple) else (value,):
            if isinstance(each, str) and any(sign in each for sign in _TEMPLATE_SIGNS):
                raise ValueError("contains a Terraform template")
            if isinstance(each, str) and not each.isprintable():
                raise ValueError("contains a character that cannot be printed")
            if isinstance(each, int) and abs(each) > _LARGEST:
                raise ValueError(f"must be between -{_LARGEST} and {_LARGEST}")
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
    return Field(default, ge=least, le=most, description=f"Timeout in seconds{why}", examples=[default])


def _enough_for_the_groups(value: int) -> int:
    if 0 <= value < _AUDIT_GROUPS:
        raise ValueError(
            f"must be -1 or at least {_AUDIT_GROUPS}, one for each message group of the audit queue: with "
            "less, Lambda throttles good events into the dead-letter queue"
        )
    return value


class UntimedSettings(Frozen):
    """How a function runs whose timeout follows from other settings."""

    memory_mb: int = _memory(256)
    reserved_concurrency: int = Field(
        -1,
        ge=-1,
        description="Concurrent executions; -1 reserves none and sets no limit. To stop a function, use "
        "`huntaze-stripe pause`: with 0, every event of a handler goes to its dead-letter queue",
        examples=[20],
    )
    log_level: LogLevel = Field("INFO", description="Least severe level in the logs")


class FunctionSettings(UntimedSettings):
    """How one Lambda function runs; each function has its own defaults."""

    timeout_seconds: int = _timeout(30)


class HandlerSettings(FunctionSettings):
    """The payments and billing functions, which Lambda retries."""

    timeout_seconds: int = _timeout(
        30,
        least=_HANDLER_SECONDS,
        most=FIRST_RETRY_SECONDS,
        why=": enough for a second API call and its record, and no longer than a minute, after which "
        "Lambda's first retry finds the record of a killed handler in progress",
    )


class AuditSettings(FunctionSettings):
    """The audit function writes batches to S3 and PostgreSQL."""

    memory_mb: int = _memory(512)
    timeout_seconds: int = _timeout(60)
    reserved_concurrency: Annotated[int, AfterValidator(_enough_for_the_groups)] = Field(
        -1,
        ge=-1,
        description=f"Concurrent executions, {_AUDIT_GROUPS} or more; -1 reserves none and sets no limit",
        examples=[10],
    )


class RedriveSettings(UntimedSettings):
    """The redrive function; a run may last until the next one begins."""

    memory_mb: int = _memory(512)

    def lasting(self, seconds: int) -> FunctionSettings:
        """The settings with a timeout in seconds."""
        return FunctionSettings(timeout_seconds=seconds, **self.model_dump())


class CompactionSettings(FunctionSettings):
    """The compact function, which reads a day's ledger objects and writes few."""

    memory_mb: int = _memory(512)
    timeout_seconds: int = _timeout(
        _LAMBDA_SECONDS,
        least=_COMPACTION_SECONDS,
        why=": a run begins no object in its last minute",
    )


class ReconciliationSettings(FunctionSettings):
    """The reconcile function, which reads Stripe's list of events and the ledger."""

    memory_mb: int = _memory(512)
    timeout_seconds: int = _timeout(
        300,
        least=_RECONCILIATION_SECONDS,
        why=": a run starts no work in its last minute",
    )
