"""`make local`: deploy `dev` to an embedded AWS with real Terraform and drive Stripe events through it."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

from rich.console import Console

from ops import ROOT
from ops.local import drive, envelopes
from ops.local.accounting import Row, SentEvent
from ops.local.deployment import ENVIRONMENT, EVENT_SOURCE, Deployment, deploy, shell_exports
from ops.local.folder import run_folder
from ops.local.observer import Observer, firing_alarms
from ops.local.report import Report, events_table, queues_table, timings_table, write
from ops.local.services import running_services
from ops.progress import Steps

REPORT_PATH = ROOT / "build" / "local" / "report.json"
MILLISECONDS = 1000


@dataclass(frozen=True)
class Options:
    """What to send: the shipped set, or the envelopes of a folder; `count` times with fresh ids."""

    events: Path | None = None
    count: int = 1
    keep: bool = False


def run(options: Options, console: Console, tell: Callable[[Report], None] = lambda _: None) -> bool:
    """Run everything, print the tables, write `report.json`; return whether the run passed.

    Parameters
    ----------
    tell
        Called with the report, before a run that is kept waits.

    Raises
    ------
    OperatorError
        When the events can't be read (before anything starts), or a step fails.
    """
    once = envelopes.load_folder(options.events) if options.events else envelopes.default_set()
    to_send = [delivery.envelope for delivery in envelopes.multiplied(once, options.count)]
    console.print(f"{len(to_send)} deliveries from {options.events or 'the shipped set'}", highlight=False)
    started = time.monotonic()
    steps = Steps(console)
    with ExitStack() as running:
        folder = running.enter_context(run_folder())
        with steps.step("start the servers") as step:
            services = running.enter_context(running_services(folder))
            with services.watch.guarding("while it was set up"):
                drive.register_source(services.aws, EVENT_SOURCE)
            step.note = "embedded AWS, PostgreSQL, reference Huntaze API"
        with services.watch.guarding("during the deploy"):
            deployment = deploy(services, steps)
        with services.watch.guarding("while the events were driven"):
            report = drive_events(deployment, to_send, steps)
        steps.timings["total"] = time.monotonic() - started
        write(report, REPORT_PATH)
        _print(report, console)
        tell(report)
        if options.keep:
            _keep(deployment, console)
    return report.passed


def drive_events(deployment: Deployment, envelopes_to_send: Sequence[dict[str, Any]], steps: Steps) -> Report:
    """Send the envelopes, wait until each is accounted for, and report what became of it."""
    services, outputs = deployment.services, deployment.outputs
    observer = Observer(services, outputs, since=time.time() * MILLISECONDS)

    def send(name: str, some: Sequence[dict[str, Any]]) -> tuple[SentEvent, ...]:
        with steps.step(name) as step:

            def sent(count: int) -> None:
                # Sending needs the embedded AWS only; without the others it is no use.
                services.watch.check("while the events were driven")
                step.advance_to(count, len(some))

            deliveries = drive.send(services.aws, EVENT_SOURCE, some, sent)
            step.note = f"{len(some)} deliveries"
        return deliveries

    def accounted(name: str, deliveries: Sequence[SentEvent]) -> tuple[Row, ...]:
        total = len(deliveries)
        with steps.step(name) as step:
            rows = drive.wait_until_accounted(
                deliveries,
                observer,
                lambda done, audited: step.advance_to(done, total, f"{audited} audited"),
            )
            step.note = f"{sum(row.outcome is not None for row in rows)} of {total}"
        return rows

    others, ends = drive.split_ends(envelopes_to_send)
    deliveries = send("send the events", others)
    if ends:
        accounted("account for them", deliveries)
        deliveries += send("send the objects' ends", ends)
    rows = accounted("account for every delivery", deliveries)
    queues = observer.queue_depths()
    return Report(
        environment=ENVIRONMENT,
        terraform=deployment.facts,
        rows=rows,
        queues=queues,
        alarms=firing_alarms(services.aws),
        timings=steps.timings,
    )


def _print(report: Report, console: Console) -> None:
    console.print()
    console.print(events_table(report.rows))
    console.print(queues_table(report.queues))
    console.print(timings_table(report.timings))
    console.print(f"Alarms that would be firing: {', '.join(report.alarms) or 'none'}", highlight=False)
    console.print(f"{report.verdict()}; {REPORT_PATH.relative_to(ROOT)}", highlight=False)


def _keep(deployment: Deployment, console: Console) -> None:
    """Print how to reach the running environment, and wait for Ctrl-C."""
    console.print()
    console.print("Still running, until Ctrl-C. In another shell:")
    console.print()
    for name, value in shell_exports(deployment).items():
        console.out(f"export {name}={shlex.quote(value)}", highlight=False)
    console.print()
    console.print("For example:")
    console.print()
    # Version 1 of the aws CLI doesn't know AWS_ENDPOINT_URL.
    console.out(f"aws --endpoint-url {deployment.services.aws.url} sqs list-queues", highlight=False)
    console.out(f"terraform -chdir={shlex.quote(str(deployment.terraform.folder))} plan", highlight=False)
    try:
        Event().wait()
    except KeyboardInterrupt:
        console.print("stopping")
