"""The memory of what was done: one DynamoDB record per event id, kept by Powertools.

A record is "in progress" while a handler works on its event and at most until that handler's time is up,
so a handler that was killed leaves nothing to clean; then it is "completed" until the event can't come
again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from aws_lambda_powertools.utilities.idempotency.exceptions import (
    IdempotencyAlreadyInProgressError,
    IdempotencyInconsistentStateError,
    IdempotencyPersistenceLayerError,
)

from functions.pipeline import aws, names, table
from functions.pipeline.config import DeliverySettings
from functions.pipeline.errors import TransientError, UnsettledError
from functions.pipeline.telemetry import logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.idempotency.persistence.datarecord import DataRecord
    from aws_lambda_powertools.utilities.typing import LambdaContext


class Records(DynamoDBPersistenceLayer):
    """Powertools' records, except that a record which can't be deleted does not hide why it should be.

    Powertools deletes the record of a failed event and raises the deletion's own failure instead of the
    event's. The record ends by itself with the invocation's time, so the event's failure is what counts.
    """

    def _delete_record(self, data_record: DataRecord) -> None:
        try:
            super()._delete_record(data_record)
        except aws.AwsError as error:
            logger.warning("record not deleted", extra={"reason": str(aws.fault(table.RESOURCE, error))})


def once(
    function: Callable[..., dict[str, Any]],
    *,
    handler: str,
    settings: DeliverySettings,
    context: LambdaContext,
    repeated: Callable[[dict[str, Any]], dict[str, Any]],
    **arguments: Any,
) -> dict[str, Any]:
    """Run ``function`` with the arguments unless the record of its ``idempotency_key`` says it was done.

    Then ``repeated`` of the stored result is returned instead.

    Raises
    ------
    UnsettledError
        Another invocation is at the same event.
    TransientError, ConfigurationError
        The table did not answer, or refused.
    """
    config = IdempotencyConfig(
        raise_on_no_idempotency_key=True,
        expires_after_seconds=settings.idempotency_expiry_seconds,
        hash_function=table.HASH,
        lambda_context=context,
        response_hook=lambda result, _record: repeated(result),
    )
    guarded = idempotent_function(
        function,
        data_keyword_argument="idempotency_key",
        persistence_store=records(settings.idempotency_table),
        config=config,
        key_prefix=handler,
    )
    try:
        result: dict[str, Any] = guarded(**arguments)
    except IdempotencyAlreadyInProgressError as error:
        raise UnsettledError("another invocation is applying this event") from error
    except IdempotencyInconsistentStateError as error:
        raise TransientError(f"{table.RESOURCE} changed while it was read") from error
    except IdempotencyPersistenceLayerError as error:
        raise aws.fault(table.RESOURCE, error.__cause__ or error) from error
    return result


def idempotency_id(handler: str, event_id: str) -> str:
    """Build the table's key for an event of a handler, as Powertools does.

    ``event_id`` is the idempotency key, which for an event of a forced replay has the replay's name in it.
    """
    return f"{handler}#{table.digest(event_id)}"


@cache
def records(name: str) -> Records:
    """Make the records of a table, with the one DynamoDB client of the function."""
    return Records(
        table_name=name,
        key_attr=names.IDEMPOTENCY_KEY_ATTRIBUTE,
        expiry_attr=names.IDEMPOTENCY_EXPIRY_ATTRIBUTE,
        boto3_client=table.client(),
    )
