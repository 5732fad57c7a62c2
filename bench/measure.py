"""Measure ours and the peers in one run: interleaved, so that all meet the same machine."""

from __future__ import annotations

import os
import platform
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Final, TypeVar

from bench import audit, memory, packages, path, report, sides, throughput, webhook
from bench.endpoint import Endpoint, running_endpoint
from bench.function import end_all, run_program
from bench.path import KINDS, TIMED_KIND, events
from bench.report import OURS
from ops import ROOT
from ops.errors import OperatorError
from ops.progress import Steps

# Under callgrind: events of each kind before any is counted; then, in turns, groups of each, whose median
# counts. Node.js compiles and collects garbage at times of its own choice.
WARM_UP: Final = 20
GROUPS: Final = 8
GROUP: Final = 3
# Events of a run for CPU time: enough that the clock's steps do not matter.
TIMED: Final = 100
# Events in which DynamoDB's calls are counted.
CALLED: Final = 10
WEBHOOK_EVENTS: Final = 1000
SYNTH_ROUNDS: Final = 3
# Interleaved rounds for times.
ROUNDS: Final = 7
# A step of the set-up that installs packages, as it says when it has ended.
INSTALLED: Final = re.compile(
    r"^setup: \d+/\d+ install (?:uv|\d+ locked packages).* … ([\d.]+) s$", re.MULTILINE
)
INSTRUCTIONS, WEBHOOK, SYNTH, INSTALL = "instructions", "webhook", "synth", "install"
# Parts that compare nobody, by their names in the report: each can be measured alone.
ALONE: Final[Mapping[str, Callable[[Steps, Path, Endpoint], report.Document]]] = {
    "audit": audit.measure,
    "memory": memory.measure,
}
# This one deploys, so that a whole run leaves it out and keeps what the last report says.
ON_REQUEST: Final = {**ALONE, "throughput": throughput.measure}
PARTS: Final = (INSTRUCTIONS, WEBHOOK, SYNTH, INSTALL, *ALONE)


Result = TypeVar("Result")


@dataclass
class _Times:
    """One side's rounds: CPU of the first event and of each further one in ms, and peak memory in MB."""

    cold: list[float] = field(default_factory=list)
    warm: list[float] = field(default_factory=list)
    peak: list[float] = field(default_factory=list)


@dataclass
class Run:
    """What is known so far."""

    steps: Steps
    folder: Path
    endpoint: Endpoint
    sides: dict[str, sides.Side] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    def try_or_note(self, what: str, action: Callable[[], Result]) -> Result | None:
        """Return an action's result, or None after noting why there is none."""
        try:
            return action()
        except (OperatorError, RuntimeError, OSError) as error:
            self.missing.append(f"{what}: {str(error).splitlines()[0]}")
            return None


def measure(
    steps: Steps, rounds: int, left_out: Sequence[str] = (), kept: report.Report | None = None
) -> report.Report:
    """Measure all but the parts left out.

    Parameters
    ----------
    rounds
        Interleaved runs of each side, of which the medians count.
    kept
        An earlier report: the peers' instructions and the webhook are taken from it if the peers are equal.

    Raises
    ------
    OperatorError
        Our own bundle can't be built.
    """
    began, load_before = time.monotonic(), os.getloadavg()[0]
    with _running(steps) as run:
        run.missing += [f"{part}: left out by --without {part}" for part in left_out]
        _deploy(run)
        peers = _peers(run)
        if kept is not None and kept.peers != peers:
            run.missing.append(f"the peers of {kept.day} are others: measured again")
            kept = None
        calls = _calls(run)
        times = _times(run, rounds)
        counted = {} if INSTRUCTIONS in left_out else instructions(run, kept)
        if kept is not None:
            load = kept.webhook
            run.missing.append(f"the peers' instructions and the webhook: kept from {kept.day}")
        else:
            load = None if WEBHOOK in left_out else run.try_or_note("webhook", lambda: _webhook(run))
        synth = None if SYNTH in left_out else run.try_or_note("synth", lambda: _synth(run))
        installed = None if INSTALL in left_out else run.try_or_note("install", lambda: _install(run))
        alone = {
            name: run.try_or_note(name, partial(part, steps, run.folder, run.endpoint))
            for name, part in ALONE.items()
            if name not in left_out
        }
    found = report.Report(
        day=report.today(),
        seconds=round(time.monotonic() - began),
        machine=_machine(load_before),
        sides={name: _side(name, run, calls[name], times, counted.get(name, {})) for name in run.sides},
        peers=peers,
        webhook=load,
        synth=synth,
        install_seconds=installed,
        missing=tuple(run.missing),
    )
    return found.model_copy(update=alone)


def measure_alone(steps: Steps, name: str, earlier: report.Report) -> report.Report:
    """Return an earlier report with a part of ON_REQUEST measured again.

    Raises
    ------
    OperatorError, RuntimeError
        It can't be measured.
    """
    with _running(steps) as run:
        found = ON_REQUEST[name](steps, run.folder, run.endpoint)
    return earlier.model_copy(update={name: found})


@contextmanager
def _running(steps: Steps) -> Iterator[Run]:
    packages.FOLDER.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=packages.FOLDER, prefix=".run-") as made,
        running_endpoint(Path(made)) as endpoint,
    ):
        yield Run(steps, Path(made), endpoint)


def _deploy(run: Run) -> None:
    with run.steps.step("deploy ours and the peers") as step:
        run.sides[OURS] = sides.ours(run.folder, run.endpoint)
        for number, (name, deploy) in enumerate(sides.PEERS.items(), 1):
            step.advance_to(number, len(sides.PEERS), name)
            side = run.try_or_note(name, partial(deploy, name, run.folder, run.endpoint))
            if side is not None:
                run.sides[name] = side


def _peers(run: Run) -> str:
    machine = _machine(0)
    return (
        f"{packages.peers_digest()} {', '.join(run.sides)} {machine.system} {machine.python} {machine.node}"
    )


def _calls(run: Run) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    with run.steps.step("count calls of DynamoDB") as step:
        for number, (name, side) in enumerate(run.sides.items(), 1):
            found[name] = {}
            for kind in KINDS:
                run.endpoint.calls.clear()
                side.function(kind.handler).run(events(kind, CALLED))
                asked = sum(
                    count for call, count in run.endpoint.calls.items() if call.startswith("DynamoDB")
                )
                found[name][kind.name] = asked / CALLED
            step.advance_to(number, len(run.sides))
    return found


def _times(run: Run, rounds: int) -> dict[str, _Times]:
    times = {name: _Times() for name in run.sides}
    with run.steps.step("time in interleaved rounds") as step:
        for number in range(1, rounds + 1):
            for name, side in run.sides.items():
                measured = side.function(TIMED_KIND.handler)
                cold = measured.run(events(TIMED_KIND, 1))
                both = measured.run(events(TIMED_KIND, 1 + TIMED))
                times[name].cold.append(cold.cpu_ms)
                times[name].peak.append(cold.peak_mb)
                times[name].warm.append((both.cpu_ms - cold.cpu_ms) / TIMED)
            step.advance_to(number, rounds)
    return times


def instructions(run: Run, kept: report.Report | None = None) -> dict[str, dict[str, int]]:
    """Count the instructions of each side, by kind, and of the first event by the name ""."""
    found: dict[str, dict[str, int]] = {}
    for name in run.sides:
        earlier = kept.sides.get(name) if kept is not None and name != OURS else None
        if earlier is not None and earlier.cold_instructions is not None:
            found[name] = {"": earlier.cold_instructions, **earlier.warm_instructions}
    if shutil.which("valgrind") is None:
        run.missing.append("instructions: valgrind is not on PATH")
        return found
    jobs = [
        (name, handler)
        for name, side in run.sides.items()
        if name not in found
        for handler in (side.functions if name == OURS else (TIMED_KIND.handler,))
    ]
    with run.steps.step("count instructions") as step, _pool() as pool:
        futures = [(name, pool.submit(_counted, run.sides[name], handler)) for name, handler in jobs]
        for number, (name, future) in enumerate(futures, 1):
            counted = run.try_or_note(f"instructions of {name}", future.result)
            found.setdefault(name, {}).update(counted or {})
            step.advance_to(number, len(jobs), name)
    return found


def _counted(side: sides.Side, handler: str) -> dict[str, int]:
    kinds = [kind for kind in KINDS if kind.handler == handler or len(side.functions) == 1]
    # The timed kind first: the first event of all is the one that is compared.
    kinds.sort(key=lambda kind: kind is not TIMED_KIND)
    made = {kind.name: iter(events(kind, 1 + WARM_UP + GROUPS * GROUP)) for kind in kinds}
    groups = [[next(made[kinds[0].name])], [next(made[kind.name]) for _ in range(WARM_UP) for kind in kinds]]
    for _ in range(GROUPS):
        groups += [list(islice(made[kind.name], GROUP)) for kind in kinds]
    cold, _, *counts = side.function(handler).instructions(*groups)
    found = {
        kind.name: round(median(counts[place :: len(kinds)]) / GROUP) for place, kind in enumerate(kinds)
    }
    return found | ({"": cold} if kinds[0] is TIMED_KIND else {})


def _webhook(run: Run) -> report.Webhook:
    made = events(TIMED_KIND, 2 * TIMED + WEBHOOK_EVENTS)
    with run.steps.step("load the webhook"), webhook.running(run.folder, run.endpoint) as application:
        return webhook.measure(application, made[: 2 * TIMED], made[2 * TIMED :])


def _synth(run: Run) -> report.Command:
    source = "aws.partner/stripe.com/ed_bench"
    command = [sys.executable, str(ROOT / "main.py"), "dev", "--outdir", str(run.folder / "synth")]
    taken = []
    with run.steps.step("synthesise one environment") as step:
        # The first builds the bundles.
        for number in range(SYNTH_ROUNDS + 1):
            taken.append(_command(command, {"STRIPE_EVENT_SOURCE_NAME": source}))
            step.advance_to(number + 1, SYNTH_ROUNDS + 1)
    return report.Command(
        seconds=median(each.seconds for each in taken[1:]),
        cpu_seconds=median(each.cpu_seconds for each in taken[1:]),
    )


def _install(run: Run) -> float:
    """Install the locked packages of a copy of the checkout, with empty caches; return the steps' seconds."""
    checkout = run.folder / "checkout"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        if (ROOT / name).is_file():
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, checkout / name)
    caches = {
        name: str(run.folder / "cache")
        for name in ("PIP_CACHE_DIR", "UV_CACHE_DIR", "JSII_RUNTIME_PACKAGE_CACHE_ROOT")
    }
    with run.steps.step("install the locked packages"):
        program = str(checkout / "ops" / "dev" / "install.py")
        done = run_program([sys.executable, "-I", "-S", program], {**os.environ, **caches})
    seconds = [float(found) for found in INSTALLED.findall(done.stderr.decode())]
    if done.returncode != 0 or not seconds:
        raise RuntimeError(f"the set-up of a copy failed: {done.stderr.decode().strip().splitlines()[-1]}")
    return round(sum(seconds), 1)


def _command(command: Sequence[str], variables: Mapping[str, str]) -> report.Command:
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = run_program(command, {**os.environ, **variables})
    seconds, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.decode().strip().splitlines()[-1])
    cpu_seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return report.Command(seconds=round(seconds, 2), cpu_seconds=round(cpu_seconds, 2))


def _side(
    name: str, run: Run, calls: Mapping[str, float], times: Mapping[str, _Times], counted: Mapping[str, int]
) -> report.Side:
    own = times[name]
    return report.Side(
        cold_instructions=counted.get(""),
        cold_cpu_ms=round(median(own.cold), 1),
        cold_ratio=round(median(a / b for a, b in zip(times[OURS].cold, own.cold, strict=True)), 2),
        peak_mb=round(median(own.peak), 1),
        warm_instructions={kind: count for kind, count in counted.items() if kind},
        warm_cpu_ms=round(median(own.warm), 2),
        dynamodb_calls=calls,
        zip_bytes=run.sides[name].zip_bytes,
    )


def _machine(load_before: float) -> report.Machine:
    return report.Machine(
        cores=os.cpu_count() or 1,
        system=f"{platform.system()} {platform.machine()}",
        python=_version([str(path.interpreter()), "--version"]) or "unknown",
        node=_version(["node", "--version"]),
        valgrind=_version(["valgrind", "--version"]),
        load_before=round(load_before, 1),
        load_after=round(os.getloadavg()[0], 1),
    )


def _version(command: Sequence[str]) -> str | None:
    """Return the version that a program prints, or None if it is not there."""
    with suppress(OSError, subprocess.CalledProcessError):
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found = re.search(r"\d+\.\d+\.\d+", printed)
        return found[0] if found else None
    return None


@contextmanager
def _pool() -> Iterator[ThreadPoolExecutor]:
    """Run in as many threads as there are processors, two at most; an exception ends what they run."""
    with ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            end_all()
            raise
