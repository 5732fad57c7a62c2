"""How far Stripe's list was compared: items of the idempotency table, which never expire."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from functions.shared import aws, names

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TABLE: Final = "the idempotency table"


@dataclass(frozen=True, slots=True)
class Lacking:
    """An event that was found to be lacking and was not handed over; ``created`` in Unix seconds."""

    id: str
    type: str
    created: int

    @classmethod
    def of(cls, event: Mapping[str, Any]) -> Lacking:
        """Remember of an event what finds it again."""
        return cls(event["id"], event["type"], int(event["created"]))

    def event(self) -> dict[str, Any]:
        """Return what is remembered of the event, as Stripe names it."""
        return {"id": self.id, "type": self.type, "created": self.created}


@dataclass(frozen=True, slots=True)
class Position:
    """Everything that Stripe made before ``compared_until`` was compared, and is there but for ``lacking``.

    Parameters
    ----------
    compared_until
        Unix seconds.
    complete
        Whether the run that wrote this came to its end; where not, the next one goes on from here.
    looked_at
        When that run began, in Unix seconds: what lacks was looked for after that.
    """

    compared_until: int
    complete: bool
    looked_at: int
    lacking: tuple[Lacking, ...] = ()


@dataclass(frozen=True)
class Checkpoint:
    """The item of one comparison of one environment.

    Two runs at once may overwrite each other's position. Each position is true by itself, so that costs
    another comparison and loses nothing.
    """

    client: DynamoDBClient = field(repr=False)
    table: str
    key: str = names.RECONCILE_CHECKPOINT

    def read(self) -> Position | None:
        """Return the last position, or None before the first run.

        Raises
        ------
        TransientError, ConfigurationError
            DynamoDB did not answer, or refused.
        """
        try:
            item = self.client.get_item(TableName=self.table, Key=self._key(), ConsistentRead=True).get(
                "Item"
            )
        except aws.AwsError as error:
            raise aws.fault(TABLE, error) from error
        if item is None:
            return None
        until = int(item["compared_until"]["N"])
        return Position(
            until,
            item["complete"]["BOOL"],
            int(item["looked_at"]["N"]) if "looked_at" in item else until,
            tuple(Lacking(*each) for each in json.loads(item["lacking"]["S"])) if "lacking" in item else (),
        )

    def write(self, position: Position) -> None:
        """Keep a position.

        Raises
        ------
        TransientError, ConfigurationError
            DynamoDB did not answer, or refused.
        """
        lacking = [[each.id, each.type, each.created] for each in position.lacking]
        try:
            self.client.put_item(
                TableName=self.table,
                Item={
                    **self._key(),
                    "compared_until": {"N": str(position.compared_until)},
                    "complete": {"BOOL": position.complete},
                    "looked_at": {"N": str(position.looked_at)},
                    "lacking": {"S": json.dumps(lacking, separators=(",", ":"))},
                },
            )
        except aws.AwsError as error:
            raise aws.fault(TABLE, error) from error

    def _key(self) -> Any:
        return {names.IDEMPOTENCY_KEY_ATTRIBUTE: {"S": self.key}}


def table_created_at(client: DynamoDBClient, table: str) -> int:
    """Return when the idempotency table was made, in Unix seconds: with the pipeline's first deploy.

    Raises
    ------
    TransientError, ConfigurationError
        DynamoDB did not answer, or refused.
    """
    try:
        described = client.describe_table(TableName=table)["Table"]
    except aws.AwsError as error:
        raise aws.fault(TABLE, error) from error
    return int(described["CreationDateTime"].timestamp())
