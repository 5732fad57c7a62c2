"""The right to rewrite the ledger's objects, which a compaction and an erasure never hold at once.

A compaction that has read an object before an erasure and writes its lines afterwards would bring the erased
values back. Both take this lease first. It is an item of the idempotency table.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from functions.shared import aws, names

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TABLE: Final = "the idempotency table"
COMPACTION: Final = "compaction"
ERASURE: Final = "erasure"
# AWS refuses what a clock signs that is further off (IAM user guide, "Elements of an AWS API request
# signature"). So no clock that is ahead ends the lease of another holder early.
CLOCK_SKEW_SECONDS: Final = 15 * 60
_CONDITION_FAILED: Final = "ConditionalCheckFailedException"
_FREE: Final = "attribute_not_exists(lease_until) OR lease_until < :free_before"


@dataclass
class RewriteLease:
    """The lease of one holder, for `seconds` after it was acquired or renewed; it also expires by itself.

    Others take an expired lease over `CLOCK_SKEW_SECONDS` later, because their clocks may be ahead.

    An erasure may follow an erasure that was killed, so the same kind may take the lease over where
    `kind` is `ERASURE`: erasures do not undo each other. Nobody knows whether the other one was killed or is
    still at work. So a lease that was taken over is not released: it keeps the compaction away until it
    expires, which is later than the other one would have.

    Parameters
    ----------
    kind
        `COMPACTION` or `ERASURE`.
    until
        When the lease ends, in Unix seconds.
    shared
        Whether it was taken over from an erasure that had not released it.
    """

    client: DynamoDBClient = field(repr=False)
    table: str
    kind: str
    seconds: int
    holder: str = field(default_factory=lambda: str(uuid.uuid4()))
    until: float = 0.0
    shared: bool = False
    clock: Callable[[], float] = time.time

    def acquire(self) -> bool:
        """Acquire the lease, or return False if the other kind holds it.

        Raises
        ------
        TransientError, ConfigurationError
            The table did not answer, or refused.
        """
        same = " OR kind = :kind" if self.kind == ERASURE else ""
        return self._write(f"{_FREE}{same}", acquired=True)

    def renew(self) -> bool:
        """Extend the lease if less than half of it is left; return False if it was lost.

        Raises
        ------
        TransientError, ConfigurationError
            The table did not answer, or refused.
        """
        if self.clock() + self.seconds / 2 < self.until:
            return True
        return self._write("holder = :holder")

    def release(self) -> None:
        """End the lease, unless it is shared; ignore an error, because it also expires."""
        if self.shared:
            return
        with suppress(*aws.AwsError):
            self.client.update_item(
                **self._item,
                UpdateExpression="REMOVE holder, kind, lease_until",
                ConditionExpression="holder = :holder",
                ExpressionAttributeValues={":holder": {"S": self.holder}},
            )

    def _write(self, condition: str, *, acquired: bool = False) -> bool:
        now = self.clock()
        until = now + self.seconds
        free_before = int(now) - CLOCK_SKEW_SECONDS
        values: dict[str, Any] = {
            ":holder": {"S": self.holder},
            ":kind": {"S": self.kind},
            ":until": {"N": str(int(until))},
        }
        if ":free_before" in condition:
            values[":free_before"] = {"N": str(free_before)}
        try:
            former = self.client.update_item(
                **self._item,
                UpdateExpression="SET holder = :holder, kind = :kind, lease_until = :until",
                ConditionExpression=condition,
                ExpressionAttributeValues=values,
                ReturnValues="UPDATED_OLD",
            ).get("Attributes", {})
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") == _CONDITION_FAILED:
                return False
            raise aws.fault(TABLE, error) from error
        except aws.AwsError as error:
            raise aws.fault(TABLE, error) from error
        self.until = until
        if acquired:
            self.shared = "lease_until" in former and float(former["lease_until"]["N"]) >= free_before
        return True

    @property
    def _item(self) -> Any:
        return {
            "TableName": self.table,
            "Key": {names.IDEMPOTENCY_KEY_ATTRIBUTE: {"S": names.LEDGER_REWRITE}},
        }
