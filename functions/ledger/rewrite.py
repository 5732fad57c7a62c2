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
_CONDITION_FAILED: Final = "ConditionalCheckFailedException"
_FREE: Final = "attribute_not_exists(lease_until) OR lease_until < :now"


@dataclass
class RewriteLease:
    """The lease of one holder, for `seconds` after it was acquired or renewed; it also expires by itself.

    An erasure may follow an erasure that was killed, so the same kind may take the lease over where
    `kind` is `ERASURE`: erasures do not undo each other.

    Parameters
    ----------
    kind
        `COMPACTION` or `ERASURE`.
    until
        When the lease ends, in Unix seconds.
    """

    client: DynamoDBClient = field(repr=False)
    table: str
    kind: str
    seconds: int
    holder: str = field(default_factory=lambda: str(uuid.uuid4()))
    until: float = 0.0
    clock: Callable[[], float] = time.time

    def acquire(self) -> bool:
        """Acquire the lease, or return False if the other kind holds it.

        Raises
        ------
        TransientError, ConfigurationError
            The table did not answer, or refused.
        """
        same = " OR kind = :kind" if self.kind == ERASURE else ""
        return self._write(f"{_FREE}{same}")

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
        """End the lease; ignore an error, because it also expires."""
        with suppress(*aws.AwsError):
            self.client.update_item(
                **self._item,
                UpdateExpression="REMOVE holder, kind, lease_until",
                ConditionExpression="holder = :holder",
                ExpressionAttributeValues={":holder": {"S": self.holder}},
            )

    def _write(self, condition: str) -> bool:
        now = self.clock()
        until = now + self.seconds
        values: dict[str, Any] = {
            ":holder": {"S": self.holder},
            ":kind": {"S": self.kind},
            ":until": {"N": str(int(until))},
        }
        if ":now" in condition:
            values[":now"] = {"N": str(int(now))}
        try:
            self.client.update_item(
                **self._item,
                UpdateExpression="SET holder = :holder, kind = :kind, lease_until = :until",
                ConditionExpression=condition,
                ExpressionAttributeValues=values,
            )
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") == _CONDITION_FAILED:
                return False
            raise aws.fault(TABLE, error) from error
        except aws.AwsError as error:
            raise aws.fault(TABLE, error) from error
        self.until = until
        return True

    @property
    def _item(self) -> Any:
        return {
            "TableName": self.table,
            "Key": {names.IDEMPOTENCY_KEY_ATTRIBUTE: {"S": names.LEDGER_REWRITE}},
        }
