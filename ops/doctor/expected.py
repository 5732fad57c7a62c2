"""The rules that an environment should have, from its settings and the routing table.

`infra/constructs` creates them; end-to-end tests hold the two against each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from functions.pipeline import routing_table
from functions.shared import names
from infra import patterns
from infra.names import PROJECT
from infra.settings import Settings
from ops.dlq import queues
from ops.rights.place import Place

EVENTS_QUEUE: Final = f"events{queues.FIFO}"


@dataclass(frozen=True)
class ExpectedRule:
    """A rule of the bus, its only target and its dead-letter queue.

    Parameters
    ----------
    target_arn
        A function, the audit queue, or the log group of the bus.
    group
        The message group of a FIFO target; empty for another target.
    dead_letter
        The short name of the queue.
    """

    name: str
    arn: str
    pattern: str
    target_arn: str
    dead_letter: str
    group: str = ""

    @property
    def invokes(self) -> bool:
        """Whether its target is a function."""
        return ":lambda:" in self.target_arn


def rules(place: Place, settings: Settings) -> tuple[ExpectedRule, ...]:
    """Return the rules of an environment."""
    routed = {family: routing_table.event_types(family) for family in names.HANDLERS}
    matching = patterns.by_message_group(place.bus, routed)
    found = [
        _rule(place, handler, matching[handler], place.functions(handler)[0], f"{handler}-dlq")
        for handler in names.HANDLERS
    ]
    queue = place.arn("sqs", place.name(EVENTS_QUEUE))
    for group, pattern in matching.items():
        part = "audit" if group == names.OTHER_MESSAGE_GROUP else f"audit-{group}"
        found.append(_rule(place, part, pattern, queue, f"audit-{group}-dlq", group))
    if settings.bus_logs:
        log = place.arn("logs", f"log-group:/aws/events/{PROJECT}-{place.environment}")
        found.append(_rule(place, "log", patterns.everything(place.bus), log, queues.LOG_QUEUE))
    return tuple(found)


def functions(settings: Settings) -> tuple[str, ...]:
    """Return the functions that the settings deploy."""
    redrive = ("redrive",) if settings.auto_redrive else ()
    reconcile = ("reconcile",) if settings.reconcile != names.OFF else ()
    compact = ("compact",) if settings.ledger_compaction else ()
    return (*names.HANDLERS, "audit", *redrive, *reconcile, *compact)


def dead_letters(settings: Settings) -> tuple[str, ...]:
    """Return the short names of the dead-letter queues that the settings deploy."""
    absent = {
        *([] if settings.create_kms_key else [queues.BUS_QUEUE]),
        *([] if settings.bus_logs else [queues.LOG_QUEUE]),
    }
    return tuple(name for name in queues.NAMES if name not in absent)


def _rule(
    place: Place, part: str, pattern: str, target_arn: str, dead_letter: str, group: str = ""
) -> ExpectedRule:
    return ExpectedRule(place.name(part), place.rules(part)[0], pattern, target_arn, dead_letter, group)
