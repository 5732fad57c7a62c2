"""How far Stripe's list was compared, in items of the idempotency table that never expire."""

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
class MissingEvent:
    """An event that was missing and was not healed; `created` in Unix seconds."""

    id: str
    type: str
    created: int

    @classmethod
    def of(cls, event: Mapping[str, Any]) -> MissingEvent:
        """Keep of an event what finds it again."""
        return cls(event["id"], event["type"], int(event["created"]))

    def event(self) -> dict[str, Any]:
        """Return the same fields under Stripe's names."""
        return {"id": self.id, "type": self.type, "created": self.created}


@dataclass(frozen=True, slots=True)
class Position:
    """All events created before `compared_until` were compared; of those only `missing` are missing.

    Parameters
    ----------
    compared_until
        Unix seconds.
    complete
        Whether the run that saved this was complete; if not, the next one continues from here.
    checked_at
        When that run began, in Unix seconds: the missing events were searched for after that.
    """

    compared_until: int
    complete: bool
    checked_at: int
    missing: tuple[MissingEvent, ...] = ()


@dataclass(frozen=True)
class Checkpoint:
    """The item of one comparison.

    Two concurrent runs may overwrite each other's position. Each position is true by itself, so this costs
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
            tuple(MissingEvent(*each) for each in json.loads(item["lacking"]["S"]))
            if "lacking" in item
            else (),
        )

    def write(self, position: Position) -> None:
        """Save a position.

        Raises
        ------
        TransientError, ConfigurationError
            DynamoDB did not answer, or refused.
        """
        missing = [[each.id, each.type, each.created] for each in position.missing]
        try:
            self.client.put_item(
                TableName=self.table,
                Item={
                    **self._key(),
                    "compared_until": {"N": str(position.compared_until)},
                    "complete": {"BOOL": position.complete},
                    "looked_at": {"N": str(position.checked_at)},
                    "lacking": {"S": json.dumps(missing, separators=(",", ":"))},
                },
            )
        except aws.AwsError as error:
            raise aws.fault(TABLE, error) from error

    def _key(self) -> Any:
        return {names.IDEMPOTENCY_KEY_ATTRIBUTE: {"S": self.key}}


@dataclass(frozen=True)
class LastAccount:
    """The item that holds which connected account was compared last."""

    client: DynamoDBClient = field(repr=False)
    table: str

    def read(self) -> str | None:
        """Return the account's id, or None before the first run.

        Raises
        ------
        TransientError, ConfigurationError
            DynamoDB did not answer, or refused.
        """
        try:
            item = self.client.get_item(TableName=self.table, Key=self._key, ConsistentRead=True).get("Item")
        except aws.AwsError as error:
            raise aws.fault(TABLE, error) from error
        return None if item is None else item["account"]["S"]

    def write(self, account: str) -> None:
        """Save an account's id.

        Raises
        ------
        TransientError, ConfigurationError
            DynamoDB did not answer, or refused.
        """
        try:
            self.client.put_item(TableName=self.table, Item={**self._key, "account": {"S": account}})
        except aws.AwsError as error:
            raise aws.fault(TABLE, error) from error

    @property
    def _key(self) -> Any:
        return {names.IDEMPOTENCY_KEY_ATTRIBUTE: {"S": names.RECONCILE_LAST_ACCOUNT}}


def table_created_at(client: DynamoDBClient, table: str) -> int:
    """Return when the idempotency table was created, in Unix seconds: at the pipeline's first deploy.

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
