"""What events take, as a local run measured it: durations, sizes, and calls to AWS."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, NonNegativeFloat, PositiveFloat, PositiveInt, ValidationError

from ops import ROOT
from ops.errors import OperatorError

# Of the run that the documents' numbers rest on; `local` writes one into each report.
FILE: Final = ROOT / "ops" / "cost" / "measured.json"
# Where it is in a report of `local`.
SECTION: Final = "measured"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FunctionUse(_Frozen):
    """What the invocations of one function took, by Lambda's own report lines.

    Parameters
    ----------
    median_ms, p95_ms
        Duration of an invocation. The embedded AWS counts the start of an environment to its first one.
    log_bytes
        Of one invocation, on average.
    calls
        Calls to AWS of one invocation, by action: those for which a policy was evaluated. DynamoDB evaluates
        each item of a transaction.
    """

    invocations: PositiveInt
    median_ms: PositiveFloat
    p95_ms: PositiveFloat
    peak_mb: PositiveInt
    log_bytes: NonNegativeFloat
    calls: Mapping[str, float]


class Measured(_Frozen):
    """A measurement.

    Parameters
    ----------
    event_bytes, object_bytes, item_bytes
        Mean size of an envelope, and of what one event adds to the ledger and to the idempotency table.
    api_ms
        Median time that the API took to answer.
    """

    date: date
    how: str
    events: PositiveInt
    event_bytes: PositiveFloat
    item_bytes: NonNegativeFloat
    object_bytes: PositiveFloat
    api_ms: NonNegativeFloat
    functions: Mapping[str, FunctionUse]


@cache
def read(path: Path = FILE) -> Measured:
    """Read a measurement, or the one in the report of a local run.

    Raises
    ------
    OperatorError
        The file can't be read, or holds none.
    """
    try:
        document: Any = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(document, dict) and SECTION in document:
            document = document[SECTION]
        return Measured.model_validate(document)
    except OSError as error:
        raise OperatorError(f"can't read {path} ({error.strerror}): check --measured", usage=True) from error
    except (ValidationError, ValueError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else {"loc": (), "msg": "not JSON"}
        where = ".".join(map(str, first["loc"])) or "the file"
        raise OperatorError(
            f"invalid --measured {path}: {where}: {first['msg']}; use the build/local/report.json of a local "
            "run, or a file like ops/cost/measured.json",
            usage=True,
        ) from None
