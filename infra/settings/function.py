"""The settings of one Lambda function."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


class Frozen(BaseModel):
    """A table of settings: nothing unknown in it, nothing converted, nothing changed later."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _memory(default: int) -> Any:
    return Field(
        default,
        ge=128,
        le=10240,
        description="Memory in MiB; the CPU share grows with it",
        examples=[default],
    )


def _timeout(default: int) -> Any:
    return Field(default, ge=3, le=900, description="Time-out in seconds", examples=[default])


class FunctionSettings(Frozen):
    """How one Lambda function runs. What a table leaves out has the function's own default."""

    memory_mb: int = _memory(256)
    timeout_seconds: int = _timeout(30)
    reserved_concurrency: int = Field(
        -1,
        ge=-1,
        description="Executions at once; -1 reserves none and sets no limit, 0 stops the function",
        examples=[20],
    )
    log_level: LogLevel = Field("INFO", description="Least severe level that is logged")


class AuditSettings(FunctionSettings):
    """The audit function writes batches to S3 and PostgreSQL."""

    memory_mb: int = _memory(512)
    timeout_seconds: int = _timeout(60)


class RedriveSettings(FunctionSettings):
    """The redrive function hands back as many events as its time allows."""

    timeout_seconds: int = _timeout(240)


class ReconciliationSettings(FunctionSettings):
    """The reconcile function reads pages of Stripe's list and the ledger's objects."""

    memory_mb: int = _memory(512)
    timeout_seconds: int = _timeout(300)
