"""What is known about the messages of a standard queue, so that no call looks at all of them.

Only this module changes when a message of such a queue is visible. Who does so otherwise calls `forget`.
"""

from __future__ import annotations

import heapq
import math
import threading
from typing import Any, Final

from ministack.core.responses import new_uuid
from ministack.services import sqs

Data = dict[str, Any]

_lock: Final = threading.RLock()
# By the ARN of the queue.
_indexes: Final[dict[str, Index]] = {}


class Index:
    """The messages of one list, to which others may append.

    `messages[:hidden]` are hidden until `until`, and no message entered the queue before `oldest`. Messages
    are known by their places, which a list keeps until a message is removed.
    """

    def __init__(self, messages: list[Data]) -> None:
        self.oldest = math.inf
        self._messages = messages
        self._known = 0
        self._last: Data | None = None
        self._hidden, self._until = 0, math.inf
        self._places: dict[str, int] = {}
        self._in_flight: set[int] = set()
        # When each message that was received is visible again; also times that were changed since.
        self._returns: list[tuple[float, int]] = []

    def is_of(self, messages: list[Data]) -> bool:
        """Whether these are the messages that it knows, and perhaps further ones behind them."""
        return messages is self._messages and (
            self._known == 0 or (len(messages) >= self._known and messages[self._known - 1] is self._last)
        )

    def add_new(self, now: float) -> None:
        """Look at the messages that were appended."""
        for message in self._messages[self._known :]:
            sqs._ensure_msg_fields(message)
            entered = float(message.get("enqueued_at") or message["sent_at"])
            self.oldest = min(self.oldest, entered)
            if message["receipt_handle"] is not None:
                self._places[message["receipt_handle"]] = self._known
            if message["receive_count"] and message["visible_at"] > now:
                self._add_in_flight(self._known)
            self._last = message
            self._known += 1

    def receive(self, most: int, seconds: int, now: float) -> list[Data]:
        """Receive the first visible messages, as MiniStack does."""
        if now >= self._until:
            self._hidden, self._until = 0, math.inf
        received: list[Data] = []
        while self._hidden < self._known and len(received) < most:
            message = self._messages[self._hidden]
            if message["visible_at"] <= now:
                message["receipt_handle"] = new_uuid()
                message["visible_at"] = now + seconds
                message["receive_count"] += 1
                if message["first_receive_at"] is None:
                    message["first_receive_at"] = now
                self._places[message["receipt_handle"]] = self._hidden
                self._add_in_flight(self._hidden)
                received.append(message)
            self._until = min(self._until, message["visible_at"])
            self._hidden += 1
        return received

    def held(self, receipt: str) -> Data | None:
        """Return the message that was received last with a receipt."""
        place = self._places.get(receipt)
        message = self._messages[place] if place is not None else None
        return message if message is not None and message["receipt_handle"] == receipt else None

    def hide(self, receipt: str, seconds: int, now: float) -> bool:
        """Hide a message for so many seconds from now; return False if no message has the receipt."""
        message = self.held(receipt)
        if message is None:
            return False
        message["visible_at"] = now + seconds
        self._until = min(self._until, message["visible_at"])
        self._add_in_flight(self._places[receipt])
        return True

    def in_flight(self, now: float) -> int:
        """Return how many messages were received and are hidden."""
        while self._returns and self._returns[0][0] <= now:
            _, place = heapq.heappop(self._returns)
            if self._messages[place]["visible_at"] <= now:
                self._in_flight.discard(place)
        return len(self._in_flight)

    def _add_in_flight(self, place: int) -> None:
        self._in_flight.add(place)
        heapq.heappush(self._returns, (self._messages[place]["visible_at"], place))


def of(queue: Data, now: float) -> Index | None:
    """Return the index of a queue with all its messages; None for a FIFO queue.

    Use it within `exclusive()`: threads of the server and of event source mappings share it.
    """
    if queue["is_fifo"]:
        return None
    arn, messages = queue["attributes"]["QueueArn"], queue["messages"]
    found = _indexes.get(arn)
    if found is None or not found.is_of(messages):
        found = _indexes[arn] = Index(messages)
    found.add_new(now)
    return found


def exclusive() -> threading.RLock:
    """Return the lock of all indexes."""
    return _lock


def forget(queue: Data) -> None:
    """Look at all messages again at the next call."""
    with _lock:
        _indexes.pop(queue["attributes"]["QueueArn"], None)
