"""`python -m bench.volume`: what commands take with 100,000 events in a day of the ledger, or in a queue.

An embedded AWS gets one ledger object for each event of a day, a handler's record for each, and a
dead-letter queue with as many messages; the reference Stripe API lists the events. Each piece of work runs in
a process of its own (`bench.counted`). The table is printed; nothing else is written, and Ctrl-C ends
everything.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

from bench import ledger_files
from bench.ledger_files import LedgerObject, ledger_object
from functions.pipeline.idempotency import record_key
from functions.pipeline.routing_table import ROUTES
from functions.shared import names
from ops import ROOT, signals
from ops.console import print_error, print_line
from ops.dlq import queues
from ops.local.clients import Aws
from ops.local.services import REGION, isolated_environment, running_emulator
from ops.reference.stripe import ReferenceStripe

COUNT: Final = 100_000
ACCOUNT: Final = "000000000000"
STRIPE_KEY: Final = "sk_test_volume"
SOURCE: Final = "aws.partner/stripe.com/ed_test_volume"
EVENT_TYPE: Final = "invoice.paid"
SAMPLE: Final = ROOT / "ops" / "local" / "events" / "current" / f"{EVENT_TYPE}.json"
LEDGER: Final = "ledger"
QUEUE: Final = "queue"
BUCKET: Final = f"huntaze-stripe-ledger-dev-{ACCOUNT}"
# How long after its creation an event is in the audit queue.
AUDIT_MILLISECONDS: Final = 900
WRITERS: Final = 8
# Items of BatchWriteItem, and entries of SendMessageBatch.
ITEMS, ENTRIES = 25, 10
DAY_SECONDS: Final = 24 * 3600


@dataclass(frozen=True)
class World:
    """An account with the stores of the environment dev, and one day of events."""

    aws: Aws
    stripe: ReferenceStripe
    folder: Path
    day: datetime
    count: int
    parts: Sequence[str]
    brief: bool
    compacted: bool

    @property
    def variables(self) -> dict[str, str]:
        """What a command and the function find in their environment."""
        return isolated_environment(self.folder) | {
            "AWS_ENDPOINT_URL": self.aws.url,
            "STRIPE_API_URL": self.stripe.url,
            "STRIPE_EVENT_SOURCE_NAME": SOURCE,
            names.STRIPE_SECRET_KEY: STRIPE_KEY,
            names.LEDGER_BUCKET: BUCKET,
            names.IDEMPOTENCY_TABLE: _resource("idempotency"),
            names.ENVIRONMENT: "dev",
            "POWERTOOLS_SERVICE_NAME": "compact",
        }

    def fill(self) -> None:
        """Write everything but the ledger's objects."""
        envelopes = [self.envelope(number) for number in range(self.count)]
        self.stripe.add_events(*(each["detail"] for each in envelopes))
        if LEDGER in self.parts:
            self._at_once(self._handle, _parts(envelopes, ITEMS))
        if QUEUE in self.parts:
            self._at_once(self._park, _parts(envelopes, ENTRIES))

    def objects(self) -> Iterator[LedgerObject]:
        """Yield the ledger's object of each event."""
        for number in range(self.count):
            envelope = self.envelope(number)
            yield ledger_object(envelope, envelope["detail"]["created"] * 1000 + AUDIT_MILLISECONDS)

    def written(self) -> Iterator[LedgerObject]:
        """Yield what the ledger holds."""
        return ledger_files.compacted(self.objects()) if self.compacted else self.objects()

    def create(self, first: LedgerObject) -> None:
        """Create the stores, and put the ledger's first object."""
        s3, bucket = self.aws.client("s3"), self.variables[names.LEDGER_BUCKET]
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        s3.put_object(Bucket=bucket, Key=first.key, Body=first.body)
        self.aws.client("dynamodb").create_table(
            TableName=_resource("idempotency"),
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        )
        for name in queues.NAMES:
            fifo = {"FifoQueue": "true"} if name.endswith(queues.FIFO) else {}
            full = _resource(name.removesuffix(queues.FIFO)) + (queues.FIFO if fifo else "")
            self.aws.client("sqs").create_queue(
                QueueName=full, Attributes={"MaximumMessageSize": str(names.EVENT_BYTES), **fifo}
            )

    def envelope(self, number: int) -> dict[str, Any]:
        sample = _sample()
        created = self.day + timedelta(seconds=number * DAY_SECONDS / self.count)
        event_id = f"evt_volume{number:08}"
        detail = {**sample["detail"], "id": event_id, "created": int(created.timestamp())}
        id_ = f"00000000-0000-4000-8000-{number:012}"
        return {**sample, "id": id_, "time": created.strftime("%Y-%m-%dT%H:%M:%SZ"), "detail": detail}

    def _client(self, service: str) -> Any:
        return _client(self.aws, service)

    def _at_once(self, write: Callable[[Any], None], each: Sequence[Any]) -> None:
        with ThreadPoolExecutor(WRITERS) as pool:
            for _ in pool.map(write, each):
                pass

    def _handle(self, envelopes: Sequence[dict[str, Any]]) -> None:
        expires = str(int(time.time()) + 30 * DAY_SECONDS)
        items = [
            {
                "id": {"S": record_key(ROUTES[EVENT_TYPE].handler, each["detail"]["id"])},
                "status": {"S": "COMPLETED"},
                "expiration": {"N": expires},
            }
            for each in envelopes
        ]
        wanted = {_resource("idempotency"): [{"PutRequest": {"Item": item}} for item in items]}
        self._client("dynamodb").batch_write_item(RequestItems=wanted)

    def _park(self, envelopes: Sequence[dict[str, Any]]) -> None:
        sqs = self._client("sqs")
        url = sqs.get_queue_url(QueueName=_resource("billing-dlq"))["QueueUrl"]
        failed = {"responsePayload": {"errorType": "TransientError", "errorMessage": "the API answered 503"}}
        bodies = [json.dumps({"requestPayload": each, **failed}) for each in envelopes]
        entries = [{"Id": str(number), "MessageBody": body} for number, body in enumerate(bodies)]
        sqs.send_message_batch(QueueUrl=url, Entries=entries)


def work(world: World) -> Iterator[tuple[str, list[str]]]:
    """Yield what is measured, in order: a title, and the arguments of `bench.counted`."""
    since, until = world.day.isoformat(), (world.day + timedelta(days=1)).isoformat()
    window = ["--since", since, "--until", until]
    if QUEUE in world.parts:
        yield "`dlq list`", ["dlq", "list", "--json"]
    times = ("after",) if world.compacted else ("before", "after")
    for when in times if LEDGER in world.parts else ():
        yield f"`reconcile` of the day, {when}", ["reconcile", *window, "--json"]
        if when == "after" or not world.brief:
            yield f"`replay start`'s forecast of the day, {when}", ["forecast", since, until]
        if when == "before":
            yield "a run of the compaction", ["compact"]


def measured(world: World, arguments: Sequence[str]) -> dict[str, Any]:
    """Do a piece of work in a process of its own."""
    file = world.folder / "counted.json"
    file.unlink(missing_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", "bench.counted", str(file), *arguments],
        env=world.variables,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        check=False,
    )
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    if done.returncode:
        print_error(f"{' '.join(arguments)} ended with {done.returncode}")
    return found


def row(title: str, found: Mapping[str, Any]) -> str:
    """Return a row of the table."""
    calls = ", ".join(f"{count:,} {name}" for name, count in found["calls"].items())
    return (
        f"| {title} | {found['seconds']:,.0f} | {found['cpu_seconds']:,.0f} | {found['peak_mb']} | {calls} |"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    signals.raise_exceptions()
    parser = argparse.ArgumentParser(prog="python -m bench.volume", description=__doc__)
    parser.add_argument("--count", type=int, default=COUNT, help="events (default: %(default)s)")
    parser.add_argument(
        "--only", choices=(LEDGER, QUEUE), help="fill and measure only the ledger, or only the queue"
    )
    parser.add_argument(
        "--brief",
        action="store_true",
        help="leave out the forecast before the compaction: it reads what reconcile reads",
    )
    parser.add_argument(
        "--compacted",
        action="store_true",
        help="write the ledger as the compaction leaves a day, and measure what comes after it",
    )
    options = parser.parse_args(arguments)
    parts = (options.only,) if options.only else (QUEUE, LEDGER)
    # A day that is over, whatever the hour, and that Stripe still lists.
    day = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=2)
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as made, ReferenceStripe(STRIPE_KEY) as stripe:
        folder = Path(made)

        def world(url: str) -> World:
            return World(
                Aws(url, REGION), stripe, folder, day, options.count, parts, options.brief, options.compacted
            )

        began = time.monotonic()
        with running_emulator(folder / "aws") as url:
            objects = world(url).written()
            first = next(objects)
            world(url).create(first)
        if LEDGER in parts:
            ledger_files.write(folder / "aws", BUCKET, first, objects)
        with running_emulator(folder / "aws") as url:
            filled = world(url)
            filled.fill()
            print_line(f"filled in {time.monotonic() - began:.0f} s")
            print_line("| Work | Seconds | CPU seconds | Peak MB | Calls |")
            print_line("|---|---|---|---|---|")
            for title, asked in work(filled):
                print_line(row(title, measured(filled, asked)))
    return 0


def _resource(part: str) -> str:
    return f"huntaze-stripe-{part}-dev"


def _parts(each: Sequence[Any], size: int) -> list[Sequence[Any]]:
    return [each[first : first + size] for first in range(0, len(each), size)]


@cache
def _client(aws: Aws, service: str) -> Any:
    return aws.client(service)


@cache
def _sample() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(SAMPLE.read_text(encoding="utf-8"))
    return found


if __name__ == "__main__":
    sys.exit(main())
