"""Two phases with an API that loses answers, rolls back calls in progress, and applies calls late.

The API uses one idempotency dialect after the other (`ops/reference/huntaze/dialects.py`). With the
contract's codes every event recovers automatically. Without codes the outcome of some calls stays unknown:
their events wait in dead-letter queues until an operator redrives them by id.
"""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from functions.dead_letters.message import DOUBTFUL, TRANSIENT
from ops import ROOT
from ops.chaos.faults import FaultSpec, with_seed
from ops.chaos.history import PlannedDelivery, payment
from ops.chaos.stage import Stage
from ops.errors import OperatorError
from ops.local.deployment import ENVIRONMENT, shell_exports
from ops.local.observations import ParkedMessage
from ops.reference.huntaze.dialects import CODED, DIALECTS

# A call in progress ends after an invocation's second attempt and before its last one.
WORK_SECONDS: Final = 1.5
UNTIL_SETTLED: Final = 5
# By their name in the report.
FAILURES: Final[Mapping[str, FaultSpec]] = {
    "API applies a call after it was cut off": {"reset": True, "applies": True, "work": WORK_SECONDS},
    "API rolls back a call that was cut off": {"reset": True, "work": WORK_SECONDS},
    "API rolls back a call after a gateway's 504": {"status": 504, "work": WORK_SECONDS},
    "API applies a call and its answer is lost": {"reset": True, "applies": True},
}
SHARE: Final = 0.15
ANOTHER_BODY: Final = "another body under a known key"
WAITING: Final = "events in doubt in dead-letter queues"


def play_coded(stage: Stage) -> None:
    """Send all events to an API whose answers have codes."""
    _play(stage, CODED.name, len(stage.pending))


def play_codeless(stage: Stage) -> None:
    """Send part of the events to an API of each dialect without codes; redrive by id what is in doubt."""
    names = [name for name, dialect in DIALECTS.items() if not dialect.codes]
    for place, name in enumerate(names, 1):
        _play(stage, name, len(stage.pending) // (len(names) - place + 1))
        _settle(stage)
    stage.servers.use_dialect(CODED.name)


def _play(stage: Stage, dialect: str, count: int) -> None:
    """Send `count` events; one of them loses every answer and is then sent again with another body."""
    stage.servers.use_dialect(dialect)
    lost = payment(f"{dialect} {stage.pending[0].event.id}")
    stage.pending[:2] = [lost]
    stage.servers.inject_api_fault(
        {"reset": True, "applies": True, "idempotency_key": lost.event.id},
    )
    for fault in FAILURES.values():
        stage.servers.inject_api_fault({**fault, "times": 1})
        stage.servers.inject_api_fault(with_seed({**fault, "probability": SHARE}, len(stage.sent)))
    stage.send(count - 1)
    stage.wait_until_ended()
    (_, *struck), _ = stage.servers.remove_faults()
    for name, once, by_chance in zip(FAILURES, struck[::2], struck[1::2], strict=True):
        stage.add_injected(name, once + by_chance)
    stage.pending.insert(0, with_other_body(lost))
    stage.send(1)
    stage.add_injected(ANOTHER_BODY)
    stage.wait_until_ended()


def with_other_body(delivery: PlannedDelivery) -> PlannedDelivery:
    """Return the same event with a body that the API rejects unless it has applied the event before."""
    detail: dict[str, Any] = copy.deepcopy(delivery.detail)
    detail["data"]["object"]["currency"] = "xts"
    return replace(delivery, detail=detail)


def _settle(stage: Stage) -> None:
    """Redrive each event in doubt by id, as an operator does after checking it at the API."""
    doubtful = _in_doubt(stage)
    stage.add_injected(WAITING, len(doubtful))
    for _ in range(UNTIL_SETTLED):
        if not doubtful:
            return
        _redrive(stage, sorted(doubtful))
        stage.wait_until_ended()
        doubtful = _in_doubt(stage)


def _in_doubt(stage: Stage) -> set[str]:
    """Return the events whose dead-letter message leaves the outcome of an earlier call unknown."""
    return {one.event_id for one in stage.observer.look().parked if one.event_id and is_in_doubt(one)}


def is_in_doubt(message: ParkedMessage) -> bool:
    """Whether a message's event may have been applied; one that waited for another event was not called."""
    return message.error == DOUBTFUL or (message.kind == TRANSIENT and message.error != "UnsettledError")


def _redrive(stage: Stage, events: list[str]) -> None:
    """Run the operator's command. Its exit code is 1 if a message is left, which is not an error here."""
    names = [option for event in events for option in ("--event-id", event)]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "ops",
            "dlq",
            "redrive",
            "--env",
            ENVIRONMENT,
            "--settle",
            "--yes",
            "--json",
            *names,
        ],
        cwd=ROOT,
        env={name: os.environ[name] for name in ("PATH", "HOME")} | shell_exports(stage.deployment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        json.loads(done.stdout)
    except ValueError:
        raise OperatorError(f"the redrive of the chaos run failed: {done.stderr.strip()}") from None
