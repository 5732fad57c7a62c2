"""A dead-letter queue, read without losing anything: what is not deleted comes back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from functions.dead_letters.message import DeadLetter, read
from functions.shared import aws

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

RECEIVE_BATCH: Final = 10  # SQS gives no more at once
# Without a wait SQS asks only some of its servers, and may answer "nothing" where there is something
# (Amazon SQS, "Short and long polling").
WAIT_SECONDS: Final = 1
RESOURCE: Final = "the dead-letter queue"


@dataclass(frozen=True)
class DeadLetterQueue:
    """The queue at ``url``, called ``name`` by people."""

    name: str
    url: str
    client: SQSClient = field(repr=False)

    def take(
        self, *, seconds: int, most: int | None = None, told: Callable[[int], None] = lambda _count: None
    ) -> list[DeadLetter]:
        """Receive what is visible, hide it from others for ``seconds``, and return it, oldest first.

        ``told`` hears how many messages each call of SQS brought. A FIFO queue gives no more than one
        batch of each message group before that is deleted or given back. What a large queue holds beyond
        what is read within half of ``seconds`` stays there: by then the first ones may soon come again.

        Raises
        ------
        EventError
            The queue did not answer, or refused; what was taken is given back.
        """
        taken: dict[str, DeadLetter] = {}
        end = time.monotonic() + seconds / 2
        try:
            while (most is None or len(taken) < most) and time.monotonic() < end:
                wanted = RECEIVE_BATCH if most is None else min(RECEIVE_BATCH, most - len(taken))
                letters = self.receive(seconds=seconds, most=wanted)
                known = len(taken)
                taken |= {letter.message_id: letter for letter in letters}
                told(len(letters))
                if len(taken) == known:
                    break
        except BaseException:
            self.release(letter.receipt for letter in taken.values())
            raise
        return sorted(taken.values(), key=lambda letter: letter.failed_at)

    def receive(self, *, seconds: int, most: int = RECEIVE_BATCH) -> list[DeadLetter]:
        """Receive up to ten messages, and hide them for ``seconds``. Raises as :meth:`take` does."""
        try:
            answer = self.client.receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=most,
                VisibilityTimeout=seconds,
                WaitTimeSeconds=WAIT_SECONDS,
                MessageAttributeNames=["All"],
                MessageSystemAttributeNames=["All"],
            )
        except aws.AwsError as error:
            raise aws.fault(RESOURCE, error) from error
        return [read(message) for message in answer.get("Messages", [])]

    def delete(self, letter: DeadLetter) -> None:
        """Delete a message. Raises as :meth:`take` does."""
        try:
            self.client.delete_message(QueueUrl=self.url, ReceiptHandle=letter.receipt)
        except aws.AwsError as error:
            raise aws.fault(RESOURCE, error) from error

    def release(self, receipts: Iterable[str]) -> None:
        """Show messages to others again at once. One that can't be is shown when its time is over."""
        self.hide(receipts, seconds=0)

    def hide(self, receipts: Iterable[str], *, seconds: int) -> None:
        """Hide messages that were taken for so many seconds from now; one that can't be keeps its time."""
        waiting = list(receipts)
        for place in range(0, len(waiting), RECEIVE_BATCH):
            entries = [
                {"Id": str(number), "ReceiptHandle": receipt, "VisibilityTimeout": seconds}
                for number, receipt in enumerate(waiting[place : place + RECEIVE_BATCH])
            ]
            try:
                self.client.change_message_visibility_batch(QueueUrl=self.url, Entries=entries)  # type: ignore[arg-type]  # the stub wants its own dict type
            except aws.AwsError:
                return
