"""Fuzz both handlers and the audit function at once: one embedded AWS for all, one process for each."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from functions.shared import names
from ops import DEFAULT_ENVIRONMENT, ROOT
from ops.chaos.fuzz.audit import AUDIT
from ops.chaos.verdict import Violation
from ops.errors import OperatorError
from ops.local.clients import Aws
from ops.local.postgres import running_postgres
from ops.local.services import REGION, isolated_environment, running_emulator

FUZZED: Final = (*names.HANDLERS, AUDIT)
TABLE: Final = "fuzz"
BUCKET: Final = "fuzz"
SECONDS_OF_AN_HOUR: Final = "3600"
# How much of an envelope that broke a promise is shown.
SHOWN_CHARACTERS: Final = 2000


@dataclass(frozen=True)
class Fuzzed:
    """The results of one handler: the count of each outcome, and the broken promise if there is one."""

    handler: str
    outcomes: Mapping[str, int]
    what: str = ""
    envelope: str = field(default="", repr=False)

    @property
    def violations(self) -> tuple[Violation, ...]:
        """The broken promise with the smallest envelope that breaks it."""
        if not self.what:
            return ()
        return (Violation("fuzz", self.handler, "", f"{self.what}: {self.envelope[:SHOWN_CHARACTERS]}"),)


def fuzz(folder: Path, seed: int, examples: int, progress: Callable[[int], None]) -> tuple[Fuzzed, ...]:
    """Try `examples` envelopes, with each function a third of them, rounded up.

    Parameters
    ----------
    folder
        Where the embedded AWS and the handlers write.
    progress
        Called with the number of envelopes tried so far.

    Raises
    ------
    OperatorError
        A process ends without a result; the message is its last line.
    """
    done = dict.fromkeys(FUZZED, 0)

    def advance(handler: str, count: int) -> None:
        done[handler] = count
        progress(sum(done.values()))

    with (
        running_emulator(folder / "aws") as url,
        running_postgres(folder / "postgres") as database_url,
        ExitStack() as processes,
    ):
        aws = Aws(url, REGION)
        aws.client("dynamodb").create_table(
            TableName=TABLE,
            AttributeDefinitions=[{"AttributeName": names.IDEMPOTENCY_KEY_ATTRIBUTE, "AttributeType": "S"}],
            KeySchema=[{"AttributeName": names.IDEMPOTENCY_KEY_ATTRIBUTE, "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        )
        aws.client("s3").create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        share = -(-examples // len(FUZZED))
        environments = {handler: _environment(folder, aws, handler) for handler in names.HANDLERS}
        environments[AUDIT] = _environment(folder, aws, AUDIT) | {names.DATABASE_URL: database_url}
        started = [
            (handler, processes.enter_context(_start(handler, environment, seed, share)))
            for handler, environment in environments.items()
        ]
        with ThreadPoolExecutor(len(FUZZED)) as pool:
            running = [pool.submit(_follow, *one, share, advance) for one in started]
            try:
                return tuple(one.result() for one in running)
            finally:
                # An interrupt does not wait for the remaining examples.
                for _, process in started:
                    process.kill()


def _environment(folder: Path, aws: Aws, handler: str) -> dict[str, str]:
    sqs = aws.client("sqs")
    if handler == AUDIT:
        fifo = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
        queue = sqs.create_queue(QueueName=f"fuzz-{handler}.fifo", Attributes=fifo)["QueueUrl"]
    else:
        queue = sqs.create_queue(QueueName=f"fuzz-{handler}")["QueueUrl"]
    return isolated_environment(folder) | {
        "AWS_ENDPOINT_URL": aws.url,
        names.ENVIRONMENT: DEFAULT_ENVIRONMENT,
        names.LIVEMODE: "false",
        names.SECRET_IDS: "none",
        names.IDEMPOTENCY_TABLE: TABLE,
        names.IDEMPOTENCY_EXPIRY_SECONDS: SECONDS_OF_AN_HOUR,
        names.DEAD_LETTER_QUEUE_URL: queue,
        names.LEDGER_BUCKET: BUCKET,
        names.ORDER: names.WATERMARK,
        names.STRIPE_READS_PER_SECOND: "20",
        "POWERTOOLS_METRICS_NAMESPACE": names.METRICS_NAMESPACE,
        "POWERTOOLS_SERVICE_NAME": handler,
        "POWERTOOLS_LOG_LEVEL": "DEBUG",
    }


def _start(handler: str, environment: Mapping[str, str], seed: int, examples: int) -> subprocess.Popen[str]:
    command = ["-m", "ops.chaos.fuzz", handler, "--examples", str(examples), "--seed", str(seed)]
    return subprocess.Popen(
        [sys.executable, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
        env=dict(environment),
    )


def _follow(
    handler: str, process: subprocess.Popen[str], examples: int, advance: Callable[[str, int], None]
) -> Fuzzed:
    """Read what a process writes until it ends."""
    assert process.stdout is not None
    assert process.stderr is not None
    last: dict[str, Any] = {}
    for line in process.stdout:
        last = json.loads(line)
        advance(handler, last.get("done", examples))
    errors = process.stderr.read().strip().splitlines() or ["it wrote nothing"]
    if "outcomes" not in last:
        raise OperatorError(f"fuzzing {handler} failed: {errors[-1]}")
    return Fuzzed(handler, last["outcomes"], last.get("what", ""), last.get("envelope", ""))
