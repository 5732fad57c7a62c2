"""The handlers' idempotency records: which events a handler has received, and with which status."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from functions.pipeline.idempotency import record_key
from functions.pipeline.routing_table import ROUTES
from functions.shared import aws, names
from functions.shared.errors import TransientError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TABLE: Final = "the idempotency table"
# The most keys of one BatchGetItem.
READ_BATCH: Final = 100
READ_ATTEMPTS: Final = 8
FIRST_WAIT_SECONDS: Final = 0.05
_STATUS: Final = "status"


@dataclass(frozen=True)
class HandlerRecords:
    """Reads the handlers' idempotency records in batches."""

    client: DynamoDBClient = field(repr=False)
    table: str

    def of_events(self, events: Iterable[Mapping[str, Any]]) -> dict[str, str]:
        """Return the status of each event that has a record, by event id; an unrouted type has none.

        Raises
        ------
        TransientError, ConfigurationError
            The table did not answer, or refused.
        """
        keys = {
            record_key(route.handler, event["id"]): event["id"]
            for event in events
            if (route := ROUTES.get(event["type"]))
        }
        return {keys[key]: status for key, status in self.statuses(keys)}

    def statuses(self, keys: Collection[str]) -> Iterator[tuple[str, str]]:
        """Yield the key and the status of each key that has a record.

        Raises
        ------
        TransientError, ConfigurationError
            The table did not answer, or refused.
        """
        now = time.time()
        remaining = iter(keys)
        while batch := list(islice(remaining, READ_BATCH)):
            for item in self._items(batch):
                if float(item.get(names.IDEMPOTENCY_EXPIRY_ATTRIBUTE, {}).get("N", "0")) > now:
                    yield item[names.IDEMPOTENCY_KEY_ATTRIBUTE]["S"], item.get(_STATUS, {}).get("S", "")

    def _items(self, keys: Iterable[str]) -> Iterator[Any]:
        wanted: Any = {
            self.table: {
                "Keys": [{names.IDEMPOTENCY_KEY_ATTRIBUTE: {"S": key}} for key in keys],
                "ProjectionExpression": "#id, #status, #expiration",
                "ExpressionAttributeNames": {
                    "#id": names.IDEMPOTENCY_KEY_ATTRIBUTE,
                    "#status": _STATUS,
                    "#expiration": names.IDEMPOTENCY_EXPIRY_ATTRIBUTE,
                },
                "ConsistentRead": True,
            }
        }
        for attempt in range(READ_ATTEMPTS):
            try:
                answer = self.client.batch_get_item(RequestItems=wanted)
            except aws.AwsError as error:
                raise aws.fault(TABLE, error) from error
            yield from answer["Responses"].get(self.table, [])
            wanted = answer.get("UnprocessedKeys") or {}
            if not wanted:
                return
            time.sleep(FIRST_WAIT_SECONDS * 2**attempt)
        raise TransientError(f"{TABLE} throttles reads")
