"""The kept measurement of a real outage: ops/simulation/measured.json."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, NonNegativeFloat, PositiveFloat, PositiveInt, ValidationError

from ops import ROOT
from ops.errors import OperatorError

FILE: Final = ROOT / "ops" / "simulation" / "measured.json"


class Experiment(BaseModel):
    """An outage that was played on the embedded AWS, and what was observed.

    Parameters
    ----------
    settings
        Environment variables of settings that override those of `dev`.
    retry_seconds
        Wait before Lambda's first retry, which the embedded AWS shortens; the next is twice as long.
    events
        By handler.
    sending_seconds
        From the first event to the last.
    failed_ms
        Mean duration of an invocation that found the API down.
    filling_seconds
        From the first event until the dead-letter queues held all.
    recovery_seconds
        From the API's return until the dead-letter queues were empty.
    depths
        Messages in the handlers' dead-letter queues, by seconds since the first event.
    returned_seconds
        When the API returned, in seconds since the first event.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    date: date
    how: str
    settings: Mapping[str, str]
    retry_seconds: PositiveFloat
    events: Mapping[str, PositiveInt]
    sending_seconds: NonNegativeFloat
    failed_ms: Mapping[str, PositiveFloat]
    filling_seconds: PositiveFloat
    returned_seconds: PositiveFloat
    recovery_seconds: PositiveFloat
    depths: tuple[tuple[NonNegativeFloat, int], ...]


def read(path: Path = FILE) -> Experiment:
    """Read a measurement.

    Raises
    ------
    OperatorError
        The file can't be read, or holds none.
    """
    try:
        return Experiment.model_validate_json(path.read_bytes())
    except OSError as error:
        raise OperatorError(f"can't read {path} ({error.strerror}): run `simulate --measure`") from error
    except ValidationError as error:
        raise OperatorError(f"{path} holds no measurement: run `simulate --measure`") from error


def write(experiment: Experiment, path: Path = FILE) -> None:
    """Keep a measurement."""
    path.write_text(experiment.model_dump_json(indent=2) + "\n", encoding="utf-8")
