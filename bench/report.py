"""What `make bench` found: the document `bench/report.json`, from which docs/performance.md is written."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from ops import ROOT

# The run's own file, and the committed one that the page is written from.
WRITTEN: Final = ROOT / "build" / "bench" / "report.json"
COMMITTED: Final = Path(__file__).with_name("report.json")
OURS, OBVIOUS, BARE = "ours", "obvious", "bare"
NODE, NODE_POWERTOOLS = "node", "node with Powertools"
SIDES: Final = (OURS, OBVIOUS, BARE, NODE, NODE_POWERTOOLS)


def today() -> str:
    """Return the day, in UTC, as an ISO date."""
    return datetime.now(UTC).date().isoformat()


class Document(BaseModel):
    """A part of the report."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Machine(Document):
    """Where the run was: what its times depend on, and its instructions do not."""

    cores: int
    system: str
    python: str
    node: str | None
    valgrind: str | None
    # Of the last minute, before and after the run: other work on the machine.
    load_before: float
    load_after: float


class Side(Document):
    """One way from an event to the API.

    Parameters
    ----------
    cold_instructions
        Process start to first event applied, in user-space instructions; None without valgrind.
    cold_cpu_ms, cold_ratio, peak_mb
        Medians of the interleaved runs of one event; the ratio is that of ours to this side in each round.
    warm_instructions
        An event's, by kind.
    warm_cpu_ms
        An event's CPU time.
    dynamodb_calls
        An event's calls of DynamoDB, by kind.
    zip_bytes
        Size of each deployment package.
    """

    cold_instructions: int | None = None
    cold_cpu_ms: float
    cold_ratio: float
    peak_mb: float
    warm_instructions: Mapping[str, int] = {}
    warm_cpu_ms: float
    dynamodb_calls: Mapping[str, float]
    zip_bytes: Mapping[str, int]


class Webhook(Document):
    """The application that Stripe's webhooks reach: CPU time of its process for an event."""

    cpu_ms: float
    zip_bytes: int


class Command(Document):
    """Seconds that a command takes, and the CPU seconds of it and of all that it starts: medians."""

    seconds: float
    cpu_seconds: float


class FirstBatch(Document):
    """From process start to the first batch that the audit function has stored."""

    instructions: int | None = None
    cpu_ms: float
    peak_mb: float


class FurtherBatch(Document):
    """One further batch of the audit function.

    Parameters
    ----------
    objects
        Calls of S3.
    statements, round_trips
        What PostgreSQL executed, and how often the function waited for it.
    """

    rows: int
    instructions: int | None = None
    cpu_ms: float
    objects: float
    statements: float
    round_trips: float


class Part(Document):
    """A part that may be measured alone.

    Parameters
    ----------
    day, load
        When it ended, and the load of the minute before.
    """

    day: str = Field(default_factory=today)
    load: float = Field(default_factory=lambda: round(os.getloadavg()[0], 1))


class Audit(Part):
    """The audit function, by where it writes."""

    first: Mapping[str, FirstBatch]
    further: Mapping[str, FurtherBatch]


class Memory(Part):
    """Resident memory in MB of one process of the payments function, by how many events it has applied."""

    resident_mb: Mapping[int, float]


class Frame(Document):
    """A call in a flame graph: how often it was found running, and the calls below it."""

    name: str
    samples: int
    below: tuple[Frame, ...] = ()


class Throughput(Part):
    """Events from the bus to the ledger on the embedded AWS.

    Parameters
    ----------
    seconds
        From the first event sent until each was accounted for.
    cpu_seconds, before_cpu_seconds
        By who used them, in that time and before it.
    calls
        What the functions did, as samples of their CPU time.
    """

    deliveries: int
    seconds: float
    cpu_seconds: Mapping[str, float]
    before_cpu_seconds: Mapping[str, float]
    calls: Frame


class Report(Document):
    """One run.

    Parameters
    ----------
    day
        When it was, as YYYY-MM-DD in UTC.
    seconds
        How long it took.
    peers
        A digest of the peers' programs, packages and interpreters.
    synth
        `main.py` for one environment, its bundles built before.
    install_seconds
        The steps of a set-up that install the locked packages, with empty caches.
    missing
        What was not measured, and why.
    """

    day: str
    seconds: float
    machine: Machine
    sides: Mapping[str, Side]
    peers: str = ""
    webhook: Webhook | None = None
    synth: Command | None = None
    install_seconds: float | None = None
    audit: Audit | None = None
    memory: Memory | None = None
    throughput: Throughput | None = None
    missing: tuple[str, ...] = ()


def read(path: Path = COMMITTED) -> Report:
    """Read a report.

    Raises
    ------
    OSError, pydantic.ValidationError
        It can't be read, or has another form.
    """
    return Report.model_validate_json(path.read_text(encoding="utf-8"))


def write(report: Report, path: Path) -> None:
    """Write a report."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(report.model_dump_json(indent=2) + "\n", encoding="utf-8")
