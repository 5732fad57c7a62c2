"""`make local`: deploy `dev` to an embedded AWS with real Terraform and drive Stripe events through it."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from ops import ROOT
from ops.bundles import host_target
from ops.local import drive, envelopes, kept, usage, variants
from ops.local.accounting import Row, SentEvent, named
from ops.local.deployment import ENVIRONMENT, EVENT_SOURCE, Deployment, shell_exports
from ops.local.folder import run_folder
from ops.local.fresh_ids import FreshIds
from ops.local.observer import Observer, firing_alarms, refused_calls
from ops.local.report import (
    LocalReport,
    alarms_line,
    events_table,
    parked_lines,
    queues_line,
    refused_lines,
    timings_table,
    verdict_line,
    write,
)
from ops.local.start import Wanted, deployed
from ops.local.web import running_console
from ops.progress import Steps

REPORT_PATH: Final = kept.FOLDER / "report.json"
MILLISECONDS: Final = 1000
# The reference Stripe API lists the sent events as made this long ago: `reconcile` compares the last 48 hours
# but for the last minutes.
MADE_SECONDS_AGO: Final = 3600


@dataclass(frozen=True)
class LocalOptions:
    """What to send, and what to deploy.

    Parameters
    ----------
    events
        A folder of envelopes, or one; None sends the shipped set.
    count
        How often to send it, with fresh ids.
    variant
        One of `ops.local.variants.VARIANTS`.
    fresh
        Whether to deploy from nothing, whatever earlier runs saved.
    dev
        Whether a run that is kept also brings saved files to the embedded AWS.
    """

    events: Path | None = None
    count: int = 1
    keep: bool = False
    variant: str = variants.DEFAULT
    fresh: bool = False
    dev: bool = False


def run(
    options: LocalOptions, console: Console, on_report: Callable[[LocalReport], None] = lambda _: None
) -> bool:
    """Run everything, print the tables, write `report.json`; return whether the run passed.

    Parameters
    ----------
    on_report
        Called with the report, before a kept run waits.

    Raises
    ------
    OperatorError
        The events can't be read or a run is kept already (before anything starts), or a step fails.
    """
    once = envelopes.load(options.events) if options.events else envelopes.default_set()
    samples = envelopes.multiplied(once, options.count)
    if options.keep:
        kept.require_none()
    console.print(f"{_deliveries(len(samples))} from {options.events or 'the shipped set'}")
    started = time.monotonic()
    steps = Steps(console)
    with ExitStack() as running:
        folder = running.enter_context(run_folder())
        wanted = Wanted(options.variant, with_stripe=options.keep, fresh=options.fresh)
        deployment = running.enter_context(deployed(folder, wanted, steps))
        services = deployment.services
        with services.watch.guarding("while events were sent"):
            report = drive_events(deployment, samples, steps)
        steps.timings["total"] = time.monotonic() - started
        write(report.as_json(), REPORT_PATH)
        _print(report, console)
        on_report(report)
        if options.keep:
            _keep(deployment, samples, report, console, dev=options.dev)
    return report.passed


def drive_events(deployment: Deployment, samples: Sequence[envelopes.Sample], steps: Steps) -> LocalReport:
    """Send the samples, wait until each is accounted for, and report what became of it."""
    services = deployment.services
    observer = Observer(services, deployment.outputs, since=time.time() * MILLISECONDS)

    def send(name: str, some: Sequence[dict[str, Any]]) -> tuple[SentEvent, ...]:
        with steps.step(name) as step:

            def progress(count: int) -> None:
                # Sending needs the embedded AWS only, and would go on without the other servers.
                services.watch.check("while events were sent")
                step.advance_to(count, len(some))

            sent = drive.send(services.aws, EVENT_SOURCE, some, progress)
            step.note = _deliveries(len(some))
        return sent

    def accounted(name: str, sent: Sequence[SentEvent]) -> tuple[Row, ...]:
        total = len(sent)
        with steps.step(name) as step:
            rows = drive.wait_until_accounted(
                sent, observer, lambda done, audited: step.advance_to(done, total, f"{audited} audited")
            )
            step.note = f"{sum(row.outcome is not None for row in rows)} of {total}"
        return rows

    others, ends = drive.split_ends([sample.envelope for sample in samples])
    sent = send("send the events", others)
    if ends:
        accounted("account for them", sent)
        sent += send("send the objects' ends", ends)
    rows = accounted("account for every delivery", sent)
    seen = observer.look()
    return LocalReport(
        environment=ENVIRONMENT,
        terraform=deployment.facts,
        rows=rows,
        queues=seen.queues,
        alarms=firing_alarms(services.aws),
        timings=steps.timings,
        files={sample.envelope["detail"]["id"]: sample.file for sample in reversed(samples)},
        parked=named(seen.parked, sent),
        refused=refused_calls(services.aws),
        python=host_target().python,
        measured=usage.measure(
            services.aws,
            deployment.outputs,
            [sample.envelope for sample in samples],
            f"huntaze-stripe local, {_deliveries(len(samples))}, Python {host_target().python} on "
            f"{os.cpu_count()} shared processors, embedded AWS and reference API on loopback",
        ),
    )


def _deliveries(number: int) -> str:
    return f"{number} {'delivery' if number == 1 else 'deliveries'}"


def _print(report: LocalReport, console: Console) -> None:
    console.print()
    console.print(events_table(report.rows))
    console.print()
    for line in parked_lines(report):
        console.print(line)
    for line in refused_lines(report.refused):
        console.print(line)
    console.print(timings_table(report.timings))
    console.print(queues_line(report.queues))
    console.print(alarms_line(report.alarms))
    console.print(verdict_line(report, str(REPORT_PATH.relative_to(ROOT))))


def _keep(
    deployment: Deployment,
    samples: Sequence[envelopes.Sample],
    report: LocalReport,
    console: Console,
    *,
    dev: bool = False,
) -> None:
    """Print how to reach the running environment, and wait until it is stopped.

    Raises
    ------
    ServerEndedError
        A server ended.
    """
    services = deployment.services
    drive.list_at_stripe(services, _made_by_stripe(samples))
    exports = shell_exports(deployment)
    with (
        running_console(services, exports) as url,
        kept.published(
            exports, services.watch.processes(), services.urls() | {"console": url.partition("/?")[0]}
        ) as env,
    ):
        console.print()
        console.print("Still running. See it in a browser; the address works once:")
        console.print()
        console.out(url)
        console.print()
        console.print("In another shell:")
        console.print()
        console.out(f"source {env.relative_to(ROOT)}")
        console.out("huntaze-stripe dlq list")
        console.out("huntaze-stripe reconcile              # finds one event that never reached the bus")
        console.out("aws sqs list-queues")
        console.out(f"terraform -chdir={deployment.terraform.folder} plan")
        console.print()
        how = "" if kept.in_background() else "Ctrl-C, or in another shell "
        console.print(f"To stop it: {how}`make local-down`")
        if dev:
            from ops.local.loop import follow

            console.print("Watching functions/, infra/, environments/ and tests/unit/")
            follow(deployment, console)
        else:
            kept.wait_until_stopped(services.watch, passed=report.passed)
        console.print("stopping")


def _made_by_stripe(samples: Sequence[envelopes.Sample]) -> list[dict[str, Any]]:
    """Return the sent events as Stripe lists them, and one more that was never sent."""
    created = int(time.time()) - MADE_SECONDS_AGO
    events = {sample.envelope["detail"]["id"]: sample.envelope["detail"] for sample in samples}
    missing = envelopes.sample("invoice.paid")
    fresh = FreshIds("never sent", envelopes.own_ids(missing)).rewritten(missing["detail"])
    return [{**copy.deepcopy(event), "created": created} for event in (*events.values(), fresh)]
