"""A real outage on the embedded AWS, which the simulation is compared with: `simulate --measure`.

Events arrive while the API refuses connections, until Lambda's retries have put every one of them into a
dead-letter queue. The API returns when a run of the redrive has just found it down, so the next run is an
interval later.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any, Final

from functions.shared.names import HANDLERS
from ops.bundles import described_python
from ops.chaos.servers import RETRY_BASE_SECONDS, Servers, running_servers
from ops.chaos.stage import REDRIVE, RUN_ENDED
from ops.errors import OperatorError
from ops.local import drive, envelopes
from ops.local.deployment import EVENT_SOURCE, Deployment, deploy
from ops.local.folder import run_folder
from ops.local.observer import Observer
from ops.local.usage import durations
from ops.progress import Steps
from ops.simulation.kept import Experiment

# One of each handler, each about an object of its own: every event needs a call of its own.
TYPES: Final = ("payment_intent.succeeded", "invoice.paid")
EVENTS: Final = 400
WARM_UP: Final = 24
# As prod, but for the interval and the concurrency, which a laptop can carry.
SETTINGS: Final[Mapping[str, str]] = {
    "AUTO_REDRIVE": "true",
    "AUTO_REDRIVE_MINUTES": "1",
    "AUTO_REDRIVE_PER_SECOND": "5",
    "PAYMENTS_RESERVED_CONCURRENCY": "4",
    "BILLING_RESERVED_CONCURRENCY": "4",
}
POLL_SECONDS: Final = 0.5
# Much longer than the simulation expects.
DEADLINE_SECONDS: Final = 900.0
MILLISECONDS: Final = 1000
DEAD_LETTERS: Final = tuple(f"-{handler}-dlq-" for handler in HANDLERS)


def measure(steps: Steps) -> Experiment:
    """Deploy `dev` to an embedded AWS, play the outage, and return what was observed.

    Raises
    ------
    OperatorError
        A step fails, or does not end.
    """
    with ExitStack() as running:
        folder = running.enter_context(run_folder())
        with steps.step("start the servers"):
            servers = running.enter_context(running_servers(folder))
            drive.register_source(servers.services.aws, EVENT_SOURCE)
        running.enter_context(servers.services.watch.guarding("during the outage"))
        deployment = deploy(servers.services, steps, SETTINGS)
        return _Outage(servers, deployment, steps).play()


class _Outage:
    def __init__(self, servers: Servers, deployment: Deployment, steps: Steps) -> None:
        self._servers = servers
        self._aws = servers.services.aws
        self._outputs = deployment.outputs
        self._steps = steps
        self._observer = Observer(servers.services, deployment.outputs, time.time() * MILLISECONDS)

    def play(self) -> Experiment:
        events = _events(EVENTS + WARM_UP)
        with self._steps.step("warm up"):
            warm = drive.send(self._aws, EVENT_SOURCE, events[:WARM_UP])
            drive.wait_until_accounted(warm, self._observer)
        self._servers.api.stop()
        begin = time.time()
        sent = drive.send(self._aws, EVENT_SOURCE, events[WARM_UP:])
        sending = time.time() - begin
        depths: list[tuple[float, int]] = []
        with self._steps.step("fill the dead-letter queues") as step:
            filled = self._sample(begin, depths, lambda depth: depth == len(sent), step.advance_to, len(sent))
        failed = self._mean_ms(begin)
        with self._steps.step("wait for a run of the redrive"):
            self._await_run(time.time())
        returned = time.time()
        self._servers.api.start()
        with self._steps.step("recover") as step:
            empty = self._sample(
                begin,
                depths,
                lambda depth: not depth,
                lambda left, all_: step.advance_to(all_ - left, all_),
                len(sent),
            )
        return Experiment(
            date=datetime.now(UTC).date(),
            how=f"{len(sent)} events to the embedded AWS while the API refused connections, "
            f"{described_python()}, {os.cpu_count()} shared processors",
            settings=SETTINGS,
            retry_seconds=float(RETRY_BASE_SECONDS),
            events={handler: sum(each.handler == handler for each in sent) for handler in HANDLERS},
            sending_seconds=round(sending, 1),
            failed_ms={name: round(ms, 1) for name, ms in failed.items()},
            filling_seconds=round(filled - begin, 1),
            returned_seconds=round(returned - begin, 1),
            recovery_seconds=round(empty - returned, 1),
            depths=tuple(depths),
        )

    def _mean_ms(self, since: float) -> dict[str, float]:
        """Return the mean duration of each handler's invocations since a Unix time."""
        return {
            handler: statistics.mean(durations(self._aws, self._outputs.functions[handler], since))
            for handler in HANDLERS
        }

    def _sample(
        self,
        begin: float,
        depths: list[tuple[float, int]],
        done: Callable[[int], bool],
        progress: Callable[[int, int], None],
        total: int,
    ) -> float:
        """Look at the handlers' dead-letter queues until `done`; return when that was."""
        deadline = time.time() + DEADLINE_SECONDS
        while (now := time.time()) < deadline:
            found = self._observer.queue_depths()
            depth = sum(
                number for name, number in found.items() if any(part in name for part in DEAD_LETTERS)
            )
            depths.append((round(now - begin, 1), depth))
            progress(depth, total)
            if done(depth):
                return now
            time.sleep(POLL_SECONDS)
        raise OperatorError(
            f"the dead-letter queues hold {depth} of {total} events after {DEADLINE_SECONDS:.0f} s"
        )

    def _await_run(self, since: float) -> None:
        """Wait until a run of the redrive has ended that began after a Unix time."""
        name = self._outputs.functions[REDRIVE].rpartition(":")[2]
        deadline = time.time() + DEADLINE_SECONDS
        while not self._aws.client("logs").filter_log_events(
            logGroupName=f"/aws/lambda/{name}",
            startTime=int(since * MILLISECONDS),
            filterPattern=f'"{RUN_ENDED}"',
        )["events"]:
            if time.time() > deadline:
                raise OperatorError("the redrive function does not run")
            time.sleep(POLL_SECONDS)


def _events(number: int) -> list[dict[str, Any]]:
    samples = [envelopes.Sample(envelopes.sample(each), each) for each in TYPES]
    return [each.envelope for each in envelopes.multiplied(samples, number // len(TYPES))]
