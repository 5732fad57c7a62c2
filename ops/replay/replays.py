"""The replays of an environment: describe, list, wait for and cancel them."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from functions.shared import names
from ops.environment import Environment, aws_errors
from ops.errors import OperatorError
from ops.replay.archive import Archive

# EventBridge API reference, StartReplay: ReplayName.
NAME: Final = re.compile(r"[.\-_A-Za-z0-9]{1,64}")
RUNNING: Final = ("STARTING", "RUNNING")
CANCELLING: Final = "CANCELLING"
COMPLETED: Final = "COMPLETED"
POLL_SECONDS: Final = 2.0


@dataclass(frozen=True)
class Replay:
    """A replay as EventBridge describes it; `replayed_until` is how far it has come."""

    name: str
    state: str
    since: datetime
    until: datetime
    replayed_until: datetime | None
    reason: str | None
    rule_arns: tuple[str, ...] = ()

    @property
    def forced(self) -> bool:
        """Whether it applies events again on purpose."""
        return self.name.startswith(names.FORCED_REPLAY_PREFIX)

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self.state not in (*RUNNING, CANCELLING)

    @property
    def seconds(self) -> tuple[int, int]:
        """How many of the window's seconds are replayed, and how many it has."""
        total = int((self.until - self.since).total_seconds())
        if self.state == COMPLETED:
            return total, total
        done = 0 if self.replayed_until is None else (self.replayed_until - self.since).total_seconds()
        return max(0, min(int(done), total)), total


def describe(environment: Environment, name: str) -> Replay:
    """Return a replay by its name.

    Raises
    ------
    OperatorError
        There is none, or the name can't be one.
    """
    if not NAME.fullmatch(name):
        raise OperatorError(
            f"invalid replay name {name!r}: `huntaze-stripe replay status` lists the names", usage=True
        )
    with aws_errors(f"the replay {name}"):
        return _replay(environment.client("events").describe_replay(ReplayName=name))


def listed(environment: Environment, archives: Sequence[Archive]) -> list[Replay]:
    """Return the replays of the archives, the newest window first; EventBridge keeps them for 90 days."""
    found = [replay for archive in archives for replay in _of(environment, archive)]
    return sorted(found, key=lambda replay: (replay.name, replay.since), reverse=True)


def wait(environment: Environment, name: str, progress: Callable[[Replay], None]) -> Replay:
    """Poll a replay until it has ended; `progress` is called with each answer."""
    while True:
        replay = describe(environment, name)
        progress(replay)
        if replay.ended:
            return replay
        time.sleep(POLL_SECONDS)


def cancel(environment: Environment, name: str) -> None:
    """Cancel a replay; events that were replayed stay replayed.

    Raises
    ------
    OperatorError
        There is none, or it has ended.
    """
    replay = describe(environment, name)
    if replay.state not in RUNNING:
        raise OperatorError(f"the replay {name} is {replay.state}: there is nothing to cancel")
    with aws_errors(f"to cancel the replay {name}"):
        environment.client("events").cancel_replay(ReplayName=name)


def _of(environment: Environment, archive: Archive) -> Iterator[Replay]:
    token: dict[str, str] = {}
    client = environment.client("events")
    while True:
        with aws_errors("the list of replays"):
            answer = client.list_replays(EventSourceArn=archive.arn, **token)
        yield from map(_replay, answer["Replays"])
        if not answer.get("NextToken"):
            return
        token = {"NextToken": answer["NextToken"]}


def _replay(item: dict[str, Any]) -> Replay:
    return Replay(
        name=item["ReplayName"],
        state=item["State"],
        since=item["EventStartTime"],
        until=item["EventEndTime"],
        replayed_until=item.get("EventLastReplayedTime"),
        reason=item.get("StateReason") or None,
        rule_arns=tuple(item.get("Destination", {}).get("FilterArns", ())),
    )
