"""Events a second from the bus to the ledger on the embedded AWS, and whose CPU time they take.

`make local` deploys; its set of events is sent many times. Then the functions of the shipped bundle handle
events alone, with a profiler: a flame graph of the share that is ours.
"""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import psutil
import psycopg

from bench import audit, flame, path, report
from bench.endpoint import Endpoint
from bench.function import Events, Function
from functions.ledger.postgres import migrate
from ops.local import drive, envelopes
from ops.local.accounting import SentEvent
from ops.local.deployment import EVENT_SOURCE, Deployment
from ops.local.folder import run_folder
from ops.local.observer import Observer
from ops.local.postgres import running_postgres
from ops.local.start import Wanted, deployed
from ops.progress import Steps

COUNT: Final = 40
FUNCTIONS: Final = "functions"
RUN: Final = "the run, which sends and looks"
TERRAFORM: Final = "Terraform, synth and bundles, before"
# Events of each handler under the profiler; the audit function gets those of both.
PROFILED: Final = 600
MILLISECONDS: Final = 1000
SAMPLED: Final = Path(__file__).with_name("sampled.py")


def measure(steps: Steps, folder: Path, endpoint: Endpoint) -> report.Throughput:
    """Deploy, send the shipped set of events COUNT times, and profile the functions.

    Raises
    ------
    OperatorError
        The deployment fails.
    RuntimeError
        An event was not accounted for, or not applied under the profiler.
    """
    samples = envelopes.multiplied(envelopes.default_set(), COUNT)
    with run_folder() as made, deployed(made, Wanted(), steps) as deployment:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        before, began = cpu_seconds(deployment), time.monotonic()
        _drive(deployment, [sample.envelope for sample in samples], steps)
        seconds, after = time.monotonic() - began, cpu_seconds(deployment)
    with steps.step("profile the functions"):
        stacks = _profiled(folder, endpoint)
    used = {name: round(after[name] - before[name], 1) for name in after}
    return report.Throughput(
        deliveries=len(samples),
        seconds=round(seconds, 1),
        cpu_seconds=used,
        before_cpu_seconds={TERRAFORM: round(children.ru_utime + children.ru_stime, 1)},
        calls=flame.tree("functions", stacks),
    )


def cpu_seconds(deployment: Deployment) -> dict[str, float]:
    """Return the CPU seconds so far of the functions, of each server, and of this process."""
    used = {FUNCTIONS: 0.0}
    for name, pid in deployment.services.watch.processes().items():
        process = psutil.Process(pid)
        times = process.cpu_times()
        used[name] = times.user + times.system
        # Processes that have ended count as their parent's.
        children = times.children_user + times.children_system
        children += sum(sum(each.cpu_times()[:4]) for each in process.children(recursive=True))
        # The embedded AWS runs functions; the children of PostgreSQL are its own.
        used[FUNCTIONS if name == "embedded AWS" else name] += children
    own = resource.getrusage(resource.RUSAGE_SELF)
    return used | {RUN: own.ru_utime + own.ru_stime}


def _drive(deployment: Deployment, events: Sequence[dict[str, object]], steps: Steps) -> None:
    services = deployment.services
    observer = Observer(services, deployment.outputs, since=time.time() * MILLISECONDS)
    sent: tuple[SentEvent, ...] = ()
    with steps.step("send events, and wait until each is accounted for") as step:
        for part in drive.split_ends(events):
            sent += drive.send(services.aws, EVENT_SOURCE, part)
            rows = drive.wait_until_accounted(
                sent, observer, lambda done, audited: step.advance_to(done, len(events), f"{audited} audited")
            )
    missing = sum(not row.accounted for row in rows)
    if missing:
        raise RuntimeError(f"{missing} of {len(sent)} deliveries were not accounted for")


def _profiled(folder: Path, endpoint: Endpoint) -> Mapping[str, Mapping[str, int]]:
    """Return how often each stack was found in each function, after its first event."""
    found = {}
    for handler, function in path.shipped(folder, endpoint).items():
        kinds = [kind for kind in path.KINDS if kind.handler == handler]
        each = PROFILED // len(kinds)
        events = [event for kind in kinds for event in path.events(kind, each)]
        found[handler] = _stacks(function, events, folder)
    with running_postgres(folder / "postgres") as url, psycopg.connect(url, autocommit=True) as database:
        migrate(database)
        functions = audit.deployed(path.unpacked("audit", folder), endpoint, url)
        batches = audit.batches(audit.POSTGRES, 2 * PROFILED // audit.ROWS)
        found["audit"] = _stacks(functions[audit.POSTGRES], batches, folder)
    return found


def _stacks(function: Function, events: Events, folder: Path) -> Mapping[str, int]:
    interpreter, *options, _, module = function.command
    file = folder / "stacks.json"
    profiled = replace(function, command=(interpreter, *options, str(SAMPLED), module, str(file)))
    profiled.resident(events[:1], events[1:])
    stacks: Mapping[str, int] = json.loads(file.read_text(encoding="utf-8"))
    # What runs the handler is the profiler's: each stack starts with the handler.
    return {";".join(stack.split(";")[2:]): count for stack, count in stacks.items() if stack.count(";") > 1}
