"""`python -m bench.path`: what the bundle takes from process start to its first event, and for each more.

User-space instructions are counted by callgrind, with a fixed hash seed and bytecode present: they repeat
whatever else the machine does. CPU time and peak memory are medians of interleaved runs.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.endpoint import Endpoint, running_endpoint
from functions.shared import names
from ops.bundles import build, host_target
from ops.bundles.interpreter import find_interpreter
from ops.emulator.runtime_packages import SDK, package_source
from ops.local.envelopes import SAMPLES

INVOKE: Final = Path(__file__).with_name("invoke.py")
# Events that are sent after the first: enough that a warm event's share of noise is small.
WARM_EVENTS: Final = 20
SUMMARY: Final = re.compile(r"^summary: (\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Kind:
    """One meaning of a repeat, with the sample that stands for it."""

    name: str
    handler: str
    sample: str


KINDS: Final = (
    Kind("each", "payments", "payment_intent.payment_failed"),
    Kind("once", "payments", "payment_intent.succeeded"),
    Kind("latest", "billing", "customer.subscription.updated"),
    Kind("end", "billing", "customer.subscription.deleted"),
)


@dataclass(frozen=True)
class Usage:
    """CPU time in milliseconds and peak resident memory in MB of a process."""

    cpu_ms: float
    peak_mb: float


@dataclass(frozen=True)
class Function:
    """A handler as Lambda runs it: a command that takes events as lines on standard input."""

    command: tuple[str, ...]
    environment: Mapping[str, str]

    def run(self, events: Sequence[Mapping[str, Any]], prefix: Sequence[str] = ()) -> Usage:
        """Run a process that handles the events one after the other.

        Raises
        ------
        RuntimeError
            It failed, or did not apply every event.
        """
        answers, of_function = os.pipe()
        with os.fdopen(answers) as reader:
            done = subprocess.run(
                [*prefix, *self.command, str(of_function)],
                input="".join(f"{json.dumps(event)}\n" for event in events).encode(),
                env=dict(self.environment),
                pass_fds=[of_function],
                capture_output=True,
                check=False,
            )
            os.close(of_function)
            answer = json.loads(reader.read() or "{}")
        if answer.get("outcomes") != ["applied"] * len(events):
            raise RuntimeError(
                f"{answer.get('outcomes')}\n{done.stdout.decode()[-4000:]}{done.stderr.decode()[-4000:]}"
            )
        return Usage(answer["cpu_ms"], answer["peak_kb"] / 1024)

    def instructions(self, events: Sequence[Mapping[str, Any]]) -> int:
        """Count the user-space instructions of a process that handles the events."""
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "callgrind"
            self.run(events, ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"])
            found = SUMMARY.search(out.read_text())
        assert found is not None
        return int(found[1])


def events(kind: Kind, count: int) -> list[dict[str, Any]]:
    """Return the kind's sample with ids of its own for each event and object."""
    text = (SAMPLES / "current" / f"{kind.sample}.json").read_text(encoding="utf-8")
    envelope = json.loads(text)
    ids = [envelope["id"], envelope["detail"]["id"], envelope["detail"]["data"]["object"]["id"]]
    made = []
    for number in range(count):
        copy = text
        for each in ids:
            copy = copy.replace(f'"{each}"', f'"{each}{number}"')
        made.append(json.loads(copy))
    return made


def environment(endpoint: Endpoint, handler: str) -> dict[str, str]:
    """Return the variables that Lambda and the deployed stack set, with every address on loopback."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONHASHSEED": "0",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_SESSION_TOKEN": "bench",
        "AWS_ENDPOINT_URL": endpoint.url,
        "AWS_EC2_METADATA_DISABLED": "true",
        "POWERTOOLS_SERVICE_NAME": handler,
        "POWERTOOLS_METRICS_NAMESPACE": names.METRICS_NAMESPACE,
        "POWERTOOLS_LOG_LEVEL": "INFO",
        names.ENVIRONMENT: "dev",
        names.LIVEMODE: "false",
        names.HUNTAZE_API_URL: endpoint.url,
        names.SECRET_IDS: "arn:aws:secretsmanager:eu-west-1:111122223333:secret:bench",
        names.IDEMPOTENCY_TABLE: "huntaze-stripe-idempotency-bench",
        names.IDEMPOTENCY_EXPIRY_SECONDS: "8640000",
        names.DEAD_LETTER_QUEUE_URL: f"{endpoint.url}/111122223333/dlq",
        names.ORDER: names.WATERMARK,
        names.STRIPE_READS_PER_SECOND: "20",
    }


def lend_sdk(folder: Path, interpreter: Path) -> Path:
    """Copy the SDK of Lambda's runtime into a folder, with bytecode of the interpreter."""
    for name in SDK:
        source = package_source(name)
        if source.is_file():
            shutil.copy(source, folder / source.name)
            continue
        shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "data"))
        if (source / "data").is_dir():
            (folder / name / "data").symlink_to(source / "data")
    compiled(folder, interpreter)
    return folder


def compiled(folder: Path, interpreter: Path) -> None:
    """Write the bytecode of a folder's modules, never checked against their sources."""
    command = [str(interpreter), "-I", "-m", "compileall", "-q"]
    command += ["--invalidation-mode", "unchecked-hash", str(folder)]
    subprocess.run(command, check=False, capture_output=True)


@contextmanager
def shipped() -> Iterator[tuple[Path, dict[str, Function], Endpoint]]:
    """Unpack the handlers' bundle beside the runtime's SDK; yield the folder, handlers and endpoint."""
    target = host_target()
    interpreter = find_interpreter(target) or Path(sys.executable)
    # A version manager's shim would be measured too.
    resolved = [str(interpreter), "-c", "import sys; print(sys.executable)"]
    interpreter = Path(subprocess.run(resolved, check=True, capture_output=True, text=True).stdout.strip())
    with tempfile.TemporaryDirectory() as made, running_endpoint(Path(made)) as endpoint:
        folder = Path(made)
        task, sdk = folder / "task", folder / "runtime"
        sdk.mkdir()
        with zipfile.ZipFile(build(target)["handlers"].path) as archive:
            archive.extractall(task)
        lend_sdk(sdk, interpreter)
        extra = {"PYTHONPATH": f"{task}{os.pathsep}{sdk}"} | trust(endpoint, task, sdk)
        command = (str(interpreter), "-S", str(INVOKE))
        yield (
            folder,
            {
                handler: Function((*command, f"functions.{handler}"), environment(endpoint, handler) | extra)
                for handler in names.HANDLERS
            },
            endpoint,
        )


def trust(endpoint: Endpoint, task: Path, sdk: Path) -> dict[str, str]:
    """Add the endpoint's certificate to what the functions trust, so that they read as much as in Lambda."""
    own = endpoint.certificate.read_bytes()
    with (task / "certifi" / "cacert.pem").open("ab") as bundle:
        bundle.write(own)
    authorities = sdk / "authorities.pem"
    authorities.write_bytes((sdk / "botocore" / "cacert.pem").read_bytes() + own)
    return {"AWS_CA_BUNDLE": str(authorities)}


def main() -> None:
    """Measure the kinds and print one line for each."""
    parser = argparse.ArgumentParser(prog="python -m bench.path", description=main.__doc__)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=", ".join(kind.name for kind in KINDS))
    parser.add_argument("--runs", type=int, default=9, help="runs for CPU time and memory (0: none)")
    parser.add_argument("--warm", type=int, default=WARM_EVENTS, help="events after the first (0: none)")
    options = parser.parse_args()
    chosen = [kind for kind in KINDS if not options.kinds or kind.name in options.kinds]
    with shipped() as (_, functions, endpoint):
        usage: dict[Kind, list[Usage]] = {kind: [] for kind in chosen}
        for _ in range(options.runs):
            for kind in chosen:
                usage[kind].append(functions[kind.handler].run(events(kind, 1)))
        for kind in chosen:
            function = functions[kind.handler]
            endpoint.calls.clear()
            cold = function.instructions(events(kind, 1))
            line = {"kind": kind.name, "cold_millions": round(cold / 1e6, 1), "calls": dict(endpoint.calls)}
            if options.warm:
                both = function.instructions(events(kind, 1 + options.warm))
                line["warm_millions"] = round((both - cold) / options.warm / 1e6, 2)
            if options.runs:
                line["cpu_ms"] = round(statistics.median(run.cpu_ms for run in usage[kind]))
                line["peak_mb"] = round(statistics.median(run.peak_mb for run in usage[kind]), 1)
            sys.stdout.write(f"{json.dumps(line)}\n")


if __name__ == "__main__":
    main()
