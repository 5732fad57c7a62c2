"""The handlers' records in the idempotency table, for operators."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from functions.reconciliation.handler_records import HandlerRecords
from functions.shared.errors import EventError
from ops.environment import Environment, aws_errors
from ops.errors import OperatorError


@contextmanager
def reading(environment: Environment) -> Iterator[HandlerRecords]:
    """Yield the records of an environment.

    Raises
    ------
    OperatorError
        The table can't be read.
    """
    table = environment.resource("idempotency")
    try:
        yield HandlerRecords(environment.client("dynamodb"), table)
    except EventError as error:
        if error.__cause__ is None:
            raise OperatorError(
                f"DynamoDB throttles the table {table}: wait a minute, then repeat the command"
            ) from error
        with aws_errors(f"the table {table}"):
            raise error.__cause__ from error
