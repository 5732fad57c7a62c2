"""What forbids an erasure, each with what to do: asked before anything is changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ops.console import plural
from ops.customer.holdings import Holdings
from ops.customer.objects import Lock
from ops.dlq.drain import Messages
from ops.dlq.queues import AUDIT_QUEUES

# Ids of events that an error names; a command line with more is unreadable.
NAMED: Final = 5


def refusals(found: Holdings, locks: Sequence[Lock], *, purges: bool) -> list[str]:
    """Return why an erasure must not begin.

    Parameters
    ----------
    locks
        The locks of the versions that it would delete.
    purges
        Whether it may delete the customer's dead-letter messages.
    """
    return [*_unread(found), *_locked(locks), *_parked(found, purges=purges)]


def _unread(found: Holdings) -> list[str]:
    problems = []
    if found.frozen:
        problems.append(
            f"{plural(len(found.frozen), 'object')} of the ledger in an archive storage class, "
            f"{found.frozen[0]} first: restore with `aws s3api restore-object`, or add --since with a time "
            "before the customer's first event"
        )
    if found.damaged:
        problems.append(
            f"{plural(len(found.damaged), 'damaged object')} of the ledger, {found.damaged[0]} first: read "
            "by hand, and delete what holds the customer"
        )
    return problems


def _locked(locks: Sequence[Lock]) -> list[str]:
    problems = []
    if held := [lock for lock in locks if lock.until is None]:
        problems.append(f"{held[0]}{_and_more(held)}: have it removed, then repeat the command")
    if dated := [lock for lock in locks if lock.until is not None]:
        last = max(dated, key=lambda lock: lock.until or 0)
        problems.append(f"{last}{_and_more(dated, ' at most until then')}: repeat the command after that")
    return problems


def _and_more(locks: Sequence[Lock], until: str = "") -> str:
    return f", and {plural(len(locks) - 1, 'other version')}{until}" if len(locks) > 1 else ""


def _parked(found: Holdings, *, purges: bool) -> list[str]:
    """Return why dead-letter messages forbid an erasure.

    A message of the customer still has to be applied or deleted. One whose event the ledger does not hold is
    never deleted: reconcile would find the event missing, and fetch it from Stripe again.
    """
    env = found.environment.name
    audited = found.audited
    lost = [each for each in found.messages if each[0].event_id and each[0].event_id not in audited]
    rest = [each for each in found.messages if each not in lost]
    problems = []
    if found.unseen:
        problems.append(
            f"{plural(found.unseen, 'message')} of dead-letter queues not seen, which may be the customer's: "
            "repeat the command in a few minutes, or redrive what they wait behind"
        )
    if lost:
        unstored = _of_audit(lost)
        queues = "".join(f" --queue {queue}" for queue in _queues(unstored))
        command = f"dlq redrive --env {env}{queues}" if unstored else f"reconcile --env {env} --heal"
        problems.append(
            f"{plural(len(lost), 'message')} of the customer in {', '.join(_queues(lost))}, whose event the "
            f"ledger does not hold: run `huntaze-stripe {command}`"
        )
    if rest and not purges:
        ids = dict.fromkeys(message.event_id for message, _ in rest if message.event_id)
        chosen = "".join(f" --event-id {event_id}" for event_id in [*ids][:NAMED])
        problems.append(
            f"{plural(len(rest), 'message')} of the customer in {', '.join(_queues(rest))}: see "
            f"`huntaze-stripe dlq show --env {env}{chosen}`, then redrive, or add --parked purge to delete"
        )
    return problems


def _of_audit(messages: Messages) -> Messages:
    return [each for each in messages if each[1].name in AUDIT_QUEUES]


def _queues(messages: Messages) -> list[str]:
    return sorted({queue.name for _, queue in messages})
