"""`python -m bench.path`: what the bundle takes from process start to its first event, and for each more.

User-space instructions are counted by callgrind, with a fixed hash seed and bytecode present: they repeat
whatever else the machine does. CPU time and peak memory are medians of interleaved runs.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.endpoint import KEYS_ARN, Endpoint, running_endpoint
from bench.function import Function, Usage
from functions.shared import names
from ops.bundles import build, host_target
from ops.bundles.interpreter import find_interpreter
from ops.emulator.runtime_packages import SDK, package_source
from ops.local.envelopes import SAMPLES

INVOKE: Final = Path(__file__).with_name("invoke.py")
# Events that are sent after the first: enough that a warm event's share of noise is small.
WARM_EVENTS: Final = 20


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
# The kind whose times are compared: a payment.
TIMED_KIND: Final = next(kind for kind in KINDS if kind.name == "once")


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
        names.SECRET_IDS: KEYS_ARN,
        names.IDEMPOTENCY_TABLE: "huntaze-stripe-idempotency-bench",
        names.IDEMPOTENCY_EXPIRY_SECONDS: "8640000",
        names.DEAD_LETTER_QUEUE_URL: f"{endpoint.url}/111122223333/dlq",
        names.ORDER: names.WATERMARK,
        names.STRIPE_READS_PER_SECOND: "20",
    }


def copy_sdk(folder: Path, interpreter: Path) -> Path:
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


def interpreter() -> Path:
    """Return the interpreter that functions run in: Lambda's version if this machine has it."""
    found = find_interpreter(host_target()) or Path(sys.executable)
    # A version manager's shim would be measured too.
    resolved = [str(found), "-c", "import sys; print(sys.executable)"]
    return Path(subprocess.run(resolved, check=True, capture_output=True, text=True).stdout.strip())


def function(module: str, task: Path, endpoint: Endpoint, service: str) -> Function:
    """Return the function of a handler's module in a folder of code, beside which the SDK is lent."""
    sdk = task.parent / "runtime"
    if not sdk.is_dir():
        sdk.mkdir()
        copy_sdk(sdk, interpreter())
    trust(endpoint, task, sdk)
    variables = environment(endpoint, service) | {"PYTHONPATH": f"{task}{os.pathsep}{sdk}"}
    return Function((str(interpreter()), "-S", str(INVOKE), module), variables)


def shipped(folder: Path, endpoint: Endpoint) -> dict[str, Function]:
    """Unpack the handlers' bundle below a folder, beside the runtime's SDK, and return the handlers."""
    task = unpacked("handlers", folder)
    return {each: function(f"functions.{each}", task, endpoint, each) for each in names.HANDLERS}


def unpacked(bundle: str, folder: Path) -> Path:
    """Unpack a shipped bundle below a folder, and return where it is."""
    task = folder / bundle
    if not task.is_dir():
        with zipfile.ZipFile(build(host_target())[bundle].path) as archive:
            archive.extractall(task)
    return task


def trust(endpoint: Endpoint, *folders: Path) -> None:
    """Add the endpoint's certificate to what the functions trust, so that they read as much as in Lambda."""
    own = endpoint.certificate.read_bytes()
    for authorities in (each for folder in folders for each in folder.glob("*/cacert.pem")):
        if own not in authorities.read_bytes():
            with authorities.open("ab") as file:
                file.write(own)
    # A bundle may have them one per file, named by OpenSSL's hash of the subject.
    for hashed in (each for folder in folders for each in folder.glob("functions/shared/authorities")):
        command = ["openssl", "x509", "-noout", "-subject_hash", "-in", str(endpoint.certificate)]
        name = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
        shutil.copy(endpoint.certificate, hashed / f"{name}.0")


def main() -> None:
    """Measure the kinds and print one line for each."""
    parser = argparse.ArgumentParser(prog="python -m bench.path", description=main.__doc__)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=", ".join(kind.name for kind in KINDS))
    parser.add_argument("--runs", type=int, default=9, help="runs for CPU time and memory (0: none)")
    parser.add_argument("--warm", type=int, default=WARM_EVENTS, help="events after the first (0: none)")
    options = parser.parse_args()
    chosen = [kind for kind in KINDS if not options.kinds or kind.name in options.kinds]
    with tempfile.TemporaryDirectory() as made, running_endpoint(Path(made)) as endpoint:
        functions = shipped(Path(made), endpoint)
        usage: dict[Kind, list[Usage]] = {kind: [] for kind in chosen}
        for _ in range(options.runs):
            for kind in chosen:
                usage[kind].append(functions[kind.handler].run(events(kind, 1)))
        for kind in chosen:
            endpoint.calls.clear()
            first, *further = events(kind, 1 + options.warm)
            cold, warm = functions[kind.handler].instructions([first], further)
            line = {"kind": kind.name, "cold_millions": round(cold / 1e6, 1), "calls": dict(endpoint.calls)}
            if options.warm:
                line["warm_millions"] = round(warm / options.warm / 1e6, 2)
            if options.runs:
                line["cpu_ms"] = round(statistics.median(run.cpu_ms for run in usage[kind]))
                line["peak_mb"] = round(statistics.median(run.peak_mb for run in usage[kind]), 1)
            sys.stdout.write(f"{json.dumps(line)}\n")


if __name__ == "__main__":
    main()
