"""Calls at once, with results in order and a limit on those that wait."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

# Results that wait for each worker: enough to keep it at work while the caller takes one.
WAITING: Final = 4


def in_order(call: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """Yield the result of `call` for each item, in the order of the items.

    An executor's own `map` begins every call at once and keeps all results that nobody has taken. This takes
    an item only when there is room for its result, so that memory does not grow with the number of items.

    Raises
    ------
    Exception
        What `call` raised, in its place.
    """
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[Result]] = deque()
        for item in items:
            waiting.append(pool.submit(call, item))
            if len(waiting) >= workers * WAITING:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
