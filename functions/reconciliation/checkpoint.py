"""How far Stripe's list was compared: one item of the idempotency table, which never expires."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from functions.pipeline import aws, names

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TABLE: Final = "the idempotency table"
_KEY: Final = {names.IDEMPOTENCY_KEY_ATTRIBUTE: {"S": names.RECONCILE_CHECKPOINT}}


@dataclass(frozen=True, slots=True)
class Position:
    """Everything that Stripe made before ``compared_until`` (Unix seconds) was compared.

    Parameters
    ----------
    complete
        Whether the run that wrote this came to its end; where not, the next one goes on from here.
    """

    compared_until: int
    complete: bool


@dataclass(frozen=True)
class Checkpoint:
    """The item of one environment.

    Two runs at once may overwrite each other's position. Each position is true by itself, so that costs
    another comparison and loses nothing.
    """

    client: DynamoDBClient = field(repr=False)
    table: str

    def read(self) -> Position | None:
        """Return the last position, or None before the first run.

        Raises
        ------
        TransientError, ConfigurationError
            DynamoDB did not answer, or refused.
        """
        try:
            item = self.client.get_item(TableName=self.table, Key=_KEY, ConsistentRead=True).get("Item")
        except aws.AwsError as error:
            raise aws.fault(TABLE, error) from error
        if item is None:
            return None
        return Position(int(item["compared_until"]["N"]), item["complete"]["BOOL"])

    def write(self, position: Position) -> None:
        """Keep a position.

        Raises
        ------
        TransientError, ConfigurationError
            DynamoDB did not answer, or refused.
        """
        try:
            self.client.put_item(
                TableName=self.table,
                Item={
                    **_KEY,
                    "compared_until": {"N": str(position.compared_until)},
                    "complete": {"BOOL": position.complete},
                },
            )
        except aws.AwsError as error:
            raise aws.fault(TABLE, error) from error
