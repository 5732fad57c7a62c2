"""A dead-letter queue, read without losing anything: a message that is not deleted becomes visible again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from functions.dead_letters.message import DeadLetterMessage, parse
from functions.shared import aws

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

RECEIVE_BATCH: Final = 10  # the most that SQS returns at once
# Without a wait SQS asks only some of its servers, and may return no message although there are some
# (Amazon SQS, "Short and long polling").
WAIT_SECONDS: Final = 1
RESOURCE: Final = "the dead-letter queue"


@dataclass(frozen=True)
class DeadLetterQueue:
    """The queue at `url`; `name` is for people."""

    name: str
    url: str
    client: SQSClient = field(repr=False)

    def receive_all(
        self,
        *,
        visibility_timeout: int,
        most: int | None = None,
        on_batch: Callable[[int], None] = lambda _count: None,
        kept: Callable[[DeadLetterMessage], DeadLetterMessage] = lambda message: message,
    ) -> list[DeadLetterMessage]:
        """Receive the visible messages, and return them oldest first.

        A FIFO queue returns at most one batch of each message group until that batch is deleted or released.
        Receiving stops after half of the visibility timeout: soon after that, the first messages may become
        visible again. The rest of a large queue stays in the queue.

        Parameters
        ----------
        visibility_timeout
            Seconds for which other consumers do not see the messages.
        most
            How many messages to receive; None for no limit.
        on_batch
            Called with the number of messages after each call to SQS.
        kept
            Returns what to keep of a message, for example its `brief`.

        Raises
        ------
        TransientError, ConfigurationError
            SQS did not answer, or refused. The messages received so far are released.
        """
        received: dict[str, DeadLetterMessage] = {}
        end = time.monotonic() + visibility_timeout / 2
        try:
            while (most is None or len(received) < most) and time.monotonic() < end:
                wanted = RECEIVE_BATCH if most is None else min(RECEIVE_BATCH, most - len(received))
                batch = self.receive(visibility_timeout=visibility_timeout, most=wanted)
                known = len(received)
                received |= {message.message_id: kept(message) for message in batch}
                on_batch(len(batch))
                if len(received) == known:
                    break
        except BaseException:
            self.release(message.receipt for message in received.values())
            raise
        return sorted(received.values(), key=lambda message: message.failed_at)

    def receive(self, *, visibility_timeout: int, most: int = RECEIVE_BATCH) -> list[DeadLetterMessage]:
        """Receive up to ten messages, hidden from other consumers for `visibility_timeout` seconds.

        Raises
        ------
        TransientError, ConfigurationError
            SQS did not answer, or refused.
        """
        try:
            answer = self.client.receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=most,
                VisibilityTimeout=visibility_timeout,
                WaitTimeSeconds=WAIT_SECONDS,
                MessageAttributeNames=["All"],
                MessageSystemAttributeNames=["All"],
            )
        except aws.AwsError as error:
            raise aws.fault(RESOURCE, error) from error
        return [parse(received) for received in answer.get("Messages", [])]

    def delete(self, message: DeadLetterMessage) -> None:
        """Delete a message.

        Raises
        ------
        TransientError, ConfigurationError
            SQS did not answer, or refused.
        """
        try:
            self.client.delete_message(QueueUrl=self.url, ReceiptHandle=message.receipt)
        except aws.AwsError as error:
            raise aws.fault(RESOURCE, error) from error

    def release(self, receipts: Iterable[str]) -> None:
        """Make messages visible at once; after an error they become visible after their timeout."""
        self.change_visibility(receipts, visibility_timeout=0)

    def change_visibility(self, receipts: Iterable[str], *, visibility_timeout: int) -> None:
        """Hide received messages for so many seconds from now; after an error they keep their timeout."""
        remaining = list(receipts)
        for start in range(0, len(remaining), RECEIVE_BATCH):
            entries = [
                {"Id": str(number), "ReceiptHandle": receipt, "VisibilityTimeout": visibility_timeout}
                for number, receipt in enumerate(remaining[start : start + RECEIVE_BATCH])
            ]
            try:
                self.client.change_message_visibility_batch(QueueUrl=self.url, Entries=entries)  # type: ignore[arg-type]  # the stub wants its own dict type
            except aws.AwsError:
                return
