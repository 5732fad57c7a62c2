"""Which letters are meant: the filters that all commands share."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from functions.dead_letters.message import KINDS, DeadLetterMessage
from functions.pipeline.envelope import TYPE
from functions.shared import names
from ops.errors import OperatorError
from ops.times import parse_time


@dataclass(frozen=True)
class Choice:
    """A letter is chosen where every filter that is given takes it; an empty filter is not given.

    Parameters
    ----------
    reason
        Part of the reason, in any case.
    before
        In Unix seconds; younger letters are not chosen.
    """

    kinds: tuple[str, ...] = ()
    reason: str = ""
    event_types: tuple[str, ...] = ()
    event_ids: tuple[str, ...] = ()
    before: float | None = None

    def takes(self, letter: DeadLetterMessage) -> bool:
        """Return whether a letter is chosen."""
        return (
            (not self.kinds or letter.kind in self.kinds)
            and self.reason.casefold() in letter.reason.casefold()
            and (not self.event_types or letter.event_type in self.event_types)
            and (not self.event_ids or letter.event_id in self.event_ids)
            and (self.before is None or letter.failed_at <= self.before)
        )


def read(
    *,
    kinds: Sequence[str],
    reason: str,
    event_types: Sequence[str],
    event_ids: Sequence[str],
    older_than: str,
    now: datetime,
) -> Choice:
    """Read the options as they were typed.

    Raises
    ------
    OperatorError
        One can't be what it should be.
    """
    for kind in kinds:
        if kind not in KINDS:
            near = difflib.get_close_matches(kind, KINDS, n=1)
            advice = f"did you mean {near[0]}?" if near else f"take {', '.join(KINDS)}"
            raise OperatorError(f"--kind {kind!r} is no kind of failure: {advice}", usage=True)
    for event_type in event_types:
        if not TYPE.fullmatch(event_type):
            raise OperatorError(
                f"--type {event_type!r} is no event type: write one like invoice.paid", usage=True
            )
    for event_id in event_ids:
        if not names.STRIPE_ID.fullmatch(event_id):
            raise OperatorError(
                f"--event-id {event_id!r} is no event id: write one like evt_1Nq…", usage=True
            )
    before = parse_time(older_than, "--older-than", now).timestamp() if older_than else None
    return Choice(tuple(kinds), reason, tuple(event_types), tuple(event_ids), before)
