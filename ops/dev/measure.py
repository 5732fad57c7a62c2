"""Measure what one event takes, for ops/cost/measured.json: `make measure`.

Each event is sent when the one before is accounted for: a burst on a small machine would measure how the
functions wait for its processors.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Final

from ops.bundles import host_target
from ops.console import open_console, print_line
from ops.cost import measured
from ops.local import drive, envelopes, usage, variants
from ops.local.accounting import SentEvent
from ops.local.deployment import EVENT_SOURCE, deploy
from ops.local.folder import run_folder
from ops.local.observer import Observer
from ops.local.services import running_services
from ops.progress import Steps

MILLISECONDS: Final = 1000


def main() -> None:
    """Deploy dev to an embedded AWS, send the shipped samples one by one, and write the file."""
    steps = Steps(open_console())
    with run_folder() as folder, running_services(folder) as services:
        drive.register_source(services.aws, EVENT_SOURCE)
        deployment = deploy(services, steps, variants.settings(variants.DEFAULT, services.aws))
        observer = Observer(services, deployment.outputs, since=time.time() * MILLISECONDS)
        others, ends = drive.split_ends([sample.envelope for sample in envelopes.default_set()])
        events = [*others, *ends]
        sent: tuple[SentEvent, ...] = ()
        with steps.step("send the samples one by one") as step:
            for number, envelope in enumerate(events, 1):
                sent += drive.send(services.aws, EVENT_SOURCE, [envelope])
                drive.wait_until_accounted(sent, observer)
                step.advance_to(number, len(events))
        how = (
            f"`make measure`: {len(events)} shipped samples one by one, Python {host_target().python}, "
            f"embedded AWS and reference API on loopback, {os.cpu_count()} shared processors"
        )
        found = usage.measure(services.aws, deployment.outputs, events, how)
    if found is None:
        sys.exit("measure: no function reported an invocation")
    measured.FILE.write_text(found.model_dump_json(indent=2) + "\n", encoding="utf-8")
    print_line(f"{measured.FILE.name} written")


if __name__ == "__main__":
    main()
