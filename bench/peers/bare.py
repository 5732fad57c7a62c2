"""The bare peer: boto3's client, httpx, and an idempotency record written by hand.

It has no effects: two events of one fact are two calls. It has no order: an older state may overwrite a newer
one. After a failed call it forgets the event, also where the API may have applied it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any, Final

import boto3
import httpx
from botocore.exceptions import ClientError

from bench.peers.calls import call_of, headers_of

TABLE: Final = os.environ["IDEMPOTENCY_TABLE"]
EXPIRY_SECONDS: Final = int(os.environ["IDEMPOTENCY_EXPIRY_SECONDS"])
CONFLICT: Final = 409

dynamodb = boto3.client("dynamodb")
secret = boto3.client("secretsmanager").get_secret_value(SecretId=os.environ["SECRET_IDS"])
api_key: Final[str] = json.loads(secret["SecretString"])["HUNTAZE_API_KEY"]
api = httpx.Client(base_url=os.environ["HUNTAZE_API_URL"], timeout=10.0)


def handler(envelope: dict[str, Any], context: Any) -> dict[str, str]:
    """Apply an event unless its record says that it is done."""
    event = envelope["detail"]
    call = call_of(event)
    if call is None:
        return {"outcome": "recorded"}
    until = int(time.time() * 1000) + context.get_remaining_time_in_millis()
    if not _begin(event["id"], until):
        return {"outcome": "duplicate"}
    path, body = call
    try:
        response = api.post(path, json=body, headers=headers_of(event, api_key))
        if response.status_code != CONFLICT:
            response.raise_for_status()
    except Exception:
        dynamodb.delete_item(TableName=TABLE, Key={"id": {"S": event["id"]}})
        raise
    dynamodb.update_item(
        TableName=TABLE,
        Key={"id": {"S": event["id"]}},
        UpdateExpression="SET #status = :status",
        ExpressionAttributeNames={"#status": "status"},
        ExpressionAttributeValues={":status": {"S": "COMPLETED"}},
    )
    line = json.dumps({"message": "event applied", "event_id": event["id"], "type": event["type"]})
    sys.stdout.write(f"{line}\n")
    return {"outcome": "applied"}


def _begin(event_id: str, until: int) -> bool:
    """Write the record of an event that begins; False if the event is done."""
    now = int(time.time())
    try:
        dynamodb.put_item(
            TableName=TABLE,
            Item={
                "id": {"S": event_id},
                "status": {"S": "INPROGRESS"},
                "until": {"N": str(until)},
                "expiration": {"N": str(now + EXPIRY_SECONDS)},
            },
            ConditionExpression="attribute_not_exists(id) OR expiration < :now OR "
            "(#status = :in_progress AND #until < :now_ms)",
            ExpressionAttributeNames={"#status": "status", "#until": "until"},
            ExpressionAttributeValues={
                ":now": {"N": str(now)},
                ":now_ms": {"N": str(now * 1000)},
                ":in_progress": {"S": "INPROGRESS"},
            },
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    except ClientError as error:
        response: Any = error.response
        if response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
        if response["Item"]["status"]["S"] != "COMPLETED":
            raise RuntimeError("another invocation is applying this event") from error
        return False
    return True
