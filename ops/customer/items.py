"""The items of the idempotency table about a customer's events.

They hold ids, or hashes of ids, times and outcomes, and no value of the customer, with one exception: an
object's item keeps hashes of the bodies that the API got last, in which a guess of name and e-mail address
could be checked. An erasure removes these two hashes; everything else stays, so that nothing is applied
twice.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from boto3.dynamodb.types import TypeDeserializer
from botocore.exceptions import ClientError

from functions.pipeline.effects import effect_key
from functions.pipeline.envelope import THIN, StripeEvent, identity, parse
from functions.pipeline.idempotency import record_key
from functions.pipeline.objects import own_id
from functions.pipeline.ordering import states_key
from functions.pipeline.route import Route
from functions.pipeline.routing_table import ROUTES
from functions.reconciliation.handler_records import FIRST_WAIT_SECONDS, READ_BATCH
from functions.shared import names
from functions.shared.errors import InvalidEventError
from ops.environment import Environment, aws_errors

HASHES: Final = ("after_hash", "before_hash")
_CONDITION_FAILED: Final = "ConditionalCheckFailedException"

Item = Mapping[str, Any]


def keys_of(envelope: Mapping[str, Any]) -> Iterator[str]:
    """Yield the keys of all items that a delivery may have written."""
    replay = envelope.get("replay-name")
    forced = replay if isinstance(replay, str) and replay.startswith(names.FORCED_REPLAY_PREFIX) else None
    # The keys as functions.pipeline.apply builds them. For what an invalid event lacks, no
    # handler has written an item.
    with suppress(InvalidEventError, AttributeError, KeyError, TypeError):
        event = envelope["detail"]
        event_id, event_type = map(str, identity(event))
        route = ROUTES[event_type]
        yield record_key(route.handler, event_id)
        if forced:
            yield record_key(route.handler, f"{event_id}:{forced}")
        if event.get("object") == THIN:
            yield from _keys_of_thin(parse(envelope, livemode=event["livemode"]), route, forced)
            return
        stripe_object = event["data"]["object"]
        owner = (event.get("account"), route.object_type, own_id(stripe_object))
        yield states_key(*owner)
        request = route.request(stripe_object)
        if request is not None:
            yield effect_key(*owner, event_type, request.path, None)
            yield effect_key(*owner, event_type, request.path, forced)


def _keys_of_thin(event: StripeEvent, route: Route, forced: str | None) -> Iterator[str]:
    """Yield the keys of a thin event's object, and of its effect in each mode that the object may have."""
    owner = (event.account, route.object_type, own_id(event.object))
    yield states_key(*owner)
    for call in route.variants.values():
        if call is not None:
            yield effect_key(*owner, event.type, call.path, None)
            yield effect_key(*owner, event.type, call.path, forced)


def read(environment: Environment, keys: Sequence[str]) -> list[Item]:
    """Return the items of these keys that there are.

    Raises
    ------
    OperatorError
        The table can't be read.
    """
    table = environment.resource("idempotency")
    client = environment.client("dynamodb")
    found: list[Item] = []
    with aws_errors(f"the table {table}"):
        for start in range(0, len(keys), READ_BATCH):
            wanted: Any = {
                table: {
                    "Keys": [
                        {names.IDEMPOTENCY_KEY_ATTRIBUTE: {"S": key}}
                        for key in keys[start : start + READ_BATCH]
                    ],
                    "ConsistentRead": True,
                }
            }
            while wanted:
                answer = client.batch_get_item(RequestItems=wanted)
                found += map(_plain, answer["Responses"].get(table, []))
                if wanted := answer.get("UnprocessedKeys"):
                    time.sleep(FIRST_WAIT_SECONDS)
    return found


def with_hashes(items: Sequence[Item]) -> list[Item]:
    """Return the items that hold a hash of a body."""
    return [item for item in items if any(item.get(name) is not None for name in HASHES)]


def remove_hashes(environment: Environment, item: Item) -> None:
    """Remove the hashes of bodies from an item, unless it has expired meanwhile.

    Raises
    ------
    OperatorError
        The table refuses or does not answer.
    """
    table = environment.resource("idempotency")
    key = names.IDEMPOTENCY_KEY_ATTRIBUTE
    with aws_errors(f"to change the table {table}"):
        try:
            environment.client("dynamodb").update_item(
                TableName=table,
                Key={key: {"S": item[key]}},
                UpdateExpression=f"REMOVE {', '.join(HASHES)}",
                ConditionExpression=f"attribute_exists({key})",
            )
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != _CONDITION_FAILED:
                raise


def _plain(item: Mapping[str, Any]) -> Item:
    deserialize = TypeDeserializer().deserialize
    return {name: deserialize(value) for name, value in item.items()}
