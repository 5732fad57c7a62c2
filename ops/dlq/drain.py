"""Work on all chosen letters: one round over every queue, and more over FIFO queues, until nothing new comes.

A FIFO queue shows the first ten messages of a group, and the next only when those are deleted. Letters that
come while the work goes on, such as those that a handler parks again, are left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field

from functions.dead_letters.message import DeadLetterMessage
from ops.console import plural
from ops.dlq.filters import Choice
from ops.dlq.held import HOLD_SECONDS, LOOK_SECONDS, MOST_HELD, Held, holding
from ops.dlq.interrupts import Interruption
from ops.dlq.queues import Queue
from ops.progress import Steps

Letters = list[tuple[DeadLetterMessage, Queue]]


@dataclass
class Seen:
    """What the queues held, and what of it was seen.

    Parameters
    ----------
    sizes
        Messages by queue as SQS counted them before, hidden ones included.
    seen
        The ids of the messages that came, by queue.
    """

    sizes: dict[str, int]
    seen: dict[str, set[str]] = field(default_factory=dict)

    def unseen(self, queue: str) -> int:
        """How many messages of a queue did not come: others hold them, or they wait behind their group's."""
        return max(0, self.sizes[queue] - len(self.seen.get(queue, ())))

    @property
    def all_unseen(self) -> int:
        """How many messages did not come from any queue."""
        return sum(self.unseen(queue) for queue in self.sizes)


def look(
    queues: Sequence[Queue], choice: Choice, steps: Steps, interrupted: Interruption
) -> tuple[Letters, Seen]:
    """Return the chosen letters, oldest first; all of them are given back by then.

    Raises
    ------
    OperatorError
        A queue can't be read.
    """
    counts = Seen({queue.name: queue.size() for queue in queues})
    with steps.step("read the queues") as step, holding(LOOK_SECONDS) as held:
        held.take(queues, interrupted, lambda count: step.advance_to(count))
        letters = held.items()
        step.note = plural(len(letters), "letter")
    _note(counts, letters)
    return [(letter, queue) for letter, queue in letters if choice.takes(letter)], counts


def rounds(
    queues: Sequence[Queue],
    wanted: Callable[[DeadLetterMessage, Queue], bool],
    steps: Steps,
    interrupted: Interruption,
    counts: Seen,
) -> Generator[tuple[Held, Letters], None, None]:
    """Yield what is held and the chosen letters of it, round by round; the rest is given back at once.

    Between two rounds, and when the generator is closed, everything that is still held is given back.

    Raises
    ------
    OperatorError
        A queue can't be read.
    """
    places = list(queues)
    while places and not interrupted:
        with holding(HOLD_SECONDS) as held:
            with steps.step("take the letters") as step:
                held.take(places, interrupted, lambda count: step.advance_to(count), MOST_HELD)
                step.note = plural(len(held), "letter")
            letters = held.items()
            known = {
                letter: letter.message_id in counts.seen.get(queue.name, ()) for letter, queue in letters
            }
            chosen = [item for item in letters if not known[item[0]] and wanted(*item)]
            _note(counts, letters)
            meant = {letter for letter, _ in chosen}
            held.give_back([letter for letter, _ in letters if letter not in meant])
            if chosen and not interrupted:
                yield held, chosen
            new = {queue.name for letter, queue in letters if not known[letter]}
        places = [queue for queue in places if queue.fifo and queue.name in new]


def _note(counts: Seen, letters: Letters) -> None:
    for letter, queue in letters:
        counts.seen.setdefault(queue.name, set()).add(letter.message_id)
