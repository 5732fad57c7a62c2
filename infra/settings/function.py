"""The settings of one Lambda function."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


class Frozen(BaseModel):
    """A table of settings: nothing unknown in it, nothing converted, nothing changed later."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class FunctionSettings(Frozen):
    """How one Lambda function runs."""

    memory_mb: int = Field(
        256, ge=128, le=10240, description="Memory in MiB; the CPU share grows with it", examples=[256]
    )
    timeout_seconds: int = Field(30, ge=3, le=900, description="Time-out in seconds", examples=[30])
    reserved_concurrency: int = Field(
        -1,
        ge=-1,
        description="Executions at once; -1 reserves none and sets no limit, 0 stops the function",
        examples=[20],
    )
    log_level: LogLevel = Field("INFO", description="Least severe level that is logged")
