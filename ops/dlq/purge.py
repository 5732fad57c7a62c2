"""Delete the chosen messages, each of which is in a file on the disk by then."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from functions.dead_letters.message import DeadLetterMessage
from functions.shared.errors import EventError
from functions.shared.redaction import without_client_secrets
from ops import new_file
from ops.dlq.drain import Messages, QueueCounts, Wanted, batches
from ops.dlq.held import HeldMessages, operator_error
from ops.dlq.interrupts import Interruption
from ops.dlq.queues import NamedQueue, is_unsettled
from ops.dlq.session import Session
from ops.errors import OperatorError
from ops.progress import Step

FOLDER: Final = Path("build") / "purged"


def default_file(environment: str, now: datetime) -> Path:
    """Return the file of a purge that names none."""
    return FOLDER / f"{environment}-{now.astimezone(UTC).strftime('%Y%m%dT%H%M%SZ')}.jsonl"


def check_new(file: Path) -> None:
    """Refuse a file that can't be written; see `new_file.check`."""
    new_file.check("--file", file, FOLDER, if_it_exists="use a new name")


class Skipped:
    """Messages that a purge leaves alone because the outcome of their events is unknown.

    Parameters
    ----------
    nothing
        Whether the operator asked for them too.
    """

    def __init__(self, *, nothing: bool) -> None:
        self._nothing = nothing
        self._ids: set[str] = set()

    def __call__(self, message: DeadLetterMessage, queue: NamedQueue) -> bool:
        """Return whether a message is left alone, and count it."""
        skipped = not self._nothing and is_unsettled(message, queue)
        if skipped:
            self._ids.add(message.message_id)
        return skipped

    @property
    def count(self) -> int:
        """How many messages were left alone."""
        return len(self._ids)


@dataclass
class Purge:
    """What was done so far; `stopped` says why it ended early."""

    counts: QueueCounts
    file: Path
    written: int = 0
    deleted: int = 0
    stopped: OperatorError | None = None

    @property
    def left(self) -> int:
        """How many messages are in the file and still in their queues."""
        return self.written - self.deleted

    def document(self, skipped: int) -> dict[str, Any]:
        """Return what was written and deleted, for programs."""
        return {
            "file": str(self.file) if self.written else None,
            "written": self.written,
            "deleted": self.deleted,
            "left": self.left,
            "unsettled_spared": skipped,
            "unseen": self.counts.all_unseen,
        }


def run(session: Session, wanted: Wanted, file: Path, interrupted: Interruption) -> Purge:
    """Write the wanted messages to the new file, then delete them, and return what was done.

    Raises
    ------
    OperatorError
        A queue can't be read, or the file can't be written; nothing was deleted then.
    """
    work = Purge(QueueCounts.of(session.queues), file)
    try:
        with closing(batches(session.queues, wanted, session.steps, interrupted, work.counts)) as received:
            for held, messages in received:
                with session.steps.step("write the file"):
                    write(file, messages, new=not work.written)
                    work.written += len(messages)
                with session.steps.step("delete") as step:
                    _delete(held, messages, step, interrupted, work)
                if work.stopped:
                    break
    except OperatorError as error:
        if not work.deleted:
            raise
        work.stopped = error
    return work


def write(file: Path, messages: Messages, *, new: bool) -> None:
    """Append messages to the file, which only its owner can read, and wait until they are on the disk.

    Raises
    ------
    OperatorError
        The file can't be written.
    """
    flags = os.O_WRONLY | os.O_APPEND | (os.O_CREAT | os.O_EXCL if new else 0)
    with _file_errors(file):
        descriptor = os.open(file, flags, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            for message, queue in messages:
                out.write(json.dumps(whole_message(message, queue)).encode() + b"\n")
            out.flush()
            os.fsync(out.fileno())
        if new:
            folder = os.open(file.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


def whole_message(message: DeadLetterMessage, queue: NamedQueue) -> dict[str, Any]:
    """Return a message as SQS returned it, without client secrets of Stripe."""
    return {
        "queue": queue.messages.name,
        "message_id": message.message_id,
        "kind": message.kind,
        "reason": message.reason,
        "event_id": message.event_id,
        "event_type": message.event_type,
        "attributes": dict(message.attributes),
        "system_attributes": dict(message.system_attributes),
        "body": without_client_secrets(message.body),
    }


def _delete(
    held: HeldMessages, messages: Messages, step: Step, interrupted: Interruption, work: Purge
) -> None:
    for done, (message, queue) in enumerate(messages):
        step.advance_to(done, len(messages))
        if interrupted:
            return
        held.extend()
        try:
            queue.messages.delete(message)
        except EventError as error:
            work.stopped = operator_error(f"the queue {queue.messages.name}", error)
            return
        held.forget(message)
        work.deleted += 1
    step.advance_to(len(messages), len(messages))


@contextmanager
def _file_errors(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OperatorError(
            f"can't write {file} ({error.strerror}): use another --file; the messages that it should hold "
            "were not deleted"
        ) from error
