"""Calls that an SDK repeats get the answer of their first attempt, as if no answer had been lost.

Now and then an answer of the embedded AWS does not reach Terraform on a busy machine; why is not known. The
SDK repeats the call, and a repeated CreateLogGroup fails because the group exists. It would on AWS too, which
loses fewer answers. All attempts of a call carry one id (AWS SDKs, `amz-sdk-invocation-id` and
`amz-sdk-request`).

Calls of functions are always executed: what a repeated write does is part of what is tested.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from ops.emulator.faults import FUNCTION_AGENT

logger = logging.getLogger(__name__)

INVOCATION: Final = "amz-sdk-invocation-id"
ATTEMPT: Final = re.compile(r"\battempt=(\d+)")
# Calls whose answers are kept: an SDK repeats within seconds.
KEPT: Final = 512
# Bytes of the largest answer that is kept: what creates something answers with less.
LARGEST: Final = 64 * 1024
SUCCESS: Final = range(200, 300)

Message = dict[str, Any]
Send = Callable[[Message], Awaitable[None]]
Answer = list[Message]


class Repeats:
    """The answers of the last calls, by the id of the call."""

    def __init__(self) -> None:
        self._answers: OrderedDict[str, asyncio.Future[Answer]] = OrderedDict()

    async def answer(
        self, headers: Mapping[str, str], execute: Callable[[Send], Awaitable[None]], send: Send
    ) -> None:
        """Execute a call and send its answer, or send the answer of an earlier attempt that succeeded.

        Parameters
        ----------
        headers
            Their names are in lower case.
        execute
            Executes the call with a function that sends its answer.
        """
        call = headers.get(INVOCATION)
        if call is None or FUNCTION_AGENT in headers.get("user-agent", ""):
            await execute(send)
            return
        earlier = await self._earlier(call, headers)
        for message in earlier:
            await send(message)
        if not earlier:
            await self._first(call, execute, send)

    async def _earlier(self, call: str, headers: Mapping[str, str]) -> Answer:
        """Return the answer of an earlier attempt, which may still be executed; nothing if it failed."""
        attempt = ATTEMPT.search(headers.get("amz-sdk-request", ""))
        if call not in self._answers or attempt is None or attempt[1] == "1":
            return []
        answer = await asyncio.shield(self._answers[call])
        if answer:
            logger.warning("repeated, so its answer was lost: %s", headers.get("x-amz-target", call))
        return answer

    async def _first(self, call: str, execute: Callable[[Send], Awaitable[None]], send: Send) -> None:
        answer: Answer = []
        future = self._answers[call] = asyncio.get_running_loop().create_future()
        while len(self._answers) > KEPT:
            self._answers.popitem(last=False)

        async def keep(message: Message) -> None:
            answer.append(message)
            await send(message)

        try:
            await execute(keep)
        finally:
            future.set_result(answer if _is_kept(answer) else [])


def _is_kept(answer: Answer) -> bool:
    size = sum(len(message.get("body", b"")) for message in answer)
    return bool(answer) and answer[0].get("status") in SUCCESS and size <= LARGEST
