"""What a batch of ten events takes in the audit function, to S3 alone and to PostgreSQL as well.

PostgreSQL is real; S3 accepts every object (`bench.endpoint`). The function is the shipped bundle's, in a
process of its own.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any, Final
from urllib.parse import urlsplit

import psycopg

from bench import path, report, wire
from bench.endpoint import KEYS_ARN, PUT_OBJECT, Endpoint
from bench.function import Function, Usage
from functions.ledger.postgres import TABLE, migrate
from functions.shared import names
from ops.local.loopback import LOOPBACK
from ops.local.postgres import running_postgres
from ops.progress import Steps

S3, POSTGRES, POISON = "S3", "S3 and PostgreSQL", "S3 and PostgreSQL, one row refused"
# The batch size of the queue's mapping.
ROWS: Final = 10
# Interleaved rounds, and batches after the first in each: enough that the clock's steps do not matter.
ROUNDS: Final = 3
BATCHES: Final = 60
# Batches in which calls and instructions are counted.
COUNTED: Final = 5
# No text in PostgreSQL can hold it.
UNSTORABLE: Final = "\x00"


def measure(steps: Steps, folder: Path, endpoint: Endpoint) -> report.Audit:
    """Measure the audit function.

    Raises
    ------
    OperatorError
        The bundle can't be built, or PostgreSQL does not start.
    RuntimeError
        A batch was not stored.
    """
    counts: Counter[str] = Counter()
    task = path.unpacked("audit", folder)
    with running_postgres(folder / "postgres") as url, psycopg.connect(url, autocommit=True) as database:
        migrate(database)
        with wire.running_relay(urlsplit(url).port or 0, counts) as port:
            functions = deployed(task, endpoint, url, port)
            with steps.step("time the audit function") as step:
                usage: dict[str, list[tuple[Usage, Usage]]] = {name: [] for name in functions}
                for number in range(1, ROUNDS + 1):
                    for name, function in functions.items():
                        usage[name].append(_round(name, function, database))
                    step.advance_to(number, ROUNDS)
            with steps.step("count what the audit function does"):
                calls = {
                    name: counted_calls(name, each, endpoint, counts) for name, each in functions.items()
                }
                instructions = _instructions(functions, database)
    return report.Audit(
        first={name: _first(usage[name], instructions.get(name)) for name in (S3, POSTGRES)},
        further={name: _further(usage[name], instructions.get(name), calls[name]) for name in functions},
    )


def deployed(task: Path, endpoint: Endpoint, url: str, port: int | None = None) -> Mapping[str, Function]:
    """Return the function, by where it writes.

    Parameters
    ----------
    url
        Of PostgreSQL.
    port
        Of a relay to it; None for none.
    """
    parts = urlsplit(url)
    # The relay reads what passes, so nothing is encrypted, as nothing is by default on loopback.
    relayed = parts._replace(
        netloc=f"{parts.username}:{parts.password}@{LOOPBACK}:{port or parts.port}",
        query="sslmode=disable&gssencmode=disable",
    )
    with_database = f"{KEYS_ARN}-database"
    endpoint.secrets[with_database] = {names.DATABASE_URL: relayed.geturl()}
    alone = path.function("functions.audit", task, endpoint, "audit")
    variables = {
        **alone.environment,
        names.LEDGER_BUCKET: "huntaze-stripe-ledger-bench",
        # By its address: botocore puts the bucket's name before the name of a host.
        "AWS_ENDPOINT_URL_S3": endpoint.url.replace("localhost", LOOPBACK),
    }
    stored: dict[str, list[str]] = {"batchItemFailures": []}
    alone = replace(alone, environment=variables, success=stored)
    both = replace(alone, environment={**variables, names.SECRET_IDS: with_database})
    return {S3: alone, POSTGRES: both, POISON: both}


def batches(name: str, count: int) -> list[dict[str, Any]]:
    """Return batches as Lambda reads them from the queue, each event and delivery with ids of its own."""
    made = path.events(path.TIMED_KIND, count * ROWS)
    if name == POISON:
        for envelope in made[ROWS // 2 :: ROWS]:
            envelope["detail"]["data"]["object"]["description"] = UNSTORABLE
    messages = [
        {
            "messageId": f"00000000-0000-4000-9000-{number:012}",
            "body": json.dumps(envelope, separators=(",", ":"), ensure_ascii=False),
            "attributes": {"SentTimestamp": str(1_790_000_000_000 + number), "MessageGroupId": "payments"},
            "eventSource": "aws:sqs",
        }
        for number, envelope in enumerate(made)
    ]
    return [{"Records": messages[first : first + ROWS]} for first in range(0, len(messages), ROWS)]


def _round(name: str, function: Function, database: psycopg.Connection) -> tuple[Usage, Usage]:
    """Return what one batch takes in a new process, and what it takes with further ones."""
    found = []
    for made in (batches(name, 1), batches(name, 1 + BATCHES)):
        _empty(database)
        found.append(function.run(made))
    return found[0], found[1]


def counted_calls(name: str, function: Function, endpoint: Endpoint, counts: Counter[str]) -> Counter[str]:
    """Return how often each thing is called in COUNTED further batches."""
    found = []
    for made in (batches(name, 1), batches(name, 1 + COUNTED)):
        endpoint.calls.clear()
        counts.clear()
        function.run(made)
        found.append(endpoint.calls + counts)
    found[1].subtract(found[0])
    return found[1]


def _instructions(
    functions: Mapping[str, Function], database: psycopg.Connection
) -> Mapping[str, Sequence[int]]:
    """Return the instructions of the first batch, from process start, and of COUNTED further ones."""
    if shutil.which("valgrind") is None:
        return {}
    _empty(database)
    with ThreadPoolExecutor(2) as pool:
        alone = pool.submit(_counted, functions[S3], S3)
        # One process for both kinds of batches: its start takes most of the time.
        both = pool.submit(_counted, functions[POSTGRES], POSTGRES, POISON)
        first, further = alone.result()
        start, stored, refused = both.result()
    return {S3: (first, further), POSTGRES: (start, stored), POISON: (start, refused)}


def _counted(function: Function, *kinds: str) -> Sequence[int]:
    """Count the first batch of the first kind, and then COUNTED further ones of each."""
    groups, place = [batches(kinds[0], 1)], 1
    for name in kinds:
        groups.append(batches(name, place + COUNTED)[place:])
        place += COUNTED
    return function.instructions(*groups)


def _empty(database: psycopg.Connection) -> None:
    database.execute(f"TRUNCATE {TABLE}")


def _first(usage: Sequence[tuple[Usage, Usage]], instructions: Sequence[int] | None) -> report.FirstBatch:
    return report.FirstBatch(
        instructions=instructions[0] if instructions else None,
        cpu_ms=round(median(first.cpu_ms for first, _ in usage), 1),
        peak_mb=round(median(first.peak_mb for first, _ in usage), 1),
    )


def _further(
    usage: Sequence[tuple[Usage, Usage]], instructions: Sequence[int] | None, calls: Counter[str]
) -> report.FurtherBatch:
    return report.FurtherBatch(
        rows=ROWS,
        instructions=round(instructions[1] / COUNTED) if instructions else None,
        cpu_ms=round(median((both.cpu_ms - first.cpu_ms) / BATCHES for first, both in usage), 2),
        objects=calls[PUT_OBJECT] / COUNTED,
        statements=calls[wire.STATEMENTS] / COUNTED,
        round_trips=calls[wire.ROUND_TRIPS] / COUNTED,
    )
