"""Delete chosen letters, each of which is in a file on the disk by then."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from functions.dead_letters.message import DeadLetterMessage
from functions.shared.errors import EventError
from functions.shared.redaction import without_client_secrets
from ops.dlq.drain import Letters, Seen, rounds
from ops.dlq.held import Held, operator_error
from ops.dlq.interrupts import Interruption
from ops.dlq.queues import Queue, is_unsettled
from ops.errors import OperatorError
from ops.progress import Steps

FOLDER = Path("build") / "purged"


def default_file(environment: str, now: datetime) -> Path:
    """Return where the letters of a purge go unless somebody names another file."""
    return FOLDER / f"{environment}-{now.astimezone(UTC).strftime('%Y%m%dT%H%M%SZ')}.jsonl"


def check_new(file: Path) -> None:
    """Refuse a file that is there, or whose folder is not; the default's folder is made.

    Raises
    ------
    OperatorError
        With what to name instead.
    """
    if file.parent == FOLDER:
        with _file_errors(file):
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        str(file).encode()
    except UnicodeEncodeError:
        raise OperatorError(f"--file {str(file)!a} is no name in UTF-8: name another", usage=True) from None
    if os.path.lexists(file):
        raise OperatorError(f"--file {file} is there already: name a new file", usage=True)
    if not file.parent.is_dir():
        raise OperatorError(f"--file {file} is in no folder: make {file.parent} first", usage=True)


class Spared:
    """Letters that a purge leaves alone because their events have no known end.

    Parameters
    ----------
    nothing
        Whether somebody asked for them, too.
    """

    def __init__(self, *, nothing: bool) -> None:
        self._nothing = nothing
        self._seen: set[str] = set()

    def __call__(self, letter: DeadLetterMessage, queue: Queue) -> bool:
        """Return whether a letter is left alone, and count it."""
        spared = not self._nothing and is_unsettled(letter, queue)
        if spared:
            self._seen.add(letter.message_id)
        return spared

    @property
    def count(self) -> int:
        """How many letters were left alone."""
        return len(self._seen)


@dataclass
class Purge:
    """What was done so far; `stopped` says why it ended early."""

    counts: Seen
    file: Path
    written: int = 0
    deleted: int = 0
    stopped: OperatorError | None = None

    @property
    def left(self) -> int:
        """How many letters are in the file and still in their queues."""
        return self.written - self.deleted


def purge(
    queues: Sequence[Queue],
    wanted: Callable[[DeadLetterMessage, Queue], bool],
    file: Path,
    steps: Steps,
    interrupted: Interruption,
) -> Purge:
    """Write the wanted letters whole to the new file, then delete them, and return what was done.

    Raises
    ------
    OperatorError
        A queue can't be read, or the file not be written; nothing was deleted then.
    """
    work = Purge(Seen({queue.name: queue.size() for queue in queues}), file)
    try:
        with closing(rounds(queues, wanted, steps, interrupted, work.counts)) as taken:
            for held, letters in taken:
                with steps.step("write the file"):
                    write(file, letters, new=not work.written)
                    work.written += len(letters)
                with steps.step("delete") as step:
                    _delete(
                        held, letters, lambda done, total: step.advance_to(done, total), interrupted, work
                    )
                if work.stopped:
                    break
    except OperatorError as error:
        if not work.deleted:
            raise
        work.stopped = error
    return work


def write(file: Path, letters: Letters, *, new: bool) -> None:
    """Append letters to the file, which only its owner can read, and wait until they are on the disk.

    Raises
    ------
    OperatorError
        The file can't be written.
    """
    flags = os.O_WRONLY | os.O_APPEND | (os.O_CREAT | os.O_EXCL if new else 0)
    with _file_errors(file):
        descriptor = os.open(file, flags, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            _write(out, letters)
        if new:
            folder = os.open(file.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


def _write(out: BinaryIO, letters: Letters) -> None:
    for letter, queue in letters:
        out.write(json.dumps(whole(letter, queue)).encode() + b"\n")
    out.flush()
    os.fsync(out.fileno())


def whole(letter: DeadLetterMessage, queue: Queue) -> dict[str, Any]:
    """Return a message as SQS gave it, with nothing left out but client secrets of Stripe."""
    return {
        "queue": queue.letters.name,
        "message_id": letter.message_id,
        "kind": letter.kind,
        "reason": letter.reason,
        "event_id": letter.event_id,
        "event_type": letter.event_type,
        "attributes": dict(letter.attributes),
        "system_attributes": dict(letter.system_attributes),
        "body": without_client_secrets(letter.body),
    }


def _delete(
    held: Held,
    letters: Letters,
    told: Callable[[int, int], None],
    interrupted: Interruption,
    work: Purge,
) -> None:
    for done, (letter, queue) in enumerate(letters):
        told(done, len(letters))
        if interrupted:
            return
        held.keep()
        try:
            queue.letters.delete(letter)
        except EventError as error:
            work.stopped = operator_error(f"the queue {queue.letters.name}", error)
            return
        held.settled(letter)
        work.deleted += 1
    told(len(letters), len(letters))


@contextmanager
def _file_errors(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OperatorError(
            f"{file} can't be written ({error.strerror}): name another with --file; nothing of what it "
            "should hold was deleted"
        ) from error
